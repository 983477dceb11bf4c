"""Are these the parameters that the operation takes? Checked against the service model, worded as AWS words it.

WorkMail models `InvalidParameterException` ("One or more of the input parameters don't match the service's restrictions")
and no ValidationException, so that is what a violated constraint becomes; a value of another JSON type never reaches the
constraints and is a `SerializationException`, as with every AWS JSON service.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from gatepost.control.contract import WIDER, input_shape
from gatepost.operations.errors import InvalidParameterException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How the JSON types are called in AWS's messages.
_TOKENS: dict[type, str] = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "DECIMAL_VALUE"}
_STARTS: dict[type, str] = {list: "list", dict: "structure or map"}
_TARGETS = {"string": "a String", "integer": "an Integer", "boolean": "a Boolean"}


class SerializationException(Exception):  # noqa: N818 -- AWS's name
    """A value has another JSON type than the operation's parameter; the message is AWS's wording."""


class _Violation(NamedTuple):
    path: str
    value: str | None
    constraint: str

    def __str__(self) -> str:
        value = "Value" if self.value is None else f"Value {self.value}"
        return f"{value} at '{self.path}' failed to satisfy constraint: {self.constraint}"


def check(operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """The parameters of `operation` in `body`: members it knows, null ones left out.

    Raises `SerializationException` for a wrong type and `InvalidParameterException` with every violated constraint.
    """
    shape = input_shape(operation)
    parameters: dict[str, Any] = _read(shape, body)
    violations = list(_structure(shape, parameters, ""))
    if violations:
        count = "1 validation error" if len(violations) == 1 else f"{len(violations)} validation errors"
        raise InvalidParameterException(f"{count} detected: {'; '.join(map(str, violations))}")
    return parameters


def _read(shape: Any, value: Any) -> Any:
    """`value` as `shape` types it; raises `SerializationException` where it has another type."""
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            raise _wrong_type(shape, value)
        given = {name: value[name] for name in shape.members if value.get(name) is not None}
        return {name: _read(shape.members[name], member) for name, member in given.items()}
    if shape.type_name == "list":
        if not isinstance(value, list):
            raise _wrong_type(shape, value)
        return [_read(shape.member, member) for member in value if member is not None]
    expected = {"string": str, "integer": int, "boolean": bool}[shape.type_name]
    if type(value) is not expected:
        raise _wrong_type(shape, value)
    return value


def _wrong_type(shape: Any, value: Any) -> SerializationException:
    if type(value) in _STARTS:
        return SerializationException(f"Start of {_STARTS[type(value)]} found where not expected.")
    token = _TOKENS.get(type(value), f"{str(value).upper()}_VALUE")
    if shape.type_name in _TARGETS:
        return SerializationException(f"{token} can not be converted to {_TARGETS[shape.type_name]}")
    return SerializationException(f"Unexpected token {token}: a {shape.type_name} is expected.")


def _structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[_Violation]:
    for name, member in shape.members.items():
        member_path = f"{path}{name[0].lower()}{name[1:]}"
        if name in value:
            yield from _member(member, value[name], member_path)
        elif name in shape.required_members:
            yield _Violation(member_path, "null", "Member must not be null")


def _member(shape: Any, value: Any, path: str) -> Iterator[_Violation]:
    if shape.type_name == "structure":
        yield from _structure(shape, value, f"{path}.")
        return
    shown = None if shape.metadata.get("sensitive") else _shown(value)
    for constraint in _violated(shape, value):
        yield _Violation(path, shown, constraint)
    if shape.type_name != "list":
        return
    if shape.member.type_name == "structure":
        for number, item in enumerate(value, start=1):
            yield from _structure(shape.member, item, f"{path}.{number}.member.")
    elif any(_violated(shape.member, item) for item in value):
        every = ", ".join(constraint for constraint, _ in _constraints(shape.member.name, shape.member))
        yield _Violation(path, shown, f"Member must satisfy constraint: [{every}]")


def _violated(shape: Any, value: Any) -> list[str]:
    return [constraint for constraint, holds in _constraints(shape.name, shape) if not holds(value)]


@cache
def _constraints(name: str, shape: Any) -> tuple[tuple[str, Callable[[Any], bool]], ...]:
    """What a value of `shape` must satisfy: (AWS's sentence, predicate)."""
    limits: dict[str, Any] = WIDER.get(name, shape.metadata)
    found: list[tuple[str, Callable[[Any], bool]]] = []
    size: Callable[[Any], int] = int if shape.type_name == "integer" else len
    noun = "value" if shape.type_name == "integer" else "length"
    if (most := limits.get("max")) is not None:
        found.append((f"Member must have {noun} less than or equal to {most}", lambda value: size(value) <= most))
    if (least := limits.get("min")) is not None:
        found.append((f"Member must have {noun} greater than or equal to {least}", lambda value: size(value) >= least))
    if shape.type_name == "string":
        found.extend(_text_constraints(limits))
    return tuple(found)


def _text_constraints(limits: dict[str, Any]) -> Iterator[tuple[str, Callable[[Any], bool]]]:
    if choices := limits.get("enum"):
        yield f"Member must satisfy enum value set: [{', '.join(choices)}]", lambda value: value in choices
    # The pattern is tried on what is not too long only: its cost is then bounded. `re.ASCII` because in the model's
    # regular expressions `\w` and `\d` are ASCII. And no database text holds a NUL, whatever `[\S\s]+` says.
    pattern, longest = limits.get("pattern") or r"[^\u0000]*", limits.get("max", 4096)
    matches = re.compile(pattern, re.ASCII).fullmatch
    yield (
        f"Member must satisfy regular expression pattern: {pattern}",
        lambda value: len(value) > longest or (matches(value) is not None and "\0" not in value),
    )


def _shown(value: Any) -> str:
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
    return f"'{text if len(text) <= 1024 else text[:1024] + '…'}'"

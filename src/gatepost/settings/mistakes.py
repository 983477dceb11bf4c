"""What pydantic found wrong with the settings, in our words: the key, what was expected, and what was there unless it is secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretStr

from gatepost.settings.model import Settings
from gatepost.settings.tables import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

# Up to the last @: a password that was written down without its quotes may hold an @ or a slash itself.
_PASSWORD = re.compile(
    r"((?:^(?![\w+.-]+://)|//)[^:/@]*):.*@|([?&][^=&]*(?:password|secret)[^=&]*=)[^&]*", re.IGNORECASE
)


def mistakes_in(error: ValidationError, content: Mapping[str, Any]) -> Iterator[str]:
    """A line for each; `content` is what was validated, for the names of tables."""
    for mistake in error.errors(include_url=False):
        yield _line(mistake, content)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The tables that a field's type can be, or hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def is_secret(field: FieldInfo) -> bool:
    """Whether its value must not be shown."""
    return any(part is SecretStr for part in _parts(field.annotation))


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


class _Place:
    """The way from the settings as a whole to one value."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.text = ""
        self.field: FieldInfo | None = None
        self.models: tuple[type[BaseModel], ...] = (Settings,)
        self.unknown = False
        self._content: Any = content

    def go(self, step: str | int) -> None:
        """One further; what is no table of ours is one value, whatever is in it."""
        if not self.models or self.unknown:
            return
        if isinstance(step, int):
            array = self.text.removeprefix("mdm.")
            self._content = self._content[step] if isinstance(self._content, list | tuple) else None
            named = self.text in ("mdm.sources", "mdm.targets")
            self.text = name_of(array, step, self._content) if named else f"{self.text}[{step}]"
            return
        tagged = tuple(model for model in self.models if _tag(model) == step)
        if tagged and not any(step in model.model_fields for model in self.models):
            self.models = tagged
            return
        self.text = f"{self.text}.{step}" if self.text else step
        self._content = self._content.get(step) if isinstance(self._content, dict) else None
        self.field = next((model.model_fields[step] for model in self.models if step in model.model_fields), None)
        self.unknown = self.field is None
        if self.field is not None:
            self.models = tuple(models_in(self.field.annotation))

    @property
    def known(self) -> str:
        """The keys that there are."""
        return ", ".join(sorted({key for model in self.models for key in model.model_fields}))


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    values = get_args(kind.annotation) if kind is not None else ()
    return values[0] if len(values) == 1 else None


def _line(mistake: ErrorDetails, content: Mapping[str, Any]) -> str:
    place = _Place(content)
    for step in mistake["loc"]:
        place.go(step)
    kind, given = mistake["type"], mistake["input"]
    if kind == "extra_forbidden":
        return f"{place.text}: unknown key, expected one of {place.known}"
    if kind == "combination":
        return f"{place.text}: {mistake['msg']}"
    if kind.startswith("union_tag"):
        tags = sorted(filter(None, (_tag(model) for model in place.models)))
        given = given.get("kind") if isinstance(given, dict) else given
        return f"{place.text}.kind: expected {' or '.join(tags)}, got {_shown(given)}"
    expected = (place.field.description if place.field is not None else None) or "another value"
    if kind == "missing":
        return f"{place.text}: expected {expected}, got nothing"
    got = "something else" if place.field is not None and is_secret(place.field) else _shown(given)
    return f"{place.text}: expected {expected}, got {got}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value):
        return "an array of tables"
    text = _PASSWORD.sub(lambda found: f"{found[1]}:…@" if found[2] is None else f"{found[2]}…", str(value))
    return "nothing" if value is None else f"`{text}`"

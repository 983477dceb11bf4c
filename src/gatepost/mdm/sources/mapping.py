"""From any MDM's JSON to a Posture: JMESPath expressions say where things are, tables of words what they mean.

A value is looked up in its table without regard to case; `""` stands for a value that is missing, `"*"` for every other.
What no table knows is unknown, which never allows anything.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import jmespath
from jmespath.exceptions import JMESPathError

from gatepost.mdm.sources.reading import Unreadable, addresses, device_ids, flag, not_after, text, word
from gatepost.mdm.sources.times import parse_time
from gatepost.model import Compliance, Managed, Posture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

FIELDS = (
    "device_key",
    "device_ids",
    "user_addresses",
    "managed",
    "compliance",
    "compromised",
    "serial",
    "imei",
    "friendly_name",
    "state_time",
    "grace_until",
)
"""What expressions can be given for; `device_key` must be."""

_COMPLIANCE = {
    "compliant": Compliance.COMPLIANT,
    "true": Compliance.COMPLIANT,
    "noncompliant": Compliance.NON_COMPLIANT,
    "notcompliant": Compliance.NON_COMPLIANT,
    "false": Compliance.NON_COMPLIANT,
    "pending": Compliance.PENDING,
    "notavailable": Compliance.NOT_AVAILABLE,
    "notapplicable": Compliance.NOT_AVAILABLE,
}
_MANAGED = {
    "true": Managed.YES,
    "yes": Managed.YES,
    "managed": Managed.YES,
    "enrolled": Managed.YES,
    "false": Managed.NO,
    "no": Managed.NO,
    "unmanaged": Managed.NO,
    "unenrolled": Managed.NO,
}

Word = TypeVar("Word", bound=StrEnum)


class Expression:
    """A JMESPath expression. Raises ValueError where it is none."""

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            with warnings.catch_warnings():
                # text between backticks that is not JSON is taken for a string, some day no longer, and always with a warning
                warnings.simplefilter("error", PendingDeprecationWarning)
                self._compiled = jmespath.compile(source)
        except PendingDeprecationWarning as warning:
            why = "between backticks stands JSON, so a text in quotation marks"
            raise ValueError(f"`{source}` is not a JMESPath expression: {why}") from warning
        except (JMESPathError, RecursionError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"`{source}` is not a JMESPath expression: {said}") from error

    def of(self, document: Any) -> Any:
        """What it finds; None for nothing. Raises Unreadable where it cannot be applied to such a document."""
        try:
            return self._compiled.search(document)
        except Exception as error:  # its functions raise what Python raises on foreign values
            raise Unreadable(f"`{self.source}` does not apply to it ({type(error).__name__})") from error


@dataclass(frozen=True)
class MapConfiguration:
    """Where each of FIELDS is, and what words mean: values are those of `Compliance`, `Managed`, `true` and `false`.

    A table that is given replaces the built-in one, which knows `true`, `false`, and the words of those enumerations.
    Without an expression for `managed`, a device that the source has is managed.
    """

    fields: Mapping[str, str]
    compliance_values: Mapping[str, str] = field(default_factory=dict)
    managed_values: Mapping[str, str] = field(default_factory=dict)
    compromised_values: Mapping[str, bool] = field(default_factory=dict)


class DeviceMap:
    """A configured map, compiled. Raises ValueError for a field, expression or value that does not exist."""

    def __init__(self, configuration: MapConfiguration) -> None:
        unknown = set(configuration.fields) - set(FIELDS)
        if unknown:
            raise ValueError(f"there is no field `{min(unknown)}`; fields are {', '.join(FIELDS)}")
        if "device_key" not in configuration.fields:
            raise ValueError("the fields need an expression for `device_key`")
        self._expressions = {name: Expression(one) for name, one in configuration.fields.items()}
        self._compliance = _table(configuration.compliance_values, Compliance)
        self._managed = _table(configuration.managed_values, Managed)
        self._compromised = {_spelled(name): bool(value) for name, value in configuration.compromised_values.items()}

    def key(self, item: Any) -> str | None:
        """The key of a device, None where it has none. Raises Unreadable."""
        return text(self._value(item, "device_key"))

    def posture(self, source: str, device_key: str, item: Any, now: datetime) -> Posture:
        """What is said of the device. Raises Unreadable."""
        said = {name: expression.of(item) for name, expression in self._expressions.items()}
        return Posture(
            source=source,
            device_key=device_key,
            managed=self._is_managed(said),
            compliance=_looked_up(said.get("compliance"), self._compliance, _COMPLIANCE, Compliance.UNKNOWN),
            compromised=self._is_compromised(said.get("compromised")),
            user_addresses=addresses(said.get("user_addresses")),
            device_ids=device_ids(said.get("device_ids")),
            serial=text(said.get("serial")),
            imei=text(said.get("imei")),
            friendly_name=text(said.get("friendly_name")),
            state_time=not_after(parse_time(said.get("state_time")), now),
            observed_at=now,
            grace_until=parse_time(said.get("grace_until")),
        )

    def _value(self, item: Any, name: str) -> Any:
        return self._expressions[name].of(item)

    def _is_managed(self, said: Mapping[str, Any]) -> Managed:
        if "managed" not in said:
            return Managed.YES
        return _looked_up(said["managed"], self._managed, _MANAGED, Managed.UNKNOWN)

    def _is_compromised(self, value: Any) -> bool | None:
        if not self._compromised:
            return flag(value)
        spelled = _spelled(value)
        other = self._compromised.get("*") if spelled else None
        return self._compromised.get(spelled, other)


def _table(given: Mapping[str, str], kind: type[Word]) -> dict[str, Word]:
    allowed = {one.value: one for one in kind}
    for value in given.values():
        if value not in allowed:
            raise ValueError(f"`{value}` is none of {', '.join(allowed)}")
    return {_spelled(name): allowed[value] for name, value in given.items()}


def _spelled(value: object) -> str:
    """A value as tables have it: without regard to case; "" for none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(value)
    return (text(value) or "").casefold()


def _looked_up(value: Any, table: Mapping[str, Word], built_in: Mapping[str, Word], unknown: Word) -> Word:
    if not table:
        return built_in.get(word(value), unknown)
    spelled = _spelled(value)
    other = table.get("*", unknown) if spelled else unknown
    return table.get(spelled, other)

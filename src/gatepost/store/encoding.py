"""Nouns as JSON and as table rows, strictly: what was written comes back equal, anything else is an EncodingError.

The form follows from the dataclasses' own type hints, so that a noun with a new field cannot be forgotten here: an
object with exactly the fields' names, enums by value, tuples as arrays, moments as ISO 8601 in UTC with microseconds.
A row is the same without the outermost object, moments being the database's own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from gatepost.model import (
    AccessControlRule,
    Device,
    Group,
    GroupMember,
    ImpersonationRole,
    Kind,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    User,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatepost.model import Noun

N = TypeVar("N")
Json: TypeAlias = Any


class EncodingError(ValueError):
    """What the database holds is not a noun of this version of the program."""


@dataclass(frozen=True, slots=True)
class _Codec:
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


class Record(Generic[N]):
    """How one dataclass is written; `names` are its fields in order, which are also its columns."""

    def __init__(self, cls: type[N]) -> None:
        self.names = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]
        self._cls = cls
        hints = get_type_hints(cls, localns={"datetime": datetime})  # the model imports it for its annotations only
        self._document = [_codec(hints[name], _TEXT_MOMENT) for name in self.names]
        self._columns = [_codec(hints[name], _COLUMN_MOMENT) for name in self.names]

    def to_document(self, noun: N) -> dict[str, Json]:
        """The JSON object."""
        pairs = zip(self.names, self._document, strict=True)
        return {name: codec.encode(getattr(noun, name)) for name, codec in pairs}

    def from_document(self, document: Json) -> N:
        """The noun; raises EncodingError."""
        if not isinstance(document, dict) or document.keys() != set(self.names):
            found = sorted(document) if isinstance(document, dict) else document
            raise EncodingError(f"not the fields of {self._cls.__name__}: `{found}`")
        return self._build(self._document, [document[name] for name in self.names])

    def to_columns(self, noun: N) -> dict[str, Any]:
        """The row's values by column."""
        pairs = zip(self.names, self._columns, strict=True)
        return {name: codec.encode(getattr(noun, name)) for name, codec in pairs}

    def from_columns(self, row: Sequence[Any]) -> N:
        """The noun, from the columns in the order of `names`; raises EncodingError."""
        return self._build(self._columns, row)

    def _build(self, codecs: list[_Codec], values: Sequence[Any]) -> N:
        return self._cls(*[codec.decode(value) for codec, value in zip(codecs, values, strict=True)])


def _same(value: Any) -> Any:
    return value


def _exactly(kind: type) -> _Codec:
    def decode(value: Any) -> Any:
        if type(value) is not kind:
            raise EncodingError(f"not a {kind.__name__}: `{value!r}`")
        return value

    return _Codec(_same, decode)


def _moment_to_text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise EncodingError(f"a moment without a time zone: `{moment}`")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _moment_from_text(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise EncodingError(f"not a moment: `{value!r}`") from None
    if moment.tzinfo is not UTC:
        raise EncodingError(f"not a moment in UTC: `{value}`")
    return moment


_TEXT_MOMENT = _Codec(_moment_to_text, _moment_from_text)
_COLUMN_MOMENT = _exactly(datetime)


def _codec(hint: Any, moment: _Codec) -> _Codec:
    """The codec of a type hint; what lies deeper than a column is JSON in any case."""
    if hint in (str, bool, int, bytes):
        return _exactly(hint)
    if hint is datetime:
        return moment
    if get_origin(hint) is UnionType:
        (present,) = (argument for argument in get_args(hint) if argument is not NoneType)
        return _optional(_codec(present, moment))
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _enum(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        record: Record[Any] = Record(hint)
        return _Codec(record.to_document, record.from_document)
    raise TypeError(f"no encoding for {hint}")


def _optional(inner: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else inner.encode(value),
        lambda value: None if value is None else inner.decode(value),
    )


def _tuple(arguments: tuple[Any, ...]) -> _Codec:
    if arguments[-1] is Ellipsis:
        length, item = None, _codec(arguments[0], _TEXT_MOMENT)
    else:
        length, item = len(arguments), _codec(arguments[0], _TEXT_MOMENT)
        if set(arguments) != {arguments[0]}:
            raise TypeError(f"no encoding for a tuple of {arguments}")

    def decode(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise EncodingError(f"not a list: `{value!r}`")
        return tuple([item.decode(element) for element in value])

    return _Codec(lambda value: [item.encode(element) for element in value], decode)


def _enum(cls: type[StrEnum]) -> _Codec:
    members = {member.value: member for member in cls}

    def decode(value: Any) -> StrEnum:
        member = members.get(value) if isinstance(value, str) else None
        if member is None:
            raise EncodingError(f"not a {cls.__name__}: `{value!r}`")
        return member

    return _Codec(lambda member: member.value, decode)


RECORDS: Mapping[Kind, Record[Any]] = {
    Kind.ORGANIZATION: Record(Organization),
    Kind.USER: Record(User),
    Kind.MOBILE_DEVICE_ACCESS_RULE: Record(MobileDeviceAccessRule),
    Kind.MOBILE_DEVICE_ACCESS_OVERRIDE: Record(MobileDeviceAccessOverride),
    Kind.ACCESS_CONTROL_RULE: Record(AccessControlRule),
    Kind.DEVICE: Record(Device),
    Kind.GROUP: Record(Group),
    Kind.GROUP_MEMBER: Record(GroupMember),
    Kind.IMPERSONATION_ROLE: Record(ImpersonationRole),
}


def encode(kind: Kind, noun: Noun) -> dict[str, Json]:
    """The noun as a JSON object."""
    return RECORDS[kind].to_document(noun)


def decode(kind: Kind, document: Json) -> Noun:
    """The noun that `encode` was given; raises EncodingError."""
    noun: Noun = RECORDS[kind].from_document(document)
    return noun

"""Times as MDMs write them: ISO 8601 with any number of fraction digits, with or without a zone; `/Date(ms)/`; epochs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{0,9}))?)?\s*(?:([Zz]|UTC)|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)
_DOTNET = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/", re.ASCII)  # the offset is for display, ms are UTC
_NUMBER = re.compile(r"\d{9,14}(?:\.\d{1,9})?", re.ASCII)

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before: a zero of some kind, .NET's year 1 above all
_MILLISECONDS_FROM = 100_000_000_000  # as seconds that is the year 5138, as milliseconds 1973


def parse_time(value: object) -> datetime | None:
    """The moment that `value` names, in UTC, or None where it names none; without a zone it is UTC.

    Moments before 2000 are None: they are how programs write "never".
    """
    try:
        moment = _parse(value)
    except (ValueError, OverflowError, OSError):  # the last from the C library
        return None
    return moment if moment is not None and moment >= _EARLIEST else None


def _parse(value: object) -> datetime | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _epoch(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if found := _DOTNET.fullmatch(text):
        return _epoch(int(found[1]), milliseconds=True)
    if _NUMBER.fullmatch(text):
        return _epoch(float(text))
    found = _ISO.fullmatch(text)
    return _iso(found) if found is not None else None


def _epoch(value: float, *, milliseconds: bool = False) -> datetime:
    seconds = value / 1000 if milliseconds or value >= _MILLISECONDS_FROM else value
    return datetime.fromtimestamp(seconds, UTC)


def _iso(found: re.Match[str]) -> datetime:
    year, month, day, hour, minute = (int(found[part]) for part in range(1, 6))
    microsecond = int((found[7] or "").ljust(6, "0")[:6])
    zone: timezone = UTC
    if found[9]:
        offset = timedelta(hours=int(found[10]), minutes=int(found[11] or 0))
        zone = timezone(-offset if found[9] == "-" else offset)
    return datetime(year, month, day, hour, minute, int(found[6] or 0), microsecond, zone).astimezone(UTC)

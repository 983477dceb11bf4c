"""Moments as people type them: so long ago, in so long, or in ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gatepost.cli.failure import ExitCode, Failure

_SPAN = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def since(text: str, now: datetime) -> datetime:
    """The moment `30m`, `12h`, `7d` or `2w` ago, or one in ISO 8601, for `--since`. Raises Failure."""
    return _moment("--since", text, now, -1)


def until(text: str, now: datetime) -> datetime:
    """The moment in `30m`, `12h`, `7d` or `2w`, or one in ISO 8601 that is to come, for `--expires`. Raises Failure."""
    at = _moment("--expires", text, now, 1)
    if at <= now:
        raise Failure(ExitCode.USAGE, f"--expires: `{text}` has passed")
    return at


def _moment(option: str, text: str, now: datetime, direction: int) -> datetime:
    try:
        if found := _SPAN.fullmatch(text):
            return now + direction * int(found[1]) * _UNITS[found[2]]
        return datetime.fromisoformat(text).astimezone(UTC)  # without a zone: this machine's
    except (ValueError, OverflowError):  # the latter for a year that there is not
        raise Failure(
            ExitCode.USAGE, f"{option}: expected 30m, 12h, 7d, 2w or a moment like 2026-12-24T18:00, got `{text}`"
        ) from None

"""How often a source is asked: a rate of our own, the quota that it tells, and a breaker for when it does not answer.

Why not aiolimiter: its bucket cannot be told to pause until the moment that a source named (`X-RateLimit-Reset`,
`Retry-After`), nor say how long the wait would be, which is what a worker with a lease has to know before it waits.
"""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatepost.mdm.sources.base import Condition, Quota

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_PAUSE = 3600.0
"""Seconds; a source that names a later moment is asked again after an hour."""

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,6})?", re.ASCII)
_EPOCH_FROM = 100_000_000  # smaller numbers are seconds from now: three years of them
_FAILURES_THAT_OPEN = 5
_OPEN_SECONDS = (15.0, 30.0, 60.0, 120.0, 300.0)


class Pace:
    """A token bucket: `rate` requests a second, `burst` at once; each waits for its turn, in order.

    `clock` counts seconds. A turn is taken when it is asked for, so that those who ask together are spread.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a rate is more than 0 requests a second, and a burst at least one")
        self._interval = 1 / rate
        self._slack = (burst - 1) / rate
        self._clock = clock
        self._next = float("-inf")  # when the bucket would be full again (the theoretical arrival time of GCRA)
        self._paused_until = float("-inf")

    def turn(self, patience: float) -> float | None:
        """Seconds until the next turn, which is taken; None, and no turn taken, where that is more than `patience`."""
        now = self._clock()
        begins = max(self._next, self._paused_until, now)
        wait = max(begins - self._slack, self._paused_until, now) - now
        if wait > patience:
            return None
        self._next = begins + self._interval
        return wait

    def pause(self, seconds: float) -> None:
        """Nobody's turn comes for so long."""
        self._paused_until = max(self._paused_until, self._clock() + min(max(seconds, 0.0), LONGEST_PAUSE))

    @property
    def paused_for(self) -> float:
        """Seconds that a pause still lasts; 0 without one."""
        return max(0.0, self._paused_until - self._clock())


class Breaker:
    """After five failures in a row the source is left alone, for 15 seconds and then longer; then one request tries."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._failures = 0
        self._openings = 0
        self._open_until: datetime | None = None
        self._last_error: str | None = None

    def closed_in(self) -> float:
        """Seconds until a request may be tried; 0 now. The one that may try holds off the others until it is done."""
        if self._open_until is None:
            return 0.0
        left = (self._open_until - self._now()).total_seconds()
        if left > 0:
            return left
        self._open_until = self._now() + timedelta(seconds=_OPEN_SECONDS[0])
        return 0.0

    def succeeded(self) -> None:
        """An answer came that shows a source at work, whatever it said."""
        self._failures = self._openings = 0
        self._open_until = self._last_error = None

    def failed(self, reason: str) -> None:
        """No answer, or none that a source at work gives."""
        self._failures += 1
        self._last_error = reason
        if self._failures >= _FAILURES_THAT_OPEN:
            seconds = _OPEN_SECONDS[min(self._openings, len(_OPEN_SECONDS) - 1)]
            self._openings += 1
            self._open_until = self._now() + timedelta(seconds=seconds)

    @property
    def condition(self) -> Condition:
        """What is known of the source."""
        open_until = self._open_until if self._open_until is not None and self._open_until > self._now() else None
        return Condition(self._failures, open_until, self._last_error)


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer's headers say about when to ask again: the quota, and the seconds to wait, None for no wait."""

    quota: Quota | None
    wait: float | None


def told(status: int, headers: Mapping[str, str], now: datetime) -> Told:
    """Read `Retry-After` and `[X-]RateLimit-{Limit,Remaining,Reset}`; names in `headers` are in lower case.

    A wait follows from status 429 or 503 with either, and from a quota that is used up.
    """
    limit, remaining = (_number(headers, name) for name in ("limit", "remaining"))
    reset = _number(headers, "reset")
    in_seconds = None if reset is None else (reset - now.timestamp() if reset >= _EPOCH_FROM else reset)
    in_seconds = None if in_seconds is None else min(max(in_seconds, 0.0), LONGEST_PAUSE)
    quota = None
    if limit is not None or remaining is not None:
        reset_at = now + timedelta(seconds=in_seconds) if in_seconds is not None else None
        whole = [int(one) if one is not None else None for one in (limit, remaining)]
        quota = Quota(whole[0], whole[1], reset_at)
    wait = None
    if status in (429, 503):
        after = _retry_after(headers.get("retry-after", ""), now)
        wait = after if after is not None else in_seconds
    elif remaining is not None and remaining < 1:
        wait = in_seconds
    return Told(quota, wait)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    for prefix in ("x-ratelimit-", "x-rate-limit-", "ratelimit-"):
        value = headers.get(prefix + name, "").strip()
        if _NUMBER.fullmatch(value):
            return float(value)
    return None


def _retry_after(value: str, now: datetime) -> float | None:
    """RFC 9110 10.2.3: seconds, or a date."""
    value = value.strip()
    if _NUMBER.fullmatch(value):
        return min(float(value), LONGEST_PAUSE)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return min(max((moment - now).total_seconds(), 0.0), LONGEST_PAUSE)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None

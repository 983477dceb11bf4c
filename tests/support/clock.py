"""A clock that stands still until it is told, or slept on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


class Clock:
    """The time of day, a monotonic clock and `sleep`, all moving together; `slept` are the pauses that were asked for."""

    def __init__(self, start: datetime = NOON) -> None:
        self._start = start
        self.elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The time of day."""
        return self._start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        """Seconds."""
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        """At once, with the clock so much further."""
        self.slept.append(seconds)
        self.elapsed += seconds

    def advance(self, seconds: float) -> None:
        """So much later."""
        self.elapsed += seconds

"""Log lines about requests that were not let in: few, however many there are, in a memory that does not grow.

Whoever has no key can send as many requests as the network carries. Each one is counted in the metrics; the log has the first
of each kind in a minute, and how many more there were.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS = 60.0
LINES = 20  # enough for every program that has been set up wrongly, and at most 28 800 lines a day

_log = structlog.get_logger("gatepost.control")


class RefusalLog:
    """Writes the first refusal for each key and error in a window, up to `LINES`, and counts the others. For many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._since = clock()
        self._written: set[tuple[str | None, str]] = set()
        self._unwritten = 0

    def note(self, access_key_id: str | None, error: str, **facts: Any) -> None:
        """A request that claims to be this key's was refused."""
        with self._lock:
            self._turn()
            kind = (access_key_id, error)
            if kind in self._written or len(self._written) >= LINES:
                self._unwritten += 1
                return
            self._written.add(kind)
        _log.warning("request refused", access_key_id=access_key_id, error=error, **facts)

    def settle(self) -> None:
        """Tell what was counted in a window that is over; costs nothing while there is nothing to tell."""
        with self._lock:
            self._turn()

    def _turn(self) -> None:
        now = self._clock()
        if now - self._since < WINDOW_SECONDS:
            return
        if self._unwritten:
            _log.warning("more requests refused", requests=self._unwritten, seconds=round(now - self._since))
        self._since, self._unwritten = now, 0
        self._written.clear()

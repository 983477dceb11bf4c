"""Log lines that anybody on the internet, or one user, can cause: some a second, and a count of the others."""

from __future__ import annotations

from typing import Any

import structlog

log = structlog.get_logger(__name__)

_EACH_SECOND = 10  # of one event, or of one event about one user


class Notices:
    """Writes them; `sweep` is to be called about every second."""

    def __init__(self, each_second: int = _EACH_SECOND) -> None:
        self._each_second = each_second
        self._said: dict[tuple[str, str], int] = {}

    def say(self, event: str, of: str = "", **fields: Any) -> None:
        """Log, unless the same event was logged too often in this second; `of` whom, where each user has lines of his own."""
        count = self._said[event, of] = self._said.get((event, of), 0) + 1
        if count <= self._each_second:
            log.info(event, **fields)

    def sweep(self) -> None:
        """A new second; tells how many lines the last one left out."""
        if self._said:
            said, self._said = self._said, {}
            for (event, of), count in said.items():
                if count > self._each_second:
                    whose = {"user_id": of} if of else {}
                    log.warning("log.left_out", about=event, lines=count - self._each_second, **whose)

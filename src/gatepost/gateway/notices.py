"""Log lines that anybody on the internet can cause: some a second, and a count of the others."""

from __future__ import annotations

from typing import Any

import structlog

log = structlog.get_logger(__name__)

_EACH_SECOND = 10  # of one event


class Notices:
    """Writes them; `sweep` is to be called about every second."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def say(self, event: str, **fields: Any) -> None:
        """Log, unless the same event was logged too often in this second."""
        count = self._said[event] = self._said.get(event, 0) + 1
        if count <= _EACH_SECOND:
            log.info(event, **fields)

    def sweep(self) -> None:
        """A new second; tells how many lines the last one left out."""
        if self._said:
            said, self._said = self._said, {}
            for event, count in said.items():
                if count > _EACH_SECOND:
                    log.warning("log.left_out", about=event, lines=count - _EACH_SECOND)

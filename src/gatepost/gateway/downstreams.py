"""All open connections from phones, and what happens when there are too many."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.gateway.downstream import Downstream

log = structlog.get_logger(__name__)

_AT_ONCE = 64  # closed together, so that a crowd at the door does not have all of them looked at for each newcomer


class Downstreams:
    """`most` connections at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Downstream] = set()
        self._told = False

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def __iter__(self) -> Iterator[Downstream]:
        """Those there are at this moment."""
        return iter(tuple(self._open))

    def add(self, downstream: Downstream) -> bool:
        """A phone is here; False when there is no room for it.

        Room is made by closing those that wait for nothing and have done so the longest: their phones connect again when
        they want something.
        """
        if len(self._open) >= self._most:
            if not self._told:
                self._told = True
                log.warning("connections.full", limit=self._most, setting="limits.connections")
            idle = nsmallest(
                min(_AT_ONCE, 1 + self._most // 16),
                (one for one in self._open if one.idle),
                key=lambda one: one.deadline,
            )
            for one in idle:
                one.abort()
                self._open.discard(one)
            if not idle:
                return False
        self._open.add(downstream)
        return True

    def discard(self, downstream: Downstream) -> None:
        """A phone has gone."""
        self._open.discard(downstream)
        if len(self._open) < self._most // 2:
            self._told = False

"""Overrides by the moment at which they expire."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from gatepost.model import MobileDeviceAccessOverride


class Expiring:
    """The next ones first. One that was replaced or deleted meanwhile is still given: the rules know better."""

    def __init__(self, overrides: Iterable[MobileDeviceAccessOverride] = ()) -> None:
        self._number = count()
        self._heap = [(one.expires, next(self._number), one) for one in overrides if one.expires is not None]
        heapify(self._heap)

    def __len__(self) -> int:
        """How many are waited for."""
        return len(self._heap)

    def add(self, override: MobileDeviceAccessOverride) -> None:
        """One more, if it expires at all."""
        if override.expires is not None:
            heappush(self._heap, (override.expires, next(self._number), override))

    def due(self, now: datetime) -> Iterator[MobileDeviceAccessOverride]:
        """Those whose time is up, each once."""
        while self._heap and self._heap[0][0] <= now:
            yield heappop(self._heap)[2]

"""A token bucket for each access key, so that one program that runs wild leaves room for the others.

It is asked once a signature was found true: a stranger who knows the id of a key cannot use up its requests, and there are
never more buckets than keys.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from gatepost.control.failures import throttled

if TYPE_CHECKING:
    from collections.abc import Callable


class Throttle:
    """`requests_per_second` on the average, `burst` at once; 0 requests per second are no limit. For many threads."""

    def __init__(self, requests_per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = requests_per_second
        self._burst = float(burst)
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # by access key id: how full, and when

    def admit(self, access_key_id: str) -> None:
        """Take one token. Raises `RequestError`, `ThrottlingException`, where there is none; a refusal costs nothing."""
        if self._rate <= 0:
            return
        with self._lock:
            now = self._clock()
            tokens, at = self._buckets.get(access_key_id, (self._burst, now))
            tokens = min(self._burst, tokens + max(0.0, now - at) * self._rate)
            admitted = tokens >= 1
            self._buckets[access_key_id] = (tokens - 1 if admitted else tokens, now)
        if not admitted:
            raise throttled()

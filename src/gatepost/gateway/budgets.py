"""How many wrong passwords the mail server is asked about, so that nobody can guess, or lock an account, through us.

By device where the device has logged in before, else by login: never by address alone, because a whole mobile network
comes from one. Whoever does not know the id of a phone that is in use can not spend that phone's budget.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 100_000  # keys, about 15 MB


class FailedLogins:
    """`burst` tries in a row for each key, and one more every `seconds`; `clock` in seconds.

    A try is taken before the mail server is asked, so that a thousand tries at the same moment are not a thousand
    questions, and given back when it did not fail.
    """

    def __init__(self, burst: int, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most_ahead = (burst - 1) * seconds
        self._clock = clock
        # When the key's last try will have been made up for (the generic cell rate algorithm, ITU-T I.371).
        self._until: dict[bytes, float] = {}

    def __len__(self) -> int:
        """How many keys have tries to make up for."""
        return len(self._until)

    def take(self, key: bytes) -> float:
        """Take a try: 0.0 when it is granted, else the seconds until one will be."""
        now = self._clock()
        until = max(self._until.get(key, 0.0), now)
        wait = until - now - self._most_ahead
        if wait > 0:
            return wait
        if key not in self._until and len(self._until) >= _MOST:
            self._make_room(now)
        self._until[key] = until + self._seconds
        return 0.0

    def give_back(self, key: bytes) -> None:
        """A try that was taken did not fail."""
        until = self._until.get(key)
        if until is None:
            return
        until -= self._seconds
        if until > self._clock():
            self._until[key] = until
        else:
            del self._until[key]

    def _make_room(self, now: float) -> None:
        """Those with the fewest tries to make up for go, so that nobody gets new ones by a crowd of made-up logins."""
        kept = [(key, until) for key, until in self._until.items() if until > now]
        self._until = dict(kept if len(kept) < _MOST else sorted(kept, key=itemgetter(1))[-(_MOST // 2) :])

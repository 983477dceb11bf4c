"""Which credentials the mail server accepted, and which it refused, lately: remembered under a salted hash.

Three things are done with it. Nothing that somebody sends who has never logged in reaches the mail server, except the
question whether he can. Nothing is told to, or recorded for, anybody whose last login is minutes ago. And the same wrong
credentials, from a phone that nobody told of the new password, are not tried again and again until the account is locked.
"""

from __future__ import annotations

import secrets
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FRESH_SECONDS = 300.0  # a changed password keeps telling a device that it is refused for at most this long
KNOWN_SECONDS = (
    86_400.0  # as long as a request may be passed on at once: there the mail server judges the credentials itself
)
_MOST_ACCEPTED = 100_000  # about 25 MB
_MOST_REFUSED = 20_000  # about 4 MB; kept apart, so that a flood of wrong ones drives out no right ones


class Credentials:
    """What is known of one Authorization header; times of the gateway's clock, 0.0 is never."""

    __slots__ = ("fresh_until", "known_until")

    def __init__(self) -> None:
        self.fresh_until = self.known_until = 0.0

    def accept(self, now: float) -> None:
        """The mail server let somebody in with it."""
        self.fresh_until = now + FRESH_SECONDS
        self.known_until = now + KNOWN_SECONDS

    def refuse(self) -> None:
        """The mail server did not: whoever still holds this object is to look again."""
        self.fresh_until = self.known_until = 0.0


class Proofs:
    """All of it; `refused_seconds` is how long a refusal is remembered, `clock` in seconds."""

    def __init__(self, refused_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refused_seconds = refused_seconds
        self._salt = secrets.token_bytes(32)
        self._accepted: dict[bytes, Credentials] = {}
        self._refused: dict[bytes, float] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._accepted) + len(self._refused)

    def key(self, text: bytes) -> bytes:
        """What stands for a text that is not kept."""
        return blake2b(text, key=self._salt, digest_size=24).digest()

    def find(self, authorization: bytes) -> Credentials | None:
        """What is known of credentials that were accepted within a day, else None."""
        return self._accepted.get(self.key(authorization))

    def remember(self, authorization: bytes) -> None:
        """The mail server accepted these."""
        key, now = self.key(authorization), self._clock()
        self._refused.pop(key, None)
        credentials = self._accepted.get(key)
        if credentials is None:
            if len(self._accepted) >= _MOST_ACCEPTED:
                self._make_room(now)
            credentials = self._accepted[key] = Credentials()
        credentials.accept(now)

    def forget(self, authorization: bytes) -> bool:
        """The mail server refused these; True when that is news."""
        key, now = self.key(authorization), self._clock()
        credentials = self._accepted.pop(key, None)
        if credentials is not None:
            credentials.refuse()
        news = self._refused.get(key, 0.0) <= now
        if len(self._refused) >= _MOST_REFUSED:
            self._refused = {one: until for one, until in self._refused.items() if until > now}
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
        self._refused[key] = now + self._refused_seconds
        return news

    def refuses(self, authorization: bytes) -> bool:
        """True while a refusal is young enough not to be asked about again."""
        return self._refused.get(self.key(authorization), 0.0) > self._clock()

    def _make_room(self, now: float) -> None:
        """Those whose time is up go, else the half that was first accepted the longest ago: it is asked about again."""
        kept = [(key, one) for key, one in self._accepted.items() if one.known_until > now]
        self._accepted = dict(kept if len(kept) < _MOST_ACCEPTED else kept[_MOST_ACCEPTED // 2 :])

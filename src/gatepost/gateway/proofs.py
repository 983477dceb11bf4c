"""Whether credentials were accepted by the mail server lately, remembered under a salted hash.

Nothing is told to, or recorded for, someone who cannot log in: before a refusal the credentials are proven by an
OPTIONS with them (`Prober`), and the outcome is kept for minutes, so that a refused phone that retries does not turn
every try into a login at the mail server.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from gatepost.gateway.upstream import Reply, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.gateway.upstream import Upstream

_REMEMBERED_SECONDS = 300.0  # a changed password keeps telling a device that it is refused for at most this long
_MOST_REMEMBERED = 100_000  # about 20 MB
_WAIT_SECONDS = 30.0  # a phone waits longer than this; a mail server that does not answer an OPTIONS in it is down


@dataclass(frozen=True, slots=True)
class Proof:
    """What the mail server said to an OPTIONS: `status` as answered, 503 when it could not be asked."""

    status: int

    @property
    def accepted(self) -> bool:
        """True when the credentials let the user in."""
        return self.status == 200


class Proofs:
    """Accepted credentials; `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(32)
        self._until: dict[bytes, float] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._until)

    def _key(self, authorization: bytes) -> bytes:
        return blake2b(authorization, key=self._salt, digest_size=24).digest()

    def remember(self, authorization: bytes) -> None:
        """The mail server accepted these."""
        if len(self._until) >= _MOST_REMEMBERED:
            now = self._clock()
            self._until = {key: until for key, until in self._until.items() if until > now}
            if len(self._until) >= _MOST_REMEMBERED:
                self._until.clear()
        self._until[self._key(authorization)] = self._clock() + _REMEMBERED_SECONDS

    def forget(self, authorization: bytes) -> None:
        """The mail server refused these."""
        self._until.pop(self._key(authorization), None)

    def remembers(self, authorization: bytes) -> bool:
        """True while an acceptance is young enough."""
        return self._until.get(self._key(authorization), 0.0) > self._clock()


class Prober:
    """Proves credentials; phones that ask about the same ones at the same time share one question."""

    def __init__(self, upstream: Upstream, proofs: Proofs) -> None:
        self._upstream = upstream
        self._proofs = proofs
        self._asking: dict[bytes, asyncio.Task[Proof]] = {}

    def prove(self, authorization: bytes) -> asyncio.Task[Proof]:
        """A task whose result is the proof; it never fails."""
        task = self._asking.get(authorization)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(authorization))
            self._asking[authorization] = task
            task.add_done_callback(lambda _: self._asking.pop(authorization, None))
        return task

    async def _ask(self, authorization: bytes) -> Proof:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                reply: Reply = await self._upstream.ask(b"OPTIONS", (b"Authorization: " + authorization,))
        except (UpstreamError, TimeoutError, OSError):
            return Proof(503)
        if reply.status == 200:
            self._proofs.remember(authorization)
        elif reply.status == 401:
            self._proofs.forget(authorization)
        return Proof(reply.status)

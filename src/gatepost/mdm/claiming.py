"""Dirty rows of some sources, claimed as there is room for them, each looked after by a task of its own.

Each source has room of its own, so that one that is slow keeps nobody else's devices waiting. A hint (`wake`) makes it prompt,
a poll makes it certain: rows may be marked by another process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from gatepost.mdm.identity import is_dead, this_process
from gatepost.mdm.settling import back_off
from gatepost.store import mdm_work
from gatepost.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from gatepost.model import Claim
    from gatepost.store.database import Store

log = structlog.get_logger(__name__)

LEASE_SECONDS = 120.0
"""Four times as long as one run may take (`worker.FETCH_SECONDS` and a transaction)."""

_STORE_AWAY_SECONDS = 1.0

T = TypeVar("T")


class Call(Protocol):
    """Runs something that blocks in a thread of the bridge's."""

    async def __call__(self, function: Callable[..., T], /, *args: object) -> T:
        """Its result, or what it raises."""


class Claiming:
    """Claims what is due of `sources()` and gives each claim to `look_after`, `limit` at a time of each source.

    `look_after` ends its claim; when it raises, the row is tried again with back-off, and parked after `park_after`
    attempts.
    """

    def __init__(
        self,
        store: Store,
        call: Call,
        sources: Callable[[], Collection[str]],
        look_after: Callable[[Claim], Awaitable[None]],
        *,
        limit: int,
        park_after: int,
        poll: float = 0.2,
    ) -> None:
        self._store = store
        self._call = call
        self._sources = sources
        self._look_after = look_after
        self._limit = limit
        self._park_after = park_after
        self._poll = poll
        self._owner = this_process()
        self._event = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._claims: set[Claim] = set()

    def wake(self) -> None:
        """Something may be due; only in the event loop."""
        self._event.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._round()
            except StoreError as error:
                log.warning("mdm.store_away", error=str(error))
                await asyncio.sleep(_STORE_AWAY_SECONDS)

    async def stop(self) -> None:
        """End what is being looked after, and give its claims back, uncounted. `run` has been cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._claims:
            with contextlib.suppress(StoreError):
                await self._call(self._release, list(self._claims))

    async def _round(self) -> None:
        """Claim what is due, then wait: for a hint, for room, or for the next poll."""
        self._event.clear()  # before the look: a hint that comes during it is for the next one
        busy = self._busy
        room = {one: self._limit - busy[one] for one in self._sources() if busy[one] < self._limit}
        claims = await self._call(self._claim, room) if room else []
        for claim in claims:
            self._claims.add(claim)
            task = asyncio.create_task(self._one(claim))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, claim))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll):
                await self._event.wait()

    @property
    def _busy(self) -> Counter[str]:
        """How many of each source are being looked after."""
        return Counter(one.source for one in self._claims)

    def _ended(self, claim: Claim, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._busy[claim.source] <= self._limit // 2:  # not one claim, and so one commit, for each that ends
            self._event.set()

    async def _one(self, claim: Claim) -> None:
        try:
            if claim.attempts > self._park_after:  # those before did not come to an end: it takes its worker with it
                await self._call(self._failed, claim, "the bridge has come to an end over it each time")
            else:
                await self._look_after(claim)
        except StoreError as error:
            log.warning("mdm.store_away", error=str(error))  # the lease ends, and somebody else takes it
        except Exception as error:
            log.exception("mdm.not_looked_after", source=claim.source, device=claim.device_key)
            with contextlib.suppress(Exception):  # the lease ends
                await self._call(self._failed, claim, f"an error of the bridge: {type(error).__name__}")
        self._claims.discard(claim)

    def _claim(self, room: Mapping[str, int]) -> list[Claim]:
        with self._store.read() as reader:  # which costs other writers nothing
            due = mdm_work.due_sources(reader, room.keys())
        if not due:
            return []
        with self._store.bookkeeping() as writer:
            return [
                claim
                for one in due
                for claim in mdm_work.claim(writer, LEASE_SECONDS, room[one], sources=[one], owner=self._owner)
            ]

    def _failed(self, claim: Claim, error: str) -> None:
        with self._store.bookkeeping() as writer:
            mdm_work.fail(writer, claim, error, writer.now + back_off(claim.attempts), self._park_after)

    def _release(self, claims: list[Claim]) -> None:
        with self._store.bookkeeping() as writer:
            for claim in sorted(claims, key=lambda one: (one.source, one.device_key)):
                mdm_work.release(writer, claim)


def release_dead(store: Store) -> int:
    """Give back what processes of this machine had claimed that are not there any more; how much that was."""
    with store.read() as reader:
        dead = sorted(one for one in mdm_work.owners(reader) if is_dead(one))
    if not dead:
        return 0
    with store.bookkeeping() as writer:
        return sum(mdm_work.release_of(writer, one) for one in dead)

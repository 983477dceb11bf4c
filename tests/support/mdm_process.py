"""One process's bridge without its tasks: each of its parts is told when to do its work, and it can be killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.support.mdm_world import Desk
from tests.support.workmail import CONFIGURATION

from gatepost.mdm.delivery import Delivery
from gatepost.mdm.first_seen import FirstSeen
from gatepost.mdm.settling import target_key
from gatepost.mdm.sweep import Sweeps, sweep_key
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.store import feed, mdm_work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.mdm_world import Clock, MemorySource
    from tests.support.workmail import WorkMailInMemory

    from gatepost.mdm.options import BridgeOptions
    from gatepost.mdm.settling import Looked
    from gatepost.model import Claim
    from gatepost.store.database import Store

REMOTE = "workmail"


class Killed(BaseException):
    """kill -9."""


class Process:
    """Several may share a store, sources and WorkMail. `held` is what this one has asked about and not written."""

    def __init__(
        self,
        store: Store,
        sources: Sequence[MemorySource],
        clock: Clock,
        options: BridgeOptions,
        cloud: WorkMailInMemory,
    ) -> None:
        first, *more = sources
        self._store = store
        self._cloud = cloud
        self.desk = Desk(store, first, clock, options, (REMOTE,), tuple(more))
        self.restart()

    def restart(self) -> None:
        """It was killed, and there is another one."""
        desk = self.desk
        desk.restart()
        target = WorkMailTarget(CONFIGURATION, "gate", client=self._cloud)
        self.held: list[Looked] = []
        self.delivery = Delivery(
            self._store, _call, target, desk.options, sources=list(desk.sources), metrics=desk.metrics
        )
        self._seen = FirstSeen(self._store, _call, desk.sources, desk.options, local="store", wake=_nothing)
        self._read = feed.position(self._store)

    def follow(self) -> None:
        """Hear of what has changed in the store since it started."""
        changes = feed.changes_after(self._store, self._store.epoch, self._read)
        if changes:
            self._read = changes[-1].revision
            self._seen._changed(changes, _AtOnce())

    def ask(self, limit: int, lease: float) -> None:
        """Claim and ask, and write later."""
        self.held += [self.desk.look(claim) for claim in self.desk.claim(limit, lease)]

    def write(self) -> None:
        """Write what is held, whether it is still time or not."""
        held, self.held = self.held, []
        self.desk.settling.settle(held)

    def sweep(self) -> None:
        """List all sources, and mark what there is to look at."""
        desk = self.desk
        sweeps = Sweeps(self._store, _call, desk.sources, desk.options, targets=["store", REMOTE])
        sweeps.ask(desk.sources)
        keys = [sweep_key(name) for name in desk.sources]
        with self._store.bookkeeping() as writer:
            claims = mdm_work.claim(writer, 60, len(keys), sources=keys)
        asyncio.run(_each(sweeps._sweep, claims))

    def deliver(self, kill: str | None = None) -> None:
        """Write to WorkMail what is due; after its first call named `kill` the process is killed."""

        def die(name: str) -> None:
            if name == kill:
                raise Killed

        with self._store.bookkeeping() as writer:
            claims = mdm_work.claim(writer, 120, 100, sources=[target_key(REMOTE)])
        self._cloud.after = die
        try:
            if claims:
                asyncio.run(_each(self.delivery.deliver, claims))
        except Killed:
            self.restart()
        self._cloud.after = None


class _AtOnce:
    """An event loop, as far as the thread that reads the feed sees one."""

    def call_soon_threadsafe(self, function: Callable[..., object], /, *args: object) -> None:
        function(*args)


async def _each(function: Callable[[Claim], Any], claims: Sequence[Claim]) -> None:
    for claim in claims:
        await function(claim)


async def _call(function: Callable[..., Any], /, *args: object) -> Any:
    return function(*args)


def _nothing() -> None:
    pass

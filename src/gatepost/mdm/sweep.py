"""Sweeps: every device of a source is marked dirty, at start, every few hours, and after an outage; nothing else is done.

Theory of operation. A sweep is itself a dirty row, leased like a device's, so that of several processes one lists, a
crash is followed by another try, and a person can ask for one. It marks what the source lists, and what is known and was
not listed: only being asked about can make a device gone. Then it marks what was written for devices that are not known
any more. Once what it marked has been looked at, the mass-change guard is told (`guard`). A listing that lost more than
half of what the last one had raises that alarm itself, and what it lacks is not even asked about until somebody confirms.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from gatepost.engine.posture import shrunk
from gatepost.mdm.claiming import LEASE_SECONDS, Claiming
from gatepost.mdm.guard import Guard, confirmed, stands
from gatepost.mdm.lasting import lasting
from gatepost.mdm.settling import back_off
from gatepost.mdm.sources.base import SourceError
from gatepost.store import mdm_applied, mdm_devices, mdm_inbox, mdm_looks, mdm_sources, mdm_work
from gatepost.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from gatepost.mdm.claiming import Call
    from gatepost.mdm.options import BridgeOptions
    from gatepost.mdm.sources.base import Source
    from gatepost.model import Claim, SourceState
    from gatepost.store.database import Reader, Store

log = structlog.get_logger(__name__)

WHOLE = "all"
"""The device key of a sweep's row."""

_BATCH = 500
_PURGED = 5_000  # notifications in one transaction: others wait for it
_NEVER = 1_000_000_000  # attempts; a sweep is not parked
_WATCH_SECONDS = 1.0
_FAILURES_OF_AN_OUTAGE = 5
_MISSED_SECONDS = 5.0  # since the last that was missed: the trouble is over
_HOURS = 6.0


def sweep_key(source: str) -> str:
    """The `source` of the row by which the source's sweeps are due."""
    return f"sweep:{source}"


class Sweeps:
    """The sweeps of all sources. `after_sweep` is awaited when one has marked everything."""

    def __init__(
        self,
        store: Store,
        call: Call,
        sources: Mapping[str, Source],
        options: BridgeOptions,
        *,
        targets: Sequence[str] = (),
        after_sweep: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._call = call
        self._sources = sources
        self._options = options
        self._targets = tuple(targets)  # ALLOWs are counted at the first
        self._after_sweep = after_sweep
        self._away: set[str] = set()
        self._missed: dict[str, float] = {}
        keys = [sweep_key(name) for name in sources]
        self._claiming = Claiming(
            store, call, lambda: keys, self._sweep, limit=1, park_after=_NEVER, poll=_WATCH_SECONDS
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Ask for a sweep of each source, and go on doing so on time."""
        await self._call(self.ask, list(self._sources))
        self._tasks = [
            asyncio.create_task(lasting("sweeps", self._claiming.run)),
            asyncio.create_task(lasting("sweeps.watch", self._watch)),
        ]

    async def stop(self) -> None:
        """Sweep no more; one that is under way is begun anew by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await self._claiming.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ask(self, sources: Iterable[str]) -> None:
        """A sweep of each of them is due. Blocking."""
        with self._store.bookkeeping() as writer:
            mdm_work.dirty_many(writer, [(sweep_key(name), WHOLE) for name in sources])

    def missed(self, source: str) -> None:
        """A notification of the source could not be taken, and will hardly be sent again; only in the event loop."""
        self._missed[source] = time.monotonic()

    async def _sweep(self, claim: Claim) -> None:
        name = claim.source.removeprefix("sweep:")
        try:
            before = await self._call(self._begin, name)
            listed = await self._list(claim, self._sources[name])
            if listed is None:
                return  # somebody else took it over
            await self._call(self._finish, claim, before, listed)
        except SourceError as error:
            log.warning("mdm.sweep_failed", source=name, error=str(error))
            await self._call(self._put_off, claim, str(error))
            return
        if self._after_sweep is not None:
            await self._after_sweep()

    def _begin(self, name: str) -> SourceState:
        """The source's state before; from here on what turns is counted."""
        self._forget_notifications(name)  # here, because a source that cannot be listed goes on sending
        with self._store.begin() as transaction:  # the writers' turn: nobody is counting meanwhile
            before = mdm_sources.get(transaction, name)
            allowed = self._allowed(transaction, name)
            if before.sweep_settled_at is not None or before.sweep_started_at is None:
                mdm_looks.clear(transaction, name)
            else:  # what the last one has not come to the end of is counted on: nobody gets a few more with each try
                allowed = max(allowed, before.sweep_allowed or 0)
            begun = {"sweep_started_at": transaction.now, "sweep_settled_at": None, "sweep_position": None}
            mdm_sources.change(transaction, name, sweep_allowed=allowed, **begun)
        log.info("mdm.sweep", source=name)
        return before

    def _allowed(self, reader: Reader, name: str) -> int:
        """How many of the source's devices have an ALLOW, at the target that counts."""
        return mdm_applied.allowed(reader, self._targets[0], name) if self._targets else 0

    async def _list(self, claim: Claim, source: Source) -> set[str] | None:
        """The keys that it lists, marked as they come; None when the claim was lost meanwhile."""
        listed: set[str] = set()
        fresh: list[str] = []
        held: Claim | None = claim
        totals: list[int | None] = [None]

        def progress(_: int, total: int | None) -> None:
            totals[0] = total

        if source.lists:
            async for key in source.list(progress):
                if key not in listed:
                    listed.add(key)
                    fresh.append(key)
                if len(fresh) == _BATCH and held is not None:
                    of = "" if totals[0] is None else f" of {totals[0]}"
                    held = await self._call(self._mark, held, source.name, fresh, f"{len(listed)}{of}")
                    fresh = []
                if held is None:
                    return None
        held = held and await self._call(self._mark, held, source.name, fresh, str(len(listed)))
        return listed if held is not None else None

    def _mark(self, claim: Claim, source: str, keys: list[str], position: str) -> Claim | None:
        with self._store.bookkeeping() as writer:
            held = mdm_work.extend(writer, claim, LEASE_SECONDS)
            if held is not None:
                mdm_work.dirty_many(writer, [(source, key) for key in keys])
                mdm_sources.change(writer, source, sweep_position=position)  # last, as whoever settles locks it last
            return held

    def _finish(self, claim: Claim, before: SourceState, listed: set[str]) -> None:
        name = before.source
        source = self._sources[name]
        too_few = source.lists and shrunk(len(listed), before.listed) and not confirmed(before)
        if not too_few:
            self._mark_known(name, listed)
        self._mark_orphans(name)
        self._forget_old(name)
        hours = self._options.sweep_hours.get(name, _HOURS)
        with self._store.bookkeeping() as writer:
            changes: dict[str, object] = {"sweep_finished_at": writer.now, "sweep_position": None}
            if too_few:
                reason = f"the listing has {len(listed)} devices, and had {before.listed} before"
                changes |= {"guard": reason, "guard_since": before.guard_since or writer.now}
                log.error("mdm.guard_stands", source=name, reason=reason)
            else:
                changes["listed"] = len(listed)
                if stands(before) and _listing_shrank(before):
                    changes |= {"guard": None, "guard_since": None}
            again = writer.now + timedelta(hours=hours) * random.uniform(0.95, 1.0)  # noqa: S311 - spreads sweeps
            if not mdm_work.done(writer, claim, again):
                return  # somebody else sweeps
            mdm_sources.change(writer, name, **changes)
        log.info("mdm.sweep_listed", source=name, devices=len(listed))

    def _mark_known(self, name: str, listed: set[str]) -> None:
        """What is known and was not listed is asked about; what is gone is known to be."""
        after: tuple[str, str] | None = None
        while True:
            with self._store.read() as reader:
                page = mdm_devices.page(reader, after, _BATCH, source=name)
            if not page:
                return
            keys = [one.posture.device_key for one in page if not one.posture.gone]
            self._mark_all(name, [key for key in keys if key not in listed])
            after = (name, page[-1].posture.device_key)

    def _mark_orphans(self, name: str) -> None:
        for target in self._targets:
            with self._store.read() as reader:
                orphans = mdm_applied.orphans(reader, target)
            self._mark_all(name, [one.device_key for one in orphans if one.source == name])

    def _mark_all(self, name: str, keys: list[str]) -> None:
        with self._store.bookkeeping() as writer:
            mdm_work.dirty_many(writer, [(name, key) for key in keys])

    def _forget_old(self, name: str) -> None:
        """Devices that are gone are kept for some days."""
        with self._store.bookkeeping() as writer:
            before = writer.now - timedelta(days=self._options.keep_days)
            for key in mdm_devices.gone_before(writer, name, before):
                if not mdm_applied.of_device(writer, name, key):
                    mdm_devices.forget(writer, name, key)

    def _forget_notifications(self, name: str) -> None:
        """Notifications are kept for some days; however many came, all of the older ones go."""
        forgotten = _PURGED
        while forgotten == _PURGED:
            with self._store.bookkeeping() as writer:
                before = writer.now - timedelta(days=self._options.keep_days)
                forgotten = mdm_inbox.purge(writer, name, before, _PURGED)

    def _put_off(self, claim: Claim, error: str) -> None:
        with self._store.bookkeeping() as writer:
            mdm_work.fail(writer, claim, error, writer.now + back_off(claim.attempts), _NEVER)

    async def _watch(self) -> None:
        """See outages end, and sweeps worked off."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                await self.look()
            except StoreError as error:
                log.warning("mdm.store_away", error=str(error))

    async def look(self) -> None:
        """One look: a source that is back, or whose notifications were missed, is swept; what is looked at is settled."""
        for name, at in list(self._missed.items()):
            if time.monotonic() - at >= _MISSED_SECONDS:
                await self._call(self.ask, [name])
                del self._missed[name]
        for name, source in self._sources.items():
            if source.condition.failures >= _FAILURES_OF_AN_OUTAGE:
                self._away.add(name)
            elif name in self._away and source.condition.failures == 0:
                await self._call(self.ask, [name])
                self._away.discard(name)
        for name in await self._call(self._unsettled):
            await self._call(self._settle, name)

    def _unsettled(self) -> list[str]:
        """The sources whose last sweep has marked everything, and not everything has been looked at yet."""
        with self._store.read() as reader:
            states = [one for one in mdm_sources.list(reader) if one.source in self._sources]
        return [one.source for one in states if _to_settle(one)]

    def _settle(self, name: str) -> None:
        """Once everything that the sweep marked has been looked at, the guard draws its conclusion."""
        with self._store.read() as reader:
            backlog = mdm_work.backlog(reader, name)
            state = mdm_sources.get(reader, name)
            allowed = min(state.sweep_allowed or 0, self._allowed(reader, name))
            counts = mdm_looks.counts(reader, name)
        guard = Guard(state, allowed, {}, lambda: counts)
        if backlog.due or backlog.leased or state.sweep_allowed is None or not (_to_settle(state) and guard.covers):
            return  # what the source did not answer about is asked about again
        over = _used_up(state) or (stands(state) and not guard.too_many and not _listing_shrank(state))
        with self._store.begin() as transaction:
            if mdm_sources.get(transaction, name) != state:
                return  # another bridge was faster, or something has changed: the next look sees it
            changes: dict[str, object] = {"sweep_settled_at": transaction.now}
            if over:
                changes |= {"guard": None, "guard_since": None}
            mdm_sources.change(transaction, name, **changes)
        if over:
            log.info("mdm.guard_over", source=name, confirmed=confirmed(state))
        log.info("mdm.sweep_settled", source=name)


def _to_settle(state: SourceState) -> bool:
    """Whether the last sweep has marked everything, and it is not known that everything has been looked at."""
    started, finished = state.sweep_started_at, state.sweep_finished_at
    return state.sweep_settled_at is None and started is not None and finished is not None and finished >= started


def _used_up(state: SourceState) -> bool:
    """Whether somebody confirmed before the last sweep began: it counted for that one."""
    at, started = state.guard_confirmed_at, state.sweep_started_at
    return confirmed(state) and at is not None and started is not None and at <= started


def _listing_shrank(state: SourceState) -> bool:
    """Whether the guard stands because of a listing, and not because of what devices said."""
    return (state.guard or "").startswith("the listing ")

"""The bridge, whole: its parts made, started and stopped together.

worker      dirty devices: ask, decide, write here                (settling, deciding, targets.local)
sweep       whole listings, on time; they only mark dirty         (guard)
first_seen  phones and users that gateways and people brought up  (the store's feed)
delivery    devices to a target that is elsewhere                 (targets.workmail)
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from gatepost.mdm import observing
from gatepost.mdm.claiming import release_dead
from gatepost.mdm.delivery import Delivery
from gatepost.mdm.first_seen import FirstSeen
from gatepost.mdm.lasting import lasting
from gatepost.mdm.metrics import BridgeMetrics
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import Settling, target_key
from gatepost.mdm.sweep import Sweeps
from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.mdm.worker import Worker
from gatepost.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost.mdm.sources.base import Source
    from gatepost.store.database import Store

__all__ = ["Bridge", "BridgeOptions"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

_THREADS = 6  # the one that settles, the one that claims, and room for sweeps, deliveries and counting
_OBSERVE_SECONDS = 10.0
_PAUSE = timedelta(seconds=0.25)  # an MDM is not asked about one device without a break, whatever storm there is


class Bridge:
    """The bridge of one process; several processes may run one for the same store."""

    def __init__(
        self,
        store: Store,
        options: BridgeOptions,
        sources: Sequence[Source],
        targets: Sequence[LocalTarget | WorkMailTarget],
    ) -> None:
        self.metrics = BridgeMetrics()
        self.watched = observing.Watched()
        self._store = store
        self._sources = {source.name: source for source in sources}
        self._threads = ThreadPoolExecutor(_THREADS, "mdm")
        local = next((one for one in targets if isinstance(one, LocalTarget)), None)
        remote = [one for one in targets if isinstance(one, WorkMailTarget)]
        self._targets = [one.name for one in targets]
        self._delivered = [target_key(one.name) for one in remote]
        written_at = (local, [one.name for one in remote])
        settling = Settling(store, options, self._sources, written_at, self.metrics, pause=_PAUSE)
        self._worker = Worker(store, self._call, self._sources, settling, options)
        self._deliveries = [
            Delivery(store, self._call, one, options, sources=self._sources, metrics=self.metrics) for one in remote
        ]
        name = "" if local is None else local.name
        self._first_seen = FirstSeen(store, self._call, self._sources, options, local=name, wake=self.wake)
        self._sweeps = Sweeps(
            store,
            self._call,
            self._sources,
            options,
            targets=self._targets,
            after_sweep=self._after_sweep,
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, in the running event loop. Raises StoreError."""
        released = await self._call(release_dead, self._store)
        if released:
            log.info("mdm.claims_of_the_dead", devices=released)
        self._worker.start()
        for delivery in self._deliveries:
            delivery.start()
        self._first_seen.start()
        await self._sweeps.start()
        self._task = asyncio.create_task(lasting("observing", self._observe))

    async def stop(self) -> None:
        """End what is under way, give claims back, close the sources' connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._sweeps.stop()
        await self._first_seen.stop()
        await self._worker.stop()
        for delivery in self._deliveries:
            await delivery.stop()
        for source in self._sources.values():
            await source.close()
        await asyncio.to_thread(self._threads.shutdown)

    def wake(self) -> None:
        """A notification has been stored: a hint, from the event loop."""
        self._worker.wake()

    def missed(self, source: str) -> None:
        """A notification of the source could not be stored; from the event loop."""
        self._sweeps.missed(source)

    async def _after_sweep(self) -> None:
        await self._first_seen.look_through()
        for delivery in self._deliveries:
            await delivery.look_through()

    async def _observe(self) -> None:
        while True:
            try:
                await self._call(observing.alive, self._store, self._sources, self._worker.answered)
                gauges = await self._call(observing.gauges, self._store, self._sources, self._targets, self._delivered)
                self.metrics.gauges = gauges
                self.watched.saw(observing.facts(gauges, self._sources))
            except StoreError as error:
                log.warning("mdm.store_away", error=str(error))
                self.watched.missed(str(error))
            except Exception:
                log.exception("mdm.not_observed")
                self.watched.missed("an error of the bridge: its log says more")
            await asyncio.sleep(_OBSERVE_SECONDS)

    async def _call(self, function: Callable[..., T], /, *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args))

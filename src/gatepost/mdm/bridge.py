"""The bridge, whole: its parts made, started and stopped together.

worker      dirty devices: ask, decide, write here                (settling, deciding, targets.local)
sweep       whole listings, on time; they only mark dirty         (guard)
first_seen  phones and users that gateways and people brought up  (the store's feed)
delivery    devices to targets that are elsewhere                 (targets.workmail)
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gatepost.mdm.metrics import BridgeMetrics
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import Settling
from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost.mdm.sources.base import Source
    from gatepost.store.database import Store

__all__ = ["Bridge", "BridgeOptions"]

T = TypeVar("T")

_THREADS = 4  # the one that settles, the one that claims, and room for a sweep's marks and for counting


class Bridge:
    """The bridge of one process; several processes may run one for the same store."""

    def __init__(
        self, store: Store, options: BridgeOptions, sources: Sequence[Source], targets: Sequence[LocalTarget]
    ) -> None:
        self.metrics = BridgeMetrics()
        by_name = {source.name: source for source in sources}
        local = next((one for one in targets if isinstance(one, LocalTarget)), None)
        settling = Settling(store, options, by_name, (local, []), self.metrics)
        self._sources = sources
        self._threads = ThreadPoolExecutor(_THREADS, "mdm")
        self._worker = Worker(store, self._call, by_name, settling, options)

    async def start(self) -> None:
        """Begin, in the running event loop."""
        self._worker.start()

    async def stop(self) -> None:
        """End what is under way, give claims back, close the sources' connections."""
        await self._worker.stop()
        for source in self._sources:
            await source.close()
        self._threads.shutdown(wait=False)

    def wake(self) -> None:
        """A notification has been stored: a hint, from the event loop."""
        self._worker.wake()

    async def _call(self, function: Callable[..., T], /, *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args))

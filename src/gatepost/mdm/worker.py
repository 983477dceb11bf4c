"""The worker: asks a source about each dirty device after it has claimed it, and settles what comes of it.

Theory of operation. Many devices are asked about at a time; what was answered while the last transaction ran is settled in
the next one. Whatever is told of a device after its claim marks it dirty again, so it is asked about again, and so nothing
depends on what a notification says, on their order, or on their number.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import structlog

from gatepost.mdm.claiming import Claiming
from gatepost.mdm.lasting import lasting
from gatepost.mdm.settling import Looked, Outcome
from gatepost.mdm.sources.base import SourceError, SourceUnavailable
from gatepost.store import mdm_work
from gatepost.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatepost.mdm.claiming import Call
    from gatepost.mdm.options import BridgeOptions
    from gatepost.mdm.settling import Settling
    from gatepost.mdm.sources.base import Gone, Source
    from gatepost.model import Claim, Posture
    from gatepost.store.database import Store

log = structlog.get_logger(__name__)

FETCH_SECONDS = 28.0
"""For all of a source's attempts, 10 seconds each at most: a run ends long before its lease does."""

_LINGER_SECONDS = 0.1
_TOGETHER = 100  # devices in one call of `settle`
_STORE_AWAY_SECONDS = 1.0
_MANY = 5  # devices: fewer may each have something of their own
_RETRIED_SECONDS = 600.0


class Worker:
    """Looks after the dirty devices of all sources; `answered` is when each last answered."""

    def __init__(
        self,
        store: Store,
        call: Call,
        sources: Mapping[str, Source],
        settling: Settling,
        options: BridgeOptions,
    ) -> None:
        self._store = store
        self._call = call
        self._sources = sources
        self._settling = settling
        self.answered: dict[str, datetime] = {}
        self._answered: asyncio.Queue[tuple[Looked, asyncio.Future[Outcome]]] = asyncio.Queue()
        self._claiming = Claiming(
            store, call, self._asked, self._look_after, limit=options.workers, park_after=options.park_after
        )
        self._asking = 0
        self._failing: dict[str, set[str]] = {}
        self._retried: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; in the event loop of the sources."""
        self._tasks = [
            asyncio.create_task(lasting("worker.claims", self._claiming.run)),
            asyncio.create_task(lasting("worker.settles", self._settle)),
        ]

    def wake(self) -> None:
        """A device may be dirty."""
        self._claiming.wake()

    async def stop(self) -> None:
        """Ask no more; what is being written is written, other claims are given back."""
        for task in self._tasks[:1]:
            task.cancel()
        await self._claiming.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _asked(self) -> Collection[str]:
        """The sources that answer, or of which that is to be found out."""
        return [name for name, source in self._sources.items() if source.condition.open_until is None]

    async def _look_after(self, claim: Claim) -> None:
        begun = time.monotonic()
        source = self._sources[claim.source]
        self._asking += 1
        try:
            answer = await _ask(source, claim.device_key)
        finally:
            self._asking -= 1
        paused = source.condition.open_until if isinstance(answer, Exception) else None
        if isinstance(answer, Exception):
            self._failing.setdefault(claim.source, set()).add(claim.device_key)
        else:
            self.answered[claim.source] = self._store.now()
            await self._recovered(claim.source)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._answered.put_nowait((Looked(claim, answer, paused), future))
        outcome = await future
        if claim.urgent and outcome is Outcome.DONE:
            self._settling.metrics.took(time.monotonic() - begun)
        if outcome is Outcome.MOVED:
            self.wake()

    async def _recovered(self, source: str) -> None:
        """A source answers: after many devices in a row that it did not answer about, what was given up is tried anew."""
        failing = self._failing.pop(source, ())
        now = time.monotonic()
        if len(failing) < _MANY or now < self._retried.get(source, now):
            return
        self._retried[source] = now + _RETRIED_SECONDS
        with contextlib.suppress(StoreError):  # then the next sweep does it
            tried = await self._call(self._retry, source)
            log.info("mdm.parked_tried_again", source=source, devices=tried)

    def _retry(self, source: str) -> int:
        with self._store.bookkeeping() as writer:
            return mdm_work.retry(writer, source)

    async def _settle(self) -> None:
        while True:
            batch = await self._batch()
            batch.sort(key=lambda one: (one[0].claim.source, one[0].claim.device_key))
            try:
                outcomes = await self._call(self._settling.settle, [looked for looked, _ in batch])
            except StoreError as error:
                await self._later(batch, error)
                continue
            except Exception as error:  # noqa: BLE001 - each of them is told, and tried again
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)

    async def _batch(self) -> list[tuple[Looked, asyncio.Future[Outcome]]]:
        """What was answered, and what is about to be: asking and settling take turns at the interpreter's lock.

        A thread that settles gives the lock away with each statement, and waits for it for milliseconds as long as the
        event loop is busy with other answers: together they take several times as long as one after the other.
        """
        batch = [await self._answered.get()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while len(batch) < _TOGETHER and (self._asking or not self._answered.empty()):
                    batch.append(await self._answered.get())
        return batch

    async def _later(self, batch: Sequence[tuple[Looked, asyncio.Future[Outcome]]], error: StoreError) -> None:
        """The answers keep until the store is back; the fence knows which of them came too late."""
        log.warning("mdm.store_away", error=str(error))
        await asyncio.sleep(_STORE_AWAY_SECONDS)
        for one in batch:
            self._answered.put_nowait(one)


async def _ask(source: Source, device_key: str) -> Posture | Gone | Exception:
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            return await source.fetch(device_key)
    except TimeoutError:
        return SourceUnavailable(f"it did not answer within {FETCH_SECONDS:.0f} seconds")
    except SourceError as error:
        return error
    except Exception as error:
        log.exception("mdm.not_asked", source=source.name, device=device_key)
        return error

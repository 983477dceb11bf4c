"""A world of devices with an MDM that knows them, in memory; what the bridge's tests ask instead of a server."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatepost.mdm.metrics import BridgeMetrics
from gatepost.mdm.settling import Looked, Settling
from gatepost.mdm.sources.base import Condition, Gone, Quota, SourceError
from gatepost.mdm.targets.local import LocalTarget
from gatepost.model import Compliance, Managed, Owner, Posture
from gatepost.store import mdm_work, mobile_device_access_overrides

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from gatepost.mdm.options import BridgeOptions


class Clock:
    """A clock that is put forward."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **by: float) -> None:
        self.moment += timedelta(**by)


def posture(key: str, *device_ids: str, user: str = "alice@example.com", clock: Clock, **fields: object) -> Posture:
    """A managed, compliant device, seen now."""
    usual = Posture(
        source="mdm",
        device_key=key,
        managed=Managed.YES,
        compliance=Compliance.COMPLIANT,
        compromised=False,
        user_addresses=(user,) if user else (),
        device_ids=device_ids,
        serial=None,
        imei=None,
        friendly_name=None,
        state_time=clock(),
        observed_at=clock(),
    )
    return replace(usual, **fields)


class MemorySource:
    """A source whose answers are what a test puts into `devices`; `errors` come first, one for each question."""

    lists = True

    def __init__(self, clock: Clock, name: str = "mdm") -> None:
        self.name = name
        self.quota = Quota()
        self.condition = Condition()
        self.devices: dict[str, Posture] = {}
        self.errors: deque[Exception] = deque()
        self.asked: list[str] = []
        self.hook = None
        self._clock = clock

    def answer(self, key: str) -> Posture | Gone | Exception:
        self.asked.append(key)
        if self.errors:
            return self.errors.popleft()
        found = self.devices.get(key)
        if found is None:
            return Gone(self.name, key, self._clock())
        return replace(found, source=self.name, observed_at=self._clock())

    async def fetch(self, key: str) -> Posture | Gone:
        answer = self.answer(key)
        if self.hook is not None:
            await self.hook(key)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def list(self, progress=None):
        for key in list(self.devices):
            if self.errors:
                raise self.errors.popleft()
            yield key
        if progress is not None:
            progress(len(self.devices), len(self.devices))

    async def find(self, device_id=None, *, imei=None, serial=None):
        if self.errors:
            raise self.errors.popleft()
        for one in self.devices.values():
            same_id = device_id is not None and device_id.upper() in one.device_ids
            if same_id or (imei and one.imei == imei) or (serial and one.serial == serial):
                return replace(one, source=self.name, observed_at=self._clock())
        return None

    async def close(self) -> None:
        pass


@dataclass
class Desk:
    """A bridge without tasks: each `work` claims, asks and settles everything that is due.

    `source` is the one that is meant where none is named; several desks at one store and `more` sources can share them.
    """

    store: object
    source: MemorySource
    clock: Clock
    options: BridgeOptions
    remote: tuple[str, ...] = ()
    more: tuple[MemorySource, ...] = ()

    def __post_init__(self) -> None:
        self.sources = {one.name: one for one in (self.source, *self.more)}
        self.restart()

    def restart(self) -> None:
        """A new process: nothing in memory."""
        self.metrics = BridgeMetrics()
        local = LocalTarget(self.store)
        self.settling = Settling(self.store, self.options, self.sources, (local, self.remote), self.metrics)

    def tell(self, key: str, *, urgent: bool = True, source: str | None = None) -> None:
        """A notification, or (not urgent) a sweep."""
        with self.store.bookkeeping() as writer:
            mdm_work.dirty(writer, source or self.source.name, key, urgent=urgent)

    def claim(self, limit: int = 100, lease: float = 120):
        with self.store.bookkeeping() as writer:
            return mdm_work.claim(writer, lease, limit, sources=list(self.sources))

    def look(self, claim):
        answer = self.sources[claim.source].answer(claim.device_key)
        paused = self.sources[claim.source].condition.open_until
        return Looked(claim, answer, paused if isinstance(answer, SourceError) else None)

    def work(self, rounds: int = 10):
        outcomes = []
        for _ in range(rounds):
            claims = self.claim()
            if not claims:
                return outcomes
            outcomes += self.settling.settle([self.look(claim) for claim in claims])
        return outcomes

    def told(self, key: str):
        """Tell of the device and work."""
        self.tell(key)
        return self.work()

    def overrides(self, organization_id: str, owner: Owner = Owner.BRIDGE):
        """(user, device) → override, of one owner."""
        with self.store.read() as reader:
            rows = mobile_device_access_overrides.page(reader, organization_id, None, 10_000)
        return {(one.user_id, one.device_id): one for one in rows if one.owner is owner}

    def effects(self, organization_id: str):
        """{device id: effect} of the bridge's overrides that count now."""
        return {
            device_id: one.effect.value
            for (_, device_id), one in self.overrides(organization_id).items()
            if one.expires is None or one.expires > self.clock()
        }


async def eventually(true, seconds: float = 10) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def calls(threads: ThreadPoolExecutor):
    """What a bridge gives to its parts to run what blocks."""

    async def call(function, /, *args):
        return await asyncio.get_running_loop().run_in_executor(threads, function, *args)

    return call

"""Notifications, claims and workers of the bridge, for the tests of its tables."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select
from tests.support.postures import NOON, minutes

from gatepost.model import AppliedOverride, Effect, Notification
from gatepost.store import mdm_applied, mdm_inbox, mdm_work
from gatepost.store.database import Store
from gatepost.store.mdm_schema import mdm_work as mdm_work_table

if TYPE_CHECKING:
    from collections.abc import Collection
    from multiprocessing.connection import Connection

    from gatepost.model import Claim
    from gatepost.store.database import Reader


class Clock:
    """A clock that a test moves; it is given to the store as its own."""

    def __init__(self, store: Store) -> None:
        self.now = NOON
        store.now = lambda: self.now

    def at(self, count: float) -> None:
        """It is so many minutes after noon."""
        self.now = minutes(count)


def a_notification(notification_id: str = "n1", device_key: str | None = "7", **changes: Any) -> Notification:
    fields = {"source": "ws1", "body": b'{"DeviceId": 7}', "received_at": NOON}
    return Notification(notification_id=notification_id, device_key=device_key, **(fields | changes))


def an_applied_override(**changes: Any) -> AppliedOverride:
    fields = {
        "target": "local",
        "organization_id": "m-0123456789abcdef0123456789abcdef",
        "user_id": "user-1",
        "device_id": "EAS1",
        "effect": Effect.ALLOW,
        "description": "ws1 7: compliant",
        "expires": minutes(120),
        "source": "ws1",
        "device_key": "7",
        "written_at": NOON,
    }
    return AppliedOverride(**(fields | changes))


def dirty(store: Store, *device_keys: str, **how: Any) -> None:
    with store.bookkeeping() as writer:
        mdm_work.dirty_many(writer, [("ws1", key) for key in device_keys], **how)


def claim(store: Store, lease_seconds: float = 60, limit: int = 1, **how: Any) -> list[Claim]:
    with store.bookkeeping() as writer:
        return mdm_work.claim(writer, lease_seconds, limit, **how)


class World:
    """Devices whose state changes, and workers that bring what is applied in line with it, badly.

    Some fail, some die with their lease, and some take longer than it. What is applied is written in one transaction
    with the fence and the end of the claim.
    """

    def __init__(self, store: Store, seed: int, devices: int = 12) -> None:
        self.store = store
        self.state = {str(number): 0 for number in range(devices)}
        self.runs = self.refused = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._settling = threading.Event()
        self._stop = threading.Event()

    def run(self, changes: int, workers: int, *, fenced: bool = True) -> dict[str, int]:
        """So many changes, each told; what is applied at rest."""
        threads = [threading.Thread(target=self._work, args=(fenced,)) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for _ in range(changes):
            key = self._random.choice(list(self.state))
            self.state[key] += 1
            dirty(self.store, key, urgent=self._random.random() < 0.5)
            time.sleep(0.002)
        self._settling.set()
        deadline = time.monotonic() + 60
        while self._left() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._stop.set()
        for thread in threads:
            thread.join()
        with self.store.read() as reader:
            applied = mdm_applied.page(reader, "local", None, 1000)
        return {one.device_key: int(one.description or 0) for one in applied}

    def _left(self) -> int:
        with self.store.read() as reader:
            backlog = mdm_work.backlog(reader)
        return backlog.due + backlog.later + backlog.leased + backlog.parked

    def _work(self, fenced: bool) -> None:
        while not self._stop.is_set():
            claims = claim(self.store, lease_seconds=0.1, limit=2)
            for one in claims:
                self._handle(one, fenced)
            if not claims:
                time.sleep(0.005)

    def _handle(self, one: Claim, fenced: bool) -> None:
        with self._lock:
            self.runs += 1
            luck = 1.0 if self._settling.is_set() else self._random.random()
            slow = self._random.random() < 0.3
        state = self.state[one.device_key]  # asked after the claim
        time.sleep(0.25 if slow else 0.005)
        if luck < 0.1:
            return  # it died: only the end of the lease gives the device back
        with self.store.begin() as transaction:
            if luck < 0.3:
                mdm_work.fail(transaction, one, "no answer", transaction.now + timedelta(seconds=0.01), park_after=50)
            elif not fenced or mdm_work.holds(transaction, one):
                mdm_applied.put(
                    transaction,
                    an_applied_override(device_id=one.device_key, description=str(state), device_key=one.device_key),
                )
                mdm_work.done(transaction, one)
            else:
                self.refused += 1


def receive_until_killed(url: str, acknowledged: Connection) -> None:
    """In a process of its own: receives without end, and says of each one that it is kept."""
    store = Store.open(url)
    number = 0
    while True:
        one = a_notification(f"n{number}", str(number), received_at=datetime.now(UTC))
        with store.bookkeeping() as writer:
            mdm_inbox.receive(writer, one)
        acknowledged.send(number)
        number += 1


def next_due(reader: Reader, sources: Collection[str] | None = None) -> datetime | None:
    """When the next device can be claimed, which may be past; None: there is none."""
    row = mdm_work_table.c
    claimable = case((row.lease_until > row.due, row.lease_until), else_=row.due)
    where = [row.parked_at.is_(None), *([] if sources is None else [row.source.in_(sorted(sources))])]
    moment: datetime | None = reader.connection.execute(select(func.min(claimable)).where(*where)).scalar()
    return moment

"""The bridge is killed while an MDM tells it of hundreds of changes: what it has acknowledged comes about all the same.

What it had claimed then is not waited for until its lease ends: the next one sees that it is dead. No sweep makes up for anything here: the MDM cannot be listed while the test runs.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.support.bridge_settings import WEBHOOK_USER, add_workspace_one, webhook_password
from tests.support.daemons import port_answers, wait_until
from tests.support.stack import Gatepost
from tests.support.workspace_one import TwinThread, TwinWithoutListing, twin_login

from gatepost.model import Effect
from gatepost.store import mdm_inbox, mdm_sources, mdm_work, mobile_device_access_overrides
from gatepost.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.support.mailbox_thread import MailboxThread
    from tests.support.postgres_server import PostgresServer

pytestmark = pytest.mark.e2e

DEVICES = 200
CONNECTIONS = 4
KILLS = 4  # for each of the two changes of every device
SETTLED_WITHIN = 15.0  # seconds for all that is left when the last bridge has started; measured is one
SOURCE = "ws1"
SEEDS = [int(seed) for seed in os.environ.get("GATEPOST_KILL_SEEDS", "1").split(",")]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ROLES = {"sqlite": ["all"], "postgresql": ["control", "gateway", "mdm"]}


@pytest.fixture
def uem() -> Iterator[TwinThread]:
    """Workspace ONE, which cannot be listed."""
    thread = TwinThread(TwinWithoutListing(twin_login()))
    yield thread
    thread.stop()


@pytest.fixture(params=ROLES)
def product(request: pytest.FixtureRequest, mailbox: MailboxThread, uem: TwinThread) -> Iterator[Gatepost]:
    """All in one process with SQLite, or three processes with PostgreSQL; the bridge's is the one that starts last."""
    store_url = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        name = f"gatepost_{time.monotonic_ns()}"
        server.execute(f"create database {name}")
        store_url = server.url(name)
    made = Gatepost(mailbox.url, store_url=store_url)
    add_workspace_one(made.configuration, uem.url, uem.twin.login)
    for role in ROLES[request.param][:-1]:
        made.serve(role)
    yield made
    made.stop()


@pytest.fixture
def store(product: Gatepost) -> Iterator[Store]:
    """What the product has stored, looked at from outside."""
    product.gatepost("mdm", "status")  # which makes the tables where nobody has
    opened = Store.open(product.store_url)
    yield opened
    opened.close()


@dataclass
class Sender:
    """An MDM that tells of each change once, over a few connections, and counts what was answered with 200."""

    url: str
    numbers: list[int]
    body_of: Callable[[int], bytes]
    pause: Callable[[], float]
    acknowledged: dict[int, bytes] = field(default_factory=dict)
    failed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._path, self._port = f"{parts.path}/{SOURCE}", parts.port or 80
        login = b64encode(f"{WEBHOOK_USER}:{webhook_password()}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}

    def start(self) -> list[threading.Thread]:
        """Begin to send what happens to the devices, as it happens."""
        waiting = iter(self.numbers)
        threads = [threading.Thread(target=self._send_all, args=(waiting,), daemon=True) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        return threads

    def _send_all(self, waiting: Iterator[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        for number in waiting:  # of a list, so that threads can share it
            body = self.body_of(number)
            try:
                connection.request("POST", self._path, body, self._headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.failed.append(number)
                connection.close()
                wait_until(lambda: port_answers(self._port), "the bridge listens again")
                continue
            if answer.status == 200:
                self.acknowledged[number] = body
            else:
                self.failed.append(number)
            time.sleep(self.pause())
        connection.close()


def effects(store: Store, organization_id: str) -> dict[str, Effect]:
    with store.read() as reader:
        rows = mobile_device_access_overrides.page(reader, organization_id, None, 10 * DEVICES)
    return {one.device_id: one.effect for one in rows}


def left(store: Store) -> int:
    """How many devices somebody has to look at."""
    with store.read() as reader:
        backlog = mdm_work.backlog(reader, SOURCE)
    return backlog.due + backlog.leased


def missing_notifications(store: Store, acknowledged: Iterable[bytes]) -> set[bytes]:
    with store.read() as reader:
        stored = mdm_inbox.since(reader, SOURCE, LONG_AGO, limit=10 * DEVICES)
    return set(acknowledged) - {one.body for one in stored}


class Bridge:
    """The process that is killed; the other roles, if there are any, stay."""

    def __init__(self, product: Gatepost, store: Store) -> None:
        self._product = product
        self._store = store
        self._role = "mdm" if "gateway" in product.health_urls else "all"
        self.daemon = product.serve(self._role)

    def killed(self) -> int:
        """Kill it and start another one; how many devices it left undone."""
        self.daemon.kill()
        undone = left(self._store)
        self.daemon = self._product.serve(self._role)
        return undone


def change(uem: TwinThread, verb: str, number: int) -> bytes:
    """Something happens to a device: the event of it."""

    def changed(twin: TwinWithoutListing) -> bytes:
        getattr(twin, verb)(number)
        return json.dumps(twin.events.waiting.pop()).encode()

    body: bytes = uem.do(changed)
    return body


def killed_on_the_way(bridge: Bridge, sender: Sender, chance: random.Random) -> int:
    """Have all devices told of while the bridge is killed again and again; how much it left undone."""
    threads = sender.start()
    undone = 0
    for _ in range(KILLS):
        enough = len(sender.acknowledged) + chance.randint(5, DEVICES // (2 * KILLS))
        wait_until(lambda: len(sender.acknowledged) >= enough, "some are acknowledged", alive=[bridge.daemon])  # noqa: B023 - waited for here
        time.sleep(chance.uniform(0, 0.05))
        undone += bridge.killed()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return undone


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_was_acknowledged_is_lost(product, store, uem, seed):
    chance = random.Random(seed)
    devices = [uem.do(lambda twin, n=n: twin.enroll(f"user{n}@example.com", f"KILLED{n}")) for n in range(DEVICES)]
    ids = {device.number: device.eas_ids[0] for device in devices}
    uem.twin.events.waiting.clear()
    bridge = Bridge(product, store)
    for verb, right in (("comply", {Effect.ALLOW}), ("violate", {None})):
        sender = Sender(product.mdm_url, list(ids), partial(change, uem, verb), lambda: chance.uniform(0, 0.04))
        assert killed_on_the_way(bridge, sender, chance) > 0
        assert len(sender.acknowledged) + len(sender.failed) == DEVICES
        assert len(sender.acknowledged) > DEVICES // 2
        assert missing_notifications(store, sender.acknowledged.values()) == set()
        told = {ids[number] for number in sender.acknowledged}

        def wrong(told=told, right=right):
            there = effects(store, product.organization_id)
            return {device_id for device_id in told if there.get(device_id) not in right}

        wait_until(lambda: not wrong(), f"what was acknowledged comes about ({verb})", seconds=SETTLED_WITHIN)
    with store.read() as reader:
        assert mdm_sources.get(reader, SOURCE).sweep_finished_at is None

"""A thousand hostile connections at one process: it goes on serving, within its memory, and nothing of them stays.

`python -m bench hostile` measures it with ten thousand, beside nginx.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support.daemons import start, wait_until
from tests.support.mailbox_thread import MailboxThread
from tests.support.phone import Phone
from tests.support.stack import Gatepost

from gatepost.demo.mailbox import Mailbox
from gatepost.store import feed
from gatepost.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.daemons import Daemon

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent
ALICE = "alice@example.com"
COUNT = 1_000
KIB_EACH = 64  # a head of 32 KiB in pieces, and what a connection costs by itself
SECONDS = 4


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def nouns(product: Gatepost) -> int:
    store = Store.open(product.store_url)
    try:
        return len(feed.load(store).nouns)
    finally:
        store.close()


def said(attackers: Daemon) -> tuple[int, int]:
    """How many were connected, and how many had been, when they last said so."""
    lines = [line for line in log_of(attackers) if line.startswith("{")]
    told = json.loads(lines[-1]) if lines else {"connected": 0, "lost": 0}
    return told["connected"], told["lost"]


def log_of(daemon: Daemon) -> list[str]:
    return daemon.log.read_text().splitlines()


@pytest.fixture(scope="module")
def product() -> Iterator[Gatepost]:
    mailbox = MailboxThread(Mailbox(ACCOUNTS, policy_required=True))
    made = Gatepost(mailbox.url)
    made.client = boto3_client(made)
    yield made
    made.stop()
    mailbox.stop()


@pytest.fixture(scope="module")
def served(product) -> Daemon:
    return product.serve()


@pytest.fixture(scope="module")
def phone(product, served) -> Iterator[Phone]:
    """A phone that is let in, and written down."""
    product.override(ALICE, "HOSTILE1", "ALLOW")
    product.wait_followed()
    made = Phone(product.gateway_url, ALICE, ACCOUNTS[ALICE], device_id="HOSTILE1")
    assert made.provision().outcome == (200, "1")
    product.device("HOSTILE1", device_model="SM-G991B")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "stay"),
    [
        ("slow heads", True),
        ("heads of 28 KiB", True),
        ("slow bodies", False),  # each is answered as soon as the mail server says that it knows nobody of that name
        ("random logins", True),
        ("random devices", True),
        ("malformed requests", False),
    ],
)
@pytest.mark.xdist_group("hostile")
def test_a_thousand_of_them_take_nothing_from_a_phone_and_leave_nothing(product, served, phone, tmp_path, kind, stay):
    pid = product.pid()
    rows, lines, memory = nouns(product), len(log_of(served)), resident_kib(pid)
    port = urlsplit(product.gateway_url).port
    command = [sys.executable, "-m", "tests.support.attackers", kind, port, COUNT, 1, "none"]
    began, most = time.monotonic(), 0
    attackers = start("attackers", command, log=tmp_path / "attackers.log", cwd=ROOT)
    try:
        wait_until(lambda: any(said(attackers)), "they come", alive=[attackers])
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            most = max(most, resident_kib(pid))
            assert phone.folder_sync().outcome == (200, "1")
            time.sleep(0.1)
        if stay:
            wait_until(lambda: product.metrics()["gatepost_connections"] > COUNT * 0.9, "they are there")
    finally:
        attackers.stop()
    wait_until(lambda: product.metrics()["gatepost_connections"] <= 1, "they are gone")
    written, passed = log_of(served)[lines:], time.monotonic() - began
    assert most - memory < COUNT * KIB_EACH
    assert nouns(product) == rows
    assert len(written) < 40 * passed, "ten lines a second for each event, and those of the API"
    assert not any("Traceback" in line for line in written)

"""Posture from end to end: a Workspace ONE tells the bridge, the gateway follows, and the phone that waits is cut off."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support.bridge_settings import WEBHOOK_USER, add_workspace_one, webhook_password
from tests.support.daemons import wait_until
from tests.support.mails import new_mail
from tests.support.phone import Phone
from tests.support.stack import Gatepost
from tests.support.workspace_one import TwinThread

from gatepost.demo.workspace_one import Mood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.mailbox_thread import MailboxThread
    from tests.support.postgres_server import PostgresServer

pytestmark = pytest.mark.e2e

ALICE = "alice@example.com"
DEVICE_ID = "MANAGEDPHONE1"
SOON = 2.0  # seconds from what the MDM finds to the end of a parked request; measured is a tenth of one
NOTED = ("alive_at", "answered_at", "sweep_finished_at")
ROLES = {"sqlite": ["all"], "postgresql": ["control", "gateway", "mdm"]}


@pytest.fixture
def uem() -> Iterator[TwinThread]:
    """Workspace ONE."""
    thread = TwinThread()
    yield thread
    thread.stop()


@pytest.fixture
def new_product(mailbox: MailboxThread, uem: TwinThread) -> Iterator[Callable[..., Gatepost]]:
    """Makes products with the bridge, in which only an override lets a device in."""
    made: list[Gatepost] = []

    def make(roles: list[str], store_url: str | None = None) -> Gatepost:
        product = Gatepost(mailbox.url, store_url=store_url)
        product.client = boto3_client(product)
        made.append(product)
        add_workspace_one(product.configuration, uem.url, uem.twin.login)
        uem.do(lambda twin: twin.events.subscribe(f"{product.mdm_url}/ws1", WEBHOOK_USER, webhook_password()))
        product.gatepost("setup", "direct-mode", "--yes")
        for role in roles:
            product.serve(role)
        return product

    yield make
    for product in made:
        product.stop()


@pytest.fixture(params=ROLES)
def product(request: pytest.FixtureRequest, new_product: Callable[..., Gatepost]) -> Gatepost:
    """All in one process with SQLite, or three processes with PostgreSQL."""
    if request.param == "sqlite":
        return new_product(ROLES["sqlite"])
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"gatepost_{time.monotonic_ns()}"
    server.execute(f"create database {name}")
    return new_product(ROLES["postgresql"], server.url(name))


@pytest.fixture
def phone(product: Gatepost) -> Iterator[Phone]:
    """Alice's, hung up at the end."""
    made = Phone(product.gateway_url, ALICE, ACCOUNTS[ALICE], device_id=DEVICE_ID)
    yield made
    made.close()


def gateway_of(product: Gatepost) -> str:
    return "gateway" if "gateway" in product.health_urls else "all"


def told(uem: TwinThread, act: Callable[[object], object]) -> float:
    """It happens, and the event is sent and acknowledged; when it happened."""
    happened = time.monotonic()
    uem.do(act)
    assert [one.status for one in uem.run(uem.twin.events.deliver())] == [200]
    return happened


def let_in(phone: Phone) -> None:
    wait_until(lambda: phone.provision().outcome == (200, "1"), "the phone is let in", seconds=SOON)
    assert phone.folder_sync().outcome == (200, "1")


def refused(phone: Phone) -> bool:
    return phone.folder_sync().outcome == (200, "129")


def parked_ping_ends(product: Gatepost, phone: Phone, uem: TwinThread, act: Callable[[object], object]) -> None:
    parked = phone.park_ping(60)
    product.wait_parked(1, gateway_of(product))
    happened = told(uem, act)
    answer = parked.answer(30)
    assert answer.arrived_at - happened < SOON
    assert (answer.root, answer.status) == ("Ping.Ping", "7")
    assert refused(phone)


def test_what_the_mdm_finds_lets_a_phone_in_and_cuts_it_off(product, phone, uem, mailbox):
    mailbox.deliver(ALICE, new_mail("Before", "alice"))
    number = uem.do(lambda twin: twin.enroll(ALICE, DEVICE_ID)).number
    uem.run(uem.twin.events.deliver())
    assert refused(phone)

    told(uem, lambda twin: twin.comply(number))
    let_in(phone)
    phone.read_inbox()
    parked_ping_ends(product, phone, uem, lambda twin: twin.jailbreak(number))
    wait_until(lambda: mailbox.cancelled(DEVICE_ID), "the mail server sees the request go", seconds=2)

    told(uem, lambda twin: twin.jailbreak(number, compromised=False))
    let_in(phone)
    phone.read_inbox()
    # From here on Workspace ONE reports no DeviceId any more, and then nothing at all.
    parked_ping_ends(product, phone, uem, lambda twin: twin.unenroll(number))
    told(uem, lambda twin: twin.delete(number))
    assert refused(phone)
    for role in product.health_urls:
        assert product.ready(role)[0] == 200


def test_a_notification_that_was_lost_is_made_up_for(product, phone, uem):
    number = uem.do(lambda twin: twin.enroll(ALICE, DEVICE_ID)).number
    uem.do(lambda twin: twin.comply(number))
    uem.twin.events.waiting.clear()
    product.gatepost("mdm", "reconcile")
    let_in(phone)
    uem.do(lambda twin: twin.violate(number))
    uem.twin.events.waiting.clear()
    product.gatepost("mdm", "reconcile", "--device", DEVICE_ID)
    wait_until(lambda: refused(phone), "the phone is refused", seconds=SOON)


@pytest.mark.parametrize("product", ["sqlite"], indirect=True)
def test_a_phone_that_comes_before_any_notification_is_looked_up(product, phone, uem):
    wait_until(lambda: sources(product)[0]["sweep_finished_at"], "the first sweep is over")
    uem.do(lambda twin: twin.comply(twin.enroll(ALICE, DEVICE_ID).number))
    uem.twin.events.waiting.clear()
    assert refused(phone)
    wait_until(lambda: phone.provision().outcome == (200, "1"), "the phone was looked up", seconds=15)


@pytest.mark.parametrize("product", ["sqlite"], indirect=True)
def test_while_the_mdm_is_away_nothing_changes_and_nothing_is_lost(product, phone, uem):
    number = uem.do(lambda twin: twin.enroll(ALICE, DEVICE_ID)).number
    uem.do(lambda twin: twin.comply(number))
    uem.run(uem.twin.events.deliver())
    let_in(phone)
    uem.do(lambda twin: twin.fail(Mood.PAGE_503))
    told(uem, lambda twin: twin.violate(number))
    time.sleep(1)
    assert phone.folder_sync().outcome == (200, "1")
    wait_until(lambda: product.ready()[1]["bridge"]["sources"]["ws1"]["failures"], "the outage is shown", seconds=30)
    assert product.ready()[0] == 200
    uem.do(lambda twin: twin.recover())
    wait_until(lambda: refused(phone), "it is made up for", seconds=30)


@pytest.mark.parametrize("product", ["sqlite"], indirect=True)
def test_check_and_the_commands_see_the_bridge(product, phone, uem):
    number = uem.do(lambda twin: twin.enroll(ALICE, DEVICE_ID)).number
    uem.do(lambda twin: twin.comply(number))
    uem.run(uem.twin.events.deliver())
    let_in(phone)
    wait_until(lambda: all(sources(product)[0][name] for name in NOTED), "the bridge has noted how the source is")
    (checked,) = json.loads(product.gatepost("check", "--json"))
    assert [one["met"] for one in checked["requirements"]] == [True] * 4, checked
    explained = json.loads(product.gatepost("mdm", "explain", ALICE, DEVICE_ID, "--json"))
    assert (explained["effect"], explained["verdict"]["reason"]) == ("ALLOW", "compliant")
    assert [one["device_key"] for one in json.loads(product.gatepost("mdm", "list", "--json"))] == [str(number)]


def sources(product: Gatepost) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(product.gatepost("mdm", "status", "--json"))["sources"]
    return found

"""Gateway and API in processes of their own, the store lost and found again, and kill -9: what administrators rely on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support.daemons import wait_until
from tests.support.mails import new_mail
from tests.support.phone import Phone
from tests.support.stack import Gatepost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.mailbox_thread import MailboxThread
    from tests.support.postgres_server import PostgresServer

pytestmark = pytest.mark.e2e

ALICE = "alice@example.com"
SOON = 2.0  # seconds in which a parked request has to end; measured are a few hundredths


@pytest.fixture
def new_product(mailbox: MailboxThread) -> Iterator[Callable[..., Gatepost]]:
    """Makes products in front of the demo mailbox, and ends their processes."""
    made: list[Gatepost] = []

    def make(store_url: str | None = None, **settings: str) -> Gatepost:
        product = Gatepost(mailbox.url, store_url=store_url, settings=settings)
        product.client = boto3_client(product)
        made.append(product)
        return product

    yield make
    for product in made:
        product.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """One SQLite file (of the product's own making), or a new database of a real PostgreSQL."""
    if request.param == "sqlite":
        return None
    return new_database(request.getfixturevalue("postgres"))


def new_database(server: PostgresServer) -> str:
    name = f"gatepost_{time.monotonic_ns()}"
    server.execute(f"create database {name}")
    return server.url(name)


@pytest.fixture
def new_phone() -> Iterator[Callable[..., Phone]]:
    """Makes phones of alice, and hangs them up."""
    made: list[Phone] = []

    def make(product: Gatepost, version: str = "14.1", **more: Any) -> Phone:
        device_id = f"PROCESSES{len(made)}X{version.replace('.', '')}"
        phone = Phone(product.gateway_url, ALICE, ACCOUNTS[ALICE], device_id=device_id, version=version, **more)
        made.append(phone)
        return phone

    yield make
    for phone in made:
        phone.close()


def settle(product: Gatepost, phone: Phone, *, role: str = "all") -> Phone:
    """Let the phone in, and sync until there is nothing new."""
    product.override(phone.login, phone.device_id, "ALLOW")
    product.wait_followed(role)
    assert phone.provision().outcome == (200, "1")
    assert phone.folder_sync().outcome == (200, "1")
    phone.read_inbox()
    return phone


@pytest.mark.parametrize("kind", ["Ping", "Sync", "Sync with Wait"])
def test_a_deny_at_the_api_ends_the_request_parked_at_another_process(new_product, new_phone, store_url, mailbox, kind):
    product = new_product(store_url)
    product.serve("control")
    product.serve("gateway")
    phone = settle(product, new_phone(product, "12.1" if kind == "Sync with Wait" else "16.1"), role="gateway")
    parked = {
        "Ping": lambda: phone.park_ping(60),
        "Sync": lambda: phone.park_sync(heartbeat=60),
        "Sync with Wait": lambda: phone.park_sync(wait=1),
    }[kind]()
    product.wait_parked(1, "gateway")
    product.override(phone.login, phone.device_id, "DENY")
    acknowledged = time.monotonic()
    answer = parked.answer(30)
    assert answer.arrived_at - acknowledged < SOON
    assert (answer.root, answer.status) == (("Ping.Ping", "7") if kind == "Ping" else ("AirSync.Sync", "12"))
    wait_until(lambda: mailbox.cancelled(phone.device_id), "the mail server sees the request go", seconds=2)


def test_a_mail_that_comes_in_the_moment_of_the_denial_is_not_read(new_product, new_phone, mailbox):
    product = new_product()
    product.serve()
    phone = settle(product, new_phone(product))
    parked = phone.park_ping(60)
    product.wait_parked(1)
    product.override(phone.login, phone.device_id, "DENY")
    mailbox.deliver(ALICE, new_mail("Too late", "alice"))
    assert parked.answer(10).status in {
        "7",
        "2",
    }  # it may have won the race, and learns no more than that there is a mail
    product.wait_followed()
    assert phone.sync().outcome == (200, "129")


def test_a_lost_postgresql_is_survived_until_the_rules_are_too_old(new_product, new_phone, postgres):
    product = new_product(new_database(postgres), GATEPOST_GATEWAY__MAX_REPLICA_AGE="4")
    product.serve("control")
    product.serve("gateway")
    phone = settle(product, new_phone(product), role="gateway")
    parked = phone.park_ping(60)
    product.wait_parked(1, "gateway")
    try:
        postgres.stop()
        lost = time.monotonic()
        assert phone.folder_sync().outcome == (200, "1")
        wait_until(lambda: product.ready("control")[0] == 503, "the API says that it is not ready", seconds=10)
        age = product.metrics("gateway")["gatepost_replica_age_seconds"]
        assert age <= time.monotonic() - lost + 2
        # too old: nobody is let through, and nobody is told that it is the device's fault
        wait_until(lambda: phone.folder_sync().http_status == 503, "the gateway denies", seconds=15)
        assert time.monotonic() - lost > 3
        status, body = product.ready("gateway")
        assert status == 503
        assert "age" in str(body)
        parked.answer(5)
    finally:
        postgres.start()
    wait_until(lambda: phone.folder_sync().outcome == (200, "1"), "the gateway recovers", seconds=15)
    assert product.ready("gateway")[0] == 200
    wait_until(lambda: product.ready("control")[0] == 200, "the API recovers", seconds=15)
    product.override(phone.login, phone.device_id, "DENY")
    wait_until(lambda: phone.folder_sync().outcome == (200, "129"), "the gateway follows again", seconds=5)


def test_what_was_acknowledged_survives_kill_9(new_product, new_phone, store_url):
    product = new_product(store_url)
    server = product.serve()
    (rule_id,) = product.only_device_rules({"Name": "DefaultDenyAll", "Effect": "DENY"})
    for number in range(20):
        product.override(f"user{number}@example.com", f"KILLED{number}", "ALLOW")
    server.kill()
    product.serve()
    found = product.call("list_mobile_device_access_overrides", MaxResults=100)["Overrides"]
    assert {override["DeviceId"].upper() for override in found} == {f"KILLED{number}" for number in range(20)}
    rules = product.call("list_mobile_device_access_rules")["Rules"]
    assert [rule["MobileDeviceAccessRuleId"] for rule in rules] == [rule_id]
    phone = new_phone(product)
    assert phone.folder_sync().outcome == (200, "129")


def test_a_stopped_server_ends_parked_requests_in_good_order(new_product, new_phone):
    product = new_product()
    server = product.serve()
    phone = settle(product, new_phone(product))
    parked = phone.park_ping(60)
    product.wait_parked(1)
    server.stop()
    assert server.process.returncode == 0
    assert "not_drained" not in server.said()
    assert parked.answer(1).outcome == (200, "1")

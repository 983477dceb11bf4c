"""The corpus through a running gateway: what a phone with these properties is told, and what the mail server sees.

Each case is asked twice: by a phone that first says what it is, and by the same phone at another gateway, started later on
the same store.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.support.conformance import NOW, ORGANIZATION_ID, Case, load_cases
from tests.support.gateway import FOLDER_SYNC, PASSWORD, MailServer, Response, Wire, basic, report, run

from gatepost.engine import Reason
from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.server import Gateway
from gatepost.model import Effect, EntityState, User
from gatepost.operations import users as directory
from gatepost.operations.context import Context
from gatepost.store import (
    access_control_rules,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    schema,
    users,
)
from gatepost.store.database import Store
from gatepost.wire.eas.commands import at_least
from gatepost.wire.wbxml import Element, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gatepost.store.database import Transaction

COMMANDS = {"FolderSync": 9, "Settings": 17, "Provision": 20}  # MS-ASHTTP 2.2.1.1.1.1.2
STATUS_BEGINS = bytes.fromhex("03016a000007564c03")  # <FolderSync><Status>
USER_LEVEL = {Reason.USER_NOT_FOUND, Reason.USER_NOT_ENABLED}


def _each():
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in load_cases("gateway")])


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    opened = Store.open("sqlite://", create=True, now=lambda: NOW)
    yield opened
    opened.close()


def fill(store: Store, case: Case) -> None:
    """Make the store hold the case's organization, and nothing of the case before."""
    with store.begin() as transaction:
        for table in reversed(schema.metadata.sorted_tables):
            if table is not schema.revision_counter:
                transaction.connection.execute(table.delete())
        organizations.put(transaction, case.organization)
        for user in case.users:
            users.put(transaction, user)
        for rule in case.mobile_device_access_rules:
            mobile_device_access_rules.put(transaction, rule)
        for access_rule in case.access_control_rules:
            access_control_rules.put(transaction, access_rule)
        _put_overrides(transaction, case)


def _put_overrides(transaction: Transaction, case: Case) -> None:
    """The overrides, and first the users whom they name in an open directory, as PutMobileDeviceAccessOverride does."""
    known = {user.user_id for user in case.users}
    for raw, override in zip(case.raw["overrides"], case.overrides, strict=True):
        if override.user_id not in known:
            known.add(override.user_id)
            name = raw["user"].lower()
            users.put(
                transaction,
                User(ORGANIZATION_ID, override.user_id, name, name, (), EntityState.ENABLED, (), NOW),
            )
        mobile_device_access_overrides.put(transaction, override)


class Phone:
    """The case's phone: its login, address, query form, version and user agent."""

    def __init__(self, case: Case, gateway: Gateway) -> None:
        self._asked = case.raw["request"]
        self._gateway = gateway

    @property
    def version(self) -> str:
        return self._asked["protocol_version"]

    async def post(self, command: str, body: bytes) -> Response:
        asked = self._asked
        headers = {
            "Host": "gate.example.com",
            "Authorization": basic(asked["login"], PASSWORD),
            "MS-ASProtocolVersion": self.version,
            "X-Forwarded-For": asked["ip_address"],
            "User-Agent": asked["http_user_agent"] or "",
            "Content-Type": "application/vnd.ms-sync.wbxml",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        wire = Wire(*await asyncio.open_connection(*self._gateway.address))
        try:
            wire.raw("POST", f"/Microsoft-Server-ActiveSync?{self._query(command)}", headers, body)
            return await wire.answer()
        finally:
            wire.close()
            await wire.writer.wait_closed()

    def _query(self, command: str) -> str:
        asked = self._asked
        if asked["query"] == "plain":
            return f"Cmd={command}&User=x&DeviceId={asked['device_id']}&DeviceType={asked['device_type']}"
        name = bytes.fromhex(asked["device_id_bytes"]) if asked["device_id_bytes"] else asked["device_id"].encode()
        version, kind = int(self.version.replace(".", "")), asked["device_type"].encode()
        fields = bytes([version, COMMANDS[command], 9, 4, len(name), *name, 0, len(kind), *kind])
        return base64.b64encode(fields).decode()

    async def say_what_it_is(self) -> None:
        """DeviceInformation where this version has it: in Provision from 14.1 on, in Settings before.

        A phone of an older version that has nothing to say provisions in silence, and with that has said it.
        """
        asked = self._asked
        said = [
            Element(f"Settings:{name}", text=asked[key])
            for name, key in (
                ("Model", "device_model"),
                ("OS", "device_operating_system"),
                ("UserAgent", "settings_user_agent"),
            )
            if asked[key] is not None
        ]
        information = Element("Settings:DeviceInformation", (Element("Settings:Set", tuple(said)),))
        if at_least(self.version, "14.1"):
            policy = Element("Provision:Policy", (Element("Provision:PolicyType", text="MS-EAS-Provisioning-WBXML"),))
            body = Element("Provision:Provision", (information, Element("Provision:Policies", (policy,))))
            await self.post("Provision", encode(body))
        elif said:
            await self.post("Settings", encode(Element("Settings:Settings", (information,))))
        else:
            await self.post("Provision", report())


@contextlib.asynccontextmanager
async def running(store: Store, mail: MailServer) -> AsyncIterator[Gateway]:
    context = Context(store, lambda: NOW, "test")
    gateway = Gateway(
        GatewayConfiguration("127.0.0.1", 0, upstream_address(mail.url), trusted_proxies=(ip_network("127.0.0.0/8"),)),
        store,
        lambda organization_id, address: directory.enroll(context, organization_id, address).user_id,
    )
    gateway.load()
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


async def answered_as_expected(case: Case, phone: Phone, gateway: Gateway, mail: MailServer) -> None:
    before = dict(gateway.metrics.decisions)
    mail.received.clear()
    with capture_logs() as logged:
        answer = await phone.post("FolderSync", FOLDER_SYNC)
    expected = case.expected
    decided = {
        key: count - before.get(key, 0)
        for key, count in gateway.metrics.decisions.items()
        if count != before.get(key, 0)
    }
    assert decided == {(expected.effect, expected.reason): 1}
    if expected.effect is Effect.ALLOW:
        assert (answer.status, answer.body) == (200, b"upstream")
        assert [one.body for one in mail.received if one.command != "OPTIONS"] == [FOLDER_SYNC]
        return
    assert mail.commands == []
    assert answer.headers["x-ms-asthrottle"] == expected.reason.value
    assert refused(answer) == told(case, phone.version)
    [entry] = [entry for entry in logged if entry["event"] == "access.refused"]
    assert case.names(entry["matched_rules"]) == expected.matched_rules


def refused(answer: Response) -> tuple[int, int | None]:
    """HTTP status and the status in the answer's document."""
    if not answer.body:
        return answer.status, None
    assert answer.body.startswith(STATUS_BEGINS), "a FolderSync with a Status"
    return answer.status, int(answer.body[len(STATUS_BEGINS) : -3])


def told(case: Case, version: str) -> tuple[int, int | None]:
    """What MS-ASCMD 2.2.2 has for it in this protocol version."""
    if case.expected.effect is None:
        return (200, 142) if at_least(version, "14.0") else (449, None)
    if not at_least(version, "14.0"):
        return 403, None
    return 200, 126 if case.expected.reason in USER_LEVEL else 129


@_each()
def test_a_phone_is_told_what_the_corpus_says(case: Case, store: Store):
    async def story():
        fill(store, case)
        mail = MailServer()
        await mail.start()
        try:
            async with running(store, mail) as gateway:
                phone = Phone(case, gateway)
                if case.raw["request"]["reported"]:
                    await phone.say_what_it_is()
                await answered_as_expected(case, phone, gateway, mail)
            async with running(store, mail) as gateway:
                await answered_as_expected(case, Phone(case, gateway), gateway, mail)
        finally:
            await mail.close()

    run(story())


def test_the_corpus_reaches_the_gateway_in_every_form():
    cases = load_cases("gateway")
    assert len(cases) > 200
    assert {case.raw["request"]["query"] for case in cases} == {"plain", "base64"}
    assert {case.expected.effect for case in cases} == {Effect.ALLOW, Effect.DENY, None}

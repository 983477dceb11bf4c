"""The product in front of a real ActiveSync server, SOGo: let in, refused, cut, healed; nothing in between is ours."""

from __future__ import annotations

import itertools
import os
import time
from email import policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support.mails import new_mail
from tests.support.phone import Phone, document, tag
from tests.support.secrets import password as new_password
from tests.support.stack import Gatepost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.phone import Answer, Parked
    from tests.support.sogo import Sogo

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("sogo")]

VERSIONS = ("12.1", "14.1", "16.1")
FORMS = (pytest.param(False, id="plain"), pytest.param(True, id="base64"))
BLOCKED, USER_DISABLED, NOT_PROVISIONED = "129", "126", "142"
SOON = 2.0  # seconds in which a parked request has to end; measured are a few hundredths
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def product(sogo_server: Sogo) -> Iterator[Gatepost]:
    made = Gatepost(sogo_server.url)
    made.client = boto3_client(made)
    try:
        made.serve()
        yield made
    finally:
        made.stop()


@pytest.fixture
def gatepost(product: Gatepost) -> Gatepost:
    """The product with WorkMail's DefaultDenyAll as its only device rule."""
    product.only_device_rules({"Name": "DefaultDenyAll", "Effect": "DENY"})
    product.wait_followed()
    return product


@pytest.fixture
def new_phone(product: Gatepost) -> Iterator[Callable[..., Phone]]:
    """Makes phones that nobody has seen before, and hangs them up."""
    made: list[Phone] = []

    def make(version: str = "14.1", *, user: str = "alice", password: str | None = None, **more: Any) -> Phone:
        address = f"{user}@example.com"
        device_id = f"E2EPHONE{next(_numbers):05}X{version.replace('.', '')}"
        phone = Phone(
            product.gateway_url, address, password or ACCOUNTS[address], device_id=device_id, version=version, **more
        )
        made.append(phone)
        return phone

    yield make
    for phone in made:
        phone.close()


def let_in(product: Gatepost, phone: Phone) -> None:
    """Allow the phone, and settle it: provisioned, folders synced, nothing new in the inbox."""
    product.override(phone.login, phone.device_id, "ALLOW")
    product.wait_followed()
    settle(phone)


def settle(phone: Phone) -> None:
    assert phone.provision().outcome == (200, "1")
    assert phone.folder_sync().outcome == (200, "1")
    phone.read_inbox()


def park(product: Gatepost, phone: Phone, kind: str) -> Parked:
    """A Ping or a Sync that hangs at SOGo."""
    before = product.metrics()["gatepost_parked_requests"]
    # SOGo hangs for HeartbeatInterval only, not for Wait, which 12.1 would use
    parked = phone.park_ping(30) if kind == "Ping" else phone.park_sync(heartbeat=60)
    product.wait_parked(int(before) + 1)
    time.sleep(0.3)
    assert not parked.done()
    return parked


def refused(answer: Answer, version: str, status: str = BLOCKED) -> bool:
    """True when the answer refuses in the version's own words (MS-ASCMD 2.2.2)."""
    if float(version) >= 14.0:
        return answer.outcome == (200, status)
    return answer.http_status == 403 and answer.body == b""


def reached(server: Sogo, phone: Phone) -> bool:
    """True when SOGo has heard of the device, in either spelling of its id."""
    spellings = {phone.device_id, phone.device_id.encode().hex().upper()}
    log = server.log_text().upper()
    return bool(spellings & server.known_devices()) or any(f"DEVICEID={spelling}" in log for spelling in spellings)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("base64_query", FORMS)
def test_refused_then_allowed_it_reads_and_sends(gatepost, sogo_server, new_phone, version, base64_query):
    phone = new_phone(version, base64_query=base64_query)
    assert phone.options().http_status == 200
    for answer in (
        phone.folder_sync(),
        phone.provision(),
        phone.settings(),
        phone.send_mail(b"Subject: never\r\n\r\n"),
    ):
        assert refused(answer, version), answer
        assert answer.headers["x-ms-asthrottle"] == "MobileDeviceAccessRule"
    assert not reached(sogo_server, phone)

    gatepost.override(phone.login, phone.device_id.lower(), "ALLOW")
    gatepost.wait_followed()
    assert phone.provision().outcome == (200, "1")
    assert phone.folder_sync().outcome == (200, "1")
    mails = {mail.subject: mail for mail in phone.read_inbox()}
    assert mails["Seed mail 1 for alice: plain text"].body.startswith("Hello alice,")
    assert "Grüße, <b>Nummer 2</b>" in mails["Seed mail 2 for alice: Grüße aus Köln"].body
    (reference,) = mails["Seed mail 3 for alice: with an attachment"].attachments
    assert phone.attachment(reference) == bytes(range(256)) * 8

    subject = f"From {phone.device_id}"
    sent = phone.send_mail(new_mail(subject, "bob").as_bytes(policy=policy.SMTP))
    assert (sent.http_status, sent.body) == (200, b"")
    sogo_server.wait_for_mail("bob", subject)
    assert len(sogo_server.mails("bob", subject=subject)) == 1
    assert len(sogo_server.mails("alice", subject=subject, folder="Sent")) == 1
    assert reached(sogo_server, phone)


def test_a_new_mail_wakes_every_parked_ping(gatepost, sogo_server, new_phone):
    phones = [new_phone(version, base64_query=form) for version in VERSIONS for form in (False, True)]
    for phone in phones:
        let_in(gatepost, phone)
    parked = [park(gatepost, phone, "Ping") for phone in phones]
    sogo_server.deliver(new_mail("Wake up", "alice"), "alice")
    for phone, ping in zip(phones, parked, strict=True):
        assert ping.answer(20).outcome == (200, "2")
        assert "Wake up" in [mail.subject for mail in phone.read_inbox()]


def test_the_default_rule_of_a_new_organization_lets_everybody_in(product, sogo_server, new_phone):
    product.only_device_rules({"Name": "Default", "Effect": "ALLOW"})
    product.wait_followed()
    phone = new_phone()
    settle(phone)
    assert reached(sogo_server, phone)


@pytest.mark.parametrize(
    ("kind", "version"), [*(("Ping", version) for version in VERSIONS), ("Sync", "14.1"), ("Sync", "16.1")]
)
def test_a_deny_override_ends_a_parked_request(gatepost, new_phone, version, kind):
    phone = new_phone(version)
    let_in(gatepost, phone)
    parked = park(gatepost, phone, kind)
    gatepost.override(phone.login, phone.device_id, "DENY")
    assert_cut(phone, parked, kind, since=time.monotonic())
    assert refused(phone.folder_sync(), version)


def test_a_device_rule_ends_a_parked_ping(gatepost, new_phone):
    (rule_id,) = gatepost.only_device_rules({"Name": "Samsung", "Effect": "ALLOW", "DeviceTypes": ["SAMSUNG"]})
    gatepost.wait_followed()
    phone = new_phone()
    settle(phone)
    parked = park(gatepost, phone, "Ping")
    rule = {"Name": "Samsung", "Effect": "DENY", "DeviceModels": ["SM-G991"]}
    gatepost.call("update_mobile_device_access_rule", MobileDeviceAccessRuleId=rule_id, **rule)
    assert_cut(phone, parked, "Ping", since=time.monotonic())
    answer = phone.folder_sync()
    assert refused(answer, "14.1")
    assert answer.headers["x-ms-asthrottle"] == "MobileDeviceAccessRule"


def test_an_access_control_rule_ends_a_parked_ping(gatepost, new_phone):
    phone = new_phone()
    let_in(gatepost, phone)
    parked = park(gatepost, phone, "Ping")
    rule = {"Name": "NoActiveSync", "Effect": "DENY", "Description": "for the test", "Actions": ["ActiveSync"]}
    gatepost.call("put_access_control_rule", **rule)
    try:
        assert_cut(phone, parked, "Ping", since=time.monotonic())
        answer = phone.folder_sync()
        assert refused(answer, "14.1")
        assert answer.headers["x-ms-asthrottle"] == "AccessControlRule"
    finally:
        gatepost.call("delete_access_control_rule", Name="NoActiveSync")
        gatepost.wait_followed()
    assert phone.folder_sync().outcome == (200, "1")


@pytest.mark.parametrize("version", ["12.1", "14.1"])
def test_a_deregistered_user_is_cut_and_refused(gatepost, new_phone, version):
    phone = new_phone(version, user="bob")
    let_in(gatepost, phone)
    parked = park(gatepost, phone, "Ping")
    user_id = next(user["Id"] for user in gatepost.call("list_users")["Users"] if user.get("Email") == phone.login)
    gatepost.call("deregister_from_work_mail", EntityId=user_id)
    try:
        assert_cut(phone, parked, "Ping", since=time.monotonic())
        answer = phone.folder_sync()
        assert refused(answer, version, USER_DISABLED)
        assert answer.headers["x-ms-asthrottle"] == "UserNotEnabled"
    finally:
        gatepost.call("register_to_work_mail", EntityId=user_id, Email=phone.login)
        gatepost.wait_followed()
    assert phone.folder_sync().outcome == (200, "1")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_heals_by_an_update_of_its_operating_system(gatepost, new_phone, version):
    gatepost.only_device_rules(
        {"Name": "No old systems", "Effect": "DENY", "DeviceOperatingSystems": ["Android 11", "Android 12"]},
        {"Name": "All others", "Effect": "ALLOW"},
    )
    gatepost.wait_followed()
    phone = new_phone(version, operating_system="Android 12")
    modern = float(version) >= 14.0
    # it has not said what it is: it is asked to
    assert phone.folder_sync().outcome == ((200, NOT_PROVISIONED) if modern else (449, None))
    told = phone.provision()
    assert refused(told, version), told
    assert refused(phone.folder_sync(), version)
    # the update; what tells is Provision from 14.1 on, Settings before
    phone.operating_system = "Android 14"
    told = phone.provision() if float(version) >= 14.1 else phone.settings()
    assert told.outcome == (200, "1")
    assert phone.folder_sync().outcome == (200, "1")
    gatepost.device(phone.device_id, device_operating_system="Android 14")


def test_nobody_is_told_or_recorded_anything_without_the_password(gatepost, sogo_server, new_phone):
    phone = new_phone(password=new_password("a wrong one, typed on a phone"))
    answer = phone.folder_sync()
    assert answer.http_status == 401
    assert "basic" in answer.headers["www-authenticate"].lower()
    assert "x-ms-asthrottle" not in answer.headers
    assert phone.provision().http_status == 401
    assert phone.options().http_status == 401
    time.sleep(1.5)  # devices are written down in batches
    assert phone.device_id not in {device["device_id"] for device in gatepost.devices()}
    assert not reached(sogo_server, phone)


def test_credentials_are_asked_for_although_sogo_answers_403(gatepost, new_phone):
    phone = new_phone()
    for answer in (phone.options(authenticate=False), phone.request("FolderSync", b"", authenticate=False)):
        assert answer.http_status == 401
        assert "basic" in answer.headers["www-authenticate"].lower()


def test_a_command_hidden_in_the_body_of_another_does_not_pass(gatepost, sogo_server, new_phone):
    # SOGo does what the WBXML root says, whatever Cmd says
    phone = new_phone()
    body = document(tag("FolderHierarchy.FolderSync", tag("FolderHierarchy.SyncKey", "0")))
    for command in ("Provision", "Settings", "Ping", "SendMail"):
        assert phone.request(command, body).http_status == 400
    for query in (f"Cmd=Provision&{phone.query('FolderSync')}", f"{phone.query('FolderSync')}&DeviceId=ANOTHER"):
        assert phone.request("FolderSync", body, query=query).http_status == 400
    assert not reached(sogo_server, phone)


def test_devices_lists_refused_and_allowed_ones(gatepost, new_phone):
    refused_one, allowed_one = new_phone(), new_phone("16.1")
    refused_one.folder_sync()
    refused_one.provision()
    let_in(gatepost, allowed_one)
    listed = {
        phone.device_id: gatepost.device(phone.device_id, device_model="SM-G991B")
        for phone in (refused_one, allowed_one)
    }
    for phone, version in ((refused_one, "14.1"), (allowed_one, "16.1")):
        shown = listed[phone.device_id]
        assert (shown["device_type"], shown["device_model"], shown["device_operating_system"]) == (
            "SAMSUNGSMG991B",
            "SM-G991B",
            "Android 13",
        )
        assert shown["protocol_version"] == version
    assert [listed[phone.device_id]["effect"] for phone in (refused_one, allowed_one)] == ["DENY", "ALLOW"]


@pytest.mark.parametrize("version", ["12.1", "14.1"])
def test_a_large_mail_passes_without_being_held_in_memory(gatepost, sogo_server, new_phone, version):
    phone = new_phone(version)
    let_in(gatepost, phone)
    subject = f"Large {phone.device_id}"
    content = os.urandom(18_000_000)  # 25 MB as base64
    message = new_mail(subject, "bob")
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename="large.bin")
    raw = message.as_bytes(policy=policy.SMTP)
    assert len(raw) > 24_000_000
    before = forget_peak(gatepost)
    assert phone.send_mail(raw).outcome == (200, None)
    assert peak_kib(gatepost) - before < 8 * 1024
    sogo_server.wait_for_mail("bob", subject)
    (arrived,) = sogo_server.mails("bob", subject=subject)
    (attached,) = arrived.iter_attachments()
    assert attached.get_content() == content

    reader = new_phone(version, user="bob")
    gatepost.override(reader.login, reader.device_id, "ALLOW")
    gatepost.wait_followed()
    assert reader.provision().outcome == (200, "1")
    assert reader.folder_sync().outcome == (200, "1")
    mail = next(mail for mail in reader.read_inbox() if mail.subject == subject)
    before = forget_peak(gatepost)
    assert reader.attachment(mail.attachments[0]) == content
    assert peak_kib(gatepost) - before < 8 * 1024


def forget_peak(product: Gatepost) -> int:
    """Let the kernel measure the peak anew; the memory now, in KiB."""
    pid = product.pid("all")
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_kib(product)


def peak_kib(product: Gatepost) -> int:
    """The most memory that the server had (VmHWM), in KiB."""
    lines = Path(f"/proc/{product.pid('all')}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def assert_cut(phone: Phone, parked: Parked, kind: str, *, since: float) -> None:
    """The parked request ends soon, in the words of its command: FolderSync needed."""
    answer = parked.answer(30)
    assert answer.arrived_at - since < SOON
    assert answer.http_status == 200
    expected = ("Ping.Ping", "7") if kind == "Ping" else ("AirSync.Sync", "12")
    assert (answer.root, answer.status) == expected

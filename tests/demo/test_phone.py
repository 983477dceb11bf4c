"""The phone against our mailbox server: both query forms, three versions, and what servers answer otherwise."""

import asyncio
from contextlib import asynccontextmanager
from email.message import EmailMessage

import pytest
from tests.support.loop import in_loop
from tests.support.secrets import password

from gatepost.demo.mailbox import Mailbox
from gatepost.demo.mailbox_accounts import SENT
from gatepost.demo.phone import Answer, Phone
from gatepost.wire.wbxml import Element, encode

ALICES = password("alice's mailbox")
FORMS = [(version, form) for version in ("12.1", "14.1", "16.1") for form in (False, True)]


def mail(subject: str, to: str = "bob@example.com", body: str = "Grüße\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alice@example.com", to, subject
    message.set_content(body)
    return message


@asynccontextmanager
async def mailbox_and_phone(version: str = "14.1", *, base64: bool = False, policy_required: bool = False):
    mailbox = Mailbox(
        {"alice@example.com": ALICES, "bob@example.com": password("bob's mailbox")}, policy_required=policy_required
    )
    await mailbox.start()
    phone = Phone(
        mailbox.url, "alice@example.com", ALICES, "ApplC39GQ8NNDTDL", version=version, base64=base64,
        friendly_name="Alice's phone", settings_user_agent="iOS/17.5 dataaccessd/1.0",
    )  # fmt: skip
    try:
        yield mailbox, phone
    finally:
        await phone.close()
        await mailbox.close()


@pytest.mark.parametrize(("version", "base64"), FORMS)
@in_loop
async def test_a_day_of_a_phone(version, base64):
    async with mailbox_and_phone(version, base64=base64, policy_required=True) as (mailbox, phone):
        options = await phone.options()
        assert version in options.headers["ms-asprotocolversions"].split(",")
        assert "Provision" in options.headers["ms-asprotocolcommands"].split(",")

        refused = await phone.folder_sync()
        assert refused.asks_to_provision
        assert not refused.ok
        assert (refused.http_status, refused.status) == ((449, None) if version == "12.1" else (200, 142))

        assert (await phone.provision()).ok
        folders = await phone.folder_sync()
        assert [folder.name for folder in folders.folders] == ["Inbox", "Drafts", "Deleted Items", "Sent Items"]
        inbox = folders.folder().folder_id

        for subject in ("one", "two", "three"):
            mailbox.deliver("alice", mail(subject))
        mails = await phone.read_mails(inbox)
        assert [(one.subject, one.body, one.read) for one in mails] == [
            (subject, "Grüße\n", False) for subject in ("one", "two", "three")
        ]
        answer, again = await phone.fetch(inbox, mails[1].server_id)
        assert answer.ok
        assert again == mails[1]

        sent = await phone.send_mail(mail("to bob"))
        assert (sent.http_status, sent.raw, sent.ok) == (200, b"", True)
        assert [one.message["Subject"] for one in mailbox.mails("bob")] == ["to bob"]
        assert [one.message["Subject"] for one in mailbox.mails("alice", SENT)] == ["to bob"]

        commands = [executed.command for executed in mailbox.executed]
        settings = ["Settings"] if version == "12.1" else []
        assert commands == [
            "OPTIONS", "FolderSync", "Provision", "Provision", *settings, "FolderSync", "Sync", "Sync",
            "ItemOperations", "SendMail",
        ]  # fmt: skip
        assert {executed.request.form.value for executed in mailbox.executed[1:]} == {"base64" if base64 else "plain"}
        assert {executed.device_id for executed in mailbox.executed[1:]} == {"APPLC39GQ8NNDTDL"}


@pytest.mark.parametrize(("version", "base64"), FORMS)
@in_loop
async def test_a_ping_is_woken_by_a_mail(version, base64):
    async with mailbox_and_phone(version, base64=base64) as (mailbox, phone):
        await phone.provision()
        inbox = (await phone.folder_sync()).folder().folder_id
        await phone.read_mails(inbox)
        parked = asyncio.create_task(phone.ping(60, inbox))
        await asyncio.sleep(0.05)
        assert not parked.done()
        mailbox.deliver("alice@example.com", mail("news"))
        woken = await parked
        assert (woken.http_status, woken.status, woken.folders) == (200, 2, (inbox,))
        assert [one.subject for one in await phone.read_mails(inbox)] == ["news"]
        assert [one.request.policy_key for one in mailbox.executed[-2:]] == [None, phone.policy_key]


@pytest.mark.parametrize("version", ["12.1", "14.0", "14.1", "16.1"])
@in_loop
async def test_the_server_learns_what_the_phone_is(version):
    async with mailbox_and_phone(version) as (mailbox, phone):
        assert (await phone.provision()).ok
        facts = mailbox.device("alice", phone.device_id).facts
        assert (facts.model, facts.operating_system) == ("iPhone14,5", "iOS 17.5 21F79")
        assert (facts.friendly_name, facts.user_agent) == ("Alice's phone", "iOS/17.5 dataaccessd/1.0")
        phone.operating_system = "iOS 17.6"
        assert (await phone.settings_device_information()).ok
        assert mailbox.device("alice", phone.device_id).facts.operating_system == "iOS 17.6"
        assert {one.headers.get("user-agent") for one in mailbox.executed} == {"Apple-iPhone14C5/2105.79"}


@pytest.mark.parametrize(("version", "base64"), FORMS)
@in_loop
async def test_it_provisions_when_asked_if_told_to(version, base64):
    async with mailbox_and_phone(version, base64=base64, policy_required=True) as (mailbox, phone):
        phone.provision_if_asked = True
        assert (await phone.folder_sync()).ok
        assert phone.policy_key == mailbox.device("alice", phone.device_id).policy_key
        assert (await phone.folder_sync()).ok


@in_loop
async def test_a_wrong_password_is_401():
    async with mailbox_and_phone() as (mailbox, phone):
        phone.password = password("a wrong one")
        for answer in (await phone.options(), await phone.folder_sync()):
            assert (answer.http_status, answer.ok) == (401, False)
            assert answer.headers["www-authenticate"].startswith("Basic ")
        assert mailbox.executed == []


@in_loop
async def test_giving_up_a_ping_closes_its_connection():
    async with mailbox_and_phone() as (mailbox, phone):
        inbox = (await phone.folder_sync()).folder().folder_id
        parked = asyncio.create_task(phone.ping(60, inbox))
        await asyncio.sleep(0.05)
        parked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await parked
        await asyncio.sleep(0.05)
        assert [one.command for one in mailbox.cancelled] == ["Ping"]
        assert (await phone.folder_sync()).ok


@in_loop
async def test_a_ping_without_folders_repeats_the_last():
    async with mailbox_and_phone() as (_, phone):
        assert (await phone.ping(1)).status == 3
        assert (await phone.ping(1, "1")).status == 1
        assert (await phone.ping(1)).status == 1


@pytest.mark.parametrize(("version", "commands"), [("14.1", ["Provision"]), ("12.1", ["Provision", "Settings"])])
@in_loop
async def test_a_server_without_a_policy_needs_no_second_step(version, commands):
    no_policy = Element(
        "Provision:Provision",
        (
            Element("Provision:Status", text="1"),
            Element(
                "Provision:Policies",
                (
                    Element(
                        "Provision:Policy",
                        (
                            Element("Provision:PolicyType", text="MS-EAS-Provisioning-WBXML"),
                            Element("Provision:Status", text="2"),
                        ),
                    ),
                ),
            ),
        ),
    )
    seen = []

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].split()[0])
        await reader.readexactly(length)
        seen.append(head.partition("Cmd=")[2].partition("&")[0])
        body = encode(no_policy)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        phone = Phone(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/SOGo/Microsoft-Server-ActiveSync",
            "a",
            "b",
            version=version,
        )
        answer = await phone.provision()
        assert (answer.ok, phone.policy_key, seen) == (True, 0, commands)
        await phone.close()


@pytest.mark.parametrize(
    ("answer", "ok", "asks"),
    [
        (Answer(200, {}, b""), True, False),
        (Answer(200, {}, b"x", Element("Ping:Ping", (Element("Ping:Status", text="1"),))), True, False),
        (Answer(200, {}, b"x", Element("Ping:Ping", (Element("Ping:Status", text="129"),))), False, False),
        (Answer(200, {}, b"x", Element("Sync:Sync", (Element("AirSync:Status", text="144"),))), False, True),
        (Answer(449, {}, b""), False, True),
        (Answer(403, {}, b""), False, False),
    ],
)
def test_what_an_answer_means(answer, ok, asks):
    assert (answer.ok, answer.asks_to_provision) == (ok, asks)

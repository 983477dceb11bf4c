"""The mailbox server: who may ask, what is recorded, and a foreign client that finds all it needs."""

import asyncio
from contextlib import asynccontextmanager
from email.message import EmailMessage

import pyactivesync
import pytest
from tests.support import secrets
from tests.support.loop import in_loop

from gatepost.demo.mailbox import VERSIONS, Mailbox
from gatepost.demo.mailbox_accounts import DELETED, INBOX, SENT
from gatepost.demo.phone import Phone
from gatepost.demo.phone_http import HttpClient
from gatepost.wire.basic_auth import Credentials, render
from gatepost.wire.wbxml import Element, encode

ALICES = secrets.password("alice's mailbox")
PATH = "/Microsoft-Server-ActiveSync"
QUERY = "Cmd=FolderSync&User=alice&DeviceId=PHONE1&DeviceType=iPhone"
FOLDER_SYNC = encode(Element("FolderHierarchy:FolderSync", (Element("FolderHierarchy:SyncKey", text="0"),)))


@asynccontextmanager
async def mailbox_and_client(**options):
    mailbox = Mailbox({"alice@example.com": ALICES, "bob@example.com": secrets.password("bob's mailbox")}, **options)
    await mailbox.start()
    client = HttpClient(mailbox.url)
    try:
        yield mailbox, client
    finally:
        await client.close()
        await mailbox.close()


def headers(login: str = "alice", password: str = ALICES, **more: str) -> dict[str, str]:
    authorization = render(Credentials(login, password)).decode()
    return {"Authorization": authorization, "MS-ASProtocolVersion": "14.1", **more}


async def post(client, query=QUERY, body=FOLDER_SYNC, sent=None):
    return await client.request("POST", f"{PATH}?{query}", sent or headers(), body, repeatable=True)


@pytest.mark.parametrize("login", ["alice", "ALICE@example.com", "EXAMPLE\\alice", "EXAMPLE\\alice@example.com"])
@in_loop
async def test_every_form_of_a_login_is_one_user(login):
    async with mailbox_and_client() as (mailbox, client):
        assert (await post(client, sent=headers(login))).status == 200
        assert [(one.command, one.user, one.device_id) for one in mailbox.executed] == [
            ("FolderSync", "alice@example.com", "PHONE1")
        ]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !"},
        headers("alice", secrets.password("a wrong one")),
        headers("carol", ALICES),
        headers("alice@other.example", ALICES),
        headers("bob", ALICES),
    ],
)
@in_loop
async def test_others_are_asked_for_credentials_and_nothing_is_recorded(sent):
    async with mailbox_and_client() as (mailbox, client):
        for method in ("POST", "OPTIONS"):
            answer = await client.request(method, f"{PATH}?{QUERY}", sent, FOLDER_SYNC, repeatable=True)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="mailbox"')
        assert mailbox.executed == []


@in_loop
async def test_options_says_what_there_is():
    async with mailbox_and_client() as (mailbox, client):
        answer = await client.request("OPTIONS", PATH, headers(), None, repeatable=True)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["ms-asprotocolversions"] == VERSIONS
        assert {"Provision", "Ping", "SendMail"} <= set(answer.headers["ms-asprotocolcommands"].split(","))
        assert [one.command for one in mailbox.executed] == ["OPTIONS"]


@in_loop
async def test_paths_and_methods():
    async with mailbox_and_client() as (_, client):
        for path in ("/microsoft-server-activesync", f"{PATH}/default.eas"):
            answer = await client.request("POST", f"{path}?{QUERY}", headers(), FOLDER_SYNC, repeatable=True)
            assert answer.status == 200
        assert (await client.request("POST", "/owa", headers(), b"", repeatable=True)).status == 404
        answer = await client.request("GET", f"{PATH}?{QUERY}", headers(), None, repeatable=True)
        assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("query", "body", "sentence"),
    [
        ("", FOLDER_SYNC, "no query"),
        (QUERY + "&DeviceId=OTHER", FOLDER_SYNC, "`DeviceId` twice"),
        (QUERY.replace("FolderSync", "Nonsense"), FOLDER_SYNC, "not a command"),
        (QUERY, b"<xml/>", "WBXML header"),
        (QUERY, FOLDER_SYNC[:-1], "ends in the middle"),
        (QUERY.replace("FolderSync", "Provision"), FOLDER_SYNC, "came with a body of `FolderHierarchy:FolderSync`"),
        (QUERY.replace("FolderSync", "Provision"), b"", "without a body"),
        (QUERY.replace("FolderSync", "GetAttachment"), FOLDER_SYNC, "has no body"),
    ],
)
@in_loop
async def test_bad_requests(query, body, sentence):
    async with mailbox_and_client() as (mailbox, client):
        answer = await post(client, query, body)
        assert answer.status == 400
        assert sentence in answer.body.decode()
        assert [one.command for one in mailbox.executed] == (["Provision"] if sentence == "without a body" else [])


@in_loop
async def test_a_mail_as_the_body_ended_with_12_1():
    async with mailbox_and_client() as (mailbox, client):
        query = QUERY.replace("FolderSync", "SendMail") + "&SaveInSent=T"
        raw = b"To: bob@example.com\r\nSubject: hi\r\n\r\nhello\r\n"
        sent = headers(**{"MS-ASProtocolVersion": "12.1", "Content-Type": "message/rfc822; charset=utf-8"})
        assert (await post(client, query, raw, sent)).status == 200
        assert mailbox.mails("bob")[0].mime == raw
        assert mailbox.mails("alice", SENT)[0].mime == raw
        sent["MS-ASProtocolVersion"] = "14.0"
        assert (await post(client, query, raw, sent)).status == 400


@in_loop
async def test_commands_it_does_not_have():
    async with mailbox_and_client() as (_, client):
        search = encode(Element("Search:Search"))
        answer = await post(client, QUERY.replace("FolderSync", "Search"), search)
        assert (answer.status, answer.body.hex()) == (200, "03016a00000f454c03313337000101")
        old = headers(**{"MS-ASProtocolVersion": "12.1"})
        assert (await post(client, QUERY.replace("FolderSync", "Search"), search, old)).status == 501
        assert (await post(client, QUERY.replace("FolderSync", "GetAttachment"), b"")).status == 501


@in_loop
async def test_a_policy_may_be_required():
    async with mailbox_and_client(policy_required=True) as (_, client):
        assert (await post(client)).body.hex() == "03016a000007564c03313432000101"
        assert (await post(client, sent=headers(**{"MS-ASProtocolVersion": "12.1"}))).status == 449
        assert (
            await post(client, sent=headers(**{"X-MS-PolicyKey": "7"}))
        ).body.hex() == "03016a000007564c03313432000101"


@in_loop
async def test_deliver_wakes_nobody_else_and_knows_its_users():
    async with mailbox_and_client() as (mailbox, _):
        mail = mailbox.deliver("bob", b"Subject: hi\r\n\r\nhello")
        assert mailbox.mails("bob") == [mail]
        assert mailbox.mails("alice") == mailbox.mails("nobody") == []
        assert mailbox.device("alice", "x") is mailbox.device("nobody", "x") is None
        with pytest.raises(KeyError, match="`carol` has no mailbox here"):
            mailbox.deliver("carol", b"")


@in_loop
async def test_closing_ends_parked_requests():
    mailbox = Mailbox({"alice@example.com": ALICES})
    await mailbox.start()
    phone = Phone(mailbox.url, "alice", ALICES)
    parked = asyncio.create_task(phone.ping(60, INBOX))
    await asyncio.sleep(0.05)
    await mailbox.close()
    await mailbox.close()
    with pytest.raises(Exception):  # noqa: B017 - whichever way the connection breaks
        await parked
    assert [one.command for one in mailbox.cancelled] == ["Ping"]
    await phone.close()


def _foreign_story(url: str, deliver) -> dict[str, object]:
    """What pyactivesync 0.17 does with a mailbox, but over http where it insists on https."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alice@example.com", "bob@example.com", "from afar"
    message.set_content("hello\n")
    found: dict[str, object] = {}
    with pyactivesync.Client("ignored", "alice@example.com", ALICES, device_id="FOREIGN1") as client:
        client._transport.base_url = url + PATH
        folders = {folder.name: folder for folder in client.list_folders()}
        inbox = folders["Inbox"].id
        found["types"] = {name: folder.type.name for name, folder in folders.items()}
        key = client.sync_folder(inbox).sync_key
        found["estimate"] = client.get_item_estimate(inbox, key)
        first = client.sync_folder(inbox, key, window_size=1)
        second = client.sync_folder(inbox, first.sync_key)
        found["more"] = (first.more_available, second.more_available)
        items = [*first.added, *second.added]
        found["subjects"] = [item.fields["Email.Subject"] for item in items]
        nothing = client.sync_folder(inbox, second.sync_key)
        found["nothing"] = (nothing.added, nothing.sync_key == second.sync_key)
        bodies = pyactivesync.BodyType
        found["bodies"] = [
            client.fetch_item(inbox, items[0].server_id, body_type=kind).bodies[0].data
            for kind in (bodies.PLAIN_TEXT, bodies.HTML, bodies.MIME)
        ]
        changes = [
            pyactivesync.EmailChange(items[0].server_id, read=True),
            pyactivesync.EmailChange(items[1].server_id, delete=True),
            pyactivesync.EmailChange("1:999", read=True),
        ]
        applied = client.apply_email_changes(inbox, nothing.sync_key, changes)
        found["applied"] = applied.statuses
        found["moved"] = client.move_item(items[0].server_id, inbox, folders["Drafts"].id)
        client.send_mail(message)
        key = client.sync_folder(inbox, applied.sync_key).sync_key
        deliver()
        found["ping"] = client.ping(inbox, heartbeat=30)
        found["came"] = len(client.sync_folder(inbox, key).added)
        found["oof"] = client.get_oof().state.name
    return found


@in_loop
async def test_a_foreign_client_finds_all_it_needs():
    async with mailbox_and_client(policy_required=True) as (mailbox, _):
        loop = asyncio.get_running_loop()
        mailbox.deliver(
            "alice",
            "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n<hällo>\r\n".encode(),
        )
        mailbox.deliver("alice", b"Subject: two\r\n\r\nhello\r\n")
        first, second = mailbox.mails("alice")

        def deliver() -> None:
            later = (0.3, mailbox.deliver, "alice", b"Subject: three\r\n\r\nhello\r\n")
            loop.call_soon_threadsafe(loop.call_later, *later)

        found = await asyncio.to_thread(_foreign_story, mailbox.url, deliver)
        assert found["types"] == {
            "Inbox": "INBOX", "Drafts": "DRAFTS", "Deleted Items": "DELETED_ITEMS", "Sent Items": "SENT_ITEMS",
        }  # fmt: skip
        assert (found["estimate"], found["more"], found["nothing"]) == (2, (True, False), ([], True))
        assert found["subjects"] == ["Grüße", "two"]
        assert found["bodies"] == ["<hällo>\r\n", "<html><body><pre>&lt;hällo&gt;\r\n</pre></body></html>", first.mime]
        assert found["applied"] == {first.server_id: "1", second.server_id: "1", "1:999": "8"}
        assert found["moved"] == mailbox.mails("alice", "2")[0].server_id
        assert mailbox.mails("alice", "2")[0].read
        assert [mail.mime for mail in mailbox.mails("alice", DELETED)] == [second.mime]
        assert [mail.message["Subject"] for mail in mailbox.mails("bob")] == ["from afar"]
        assert [mail.message["Subject"] for mail in mailbox.mails("alice", SENT)] == ["from afar"]
        assert (found["ping"].status, found["ping"].changed_folder_ids) == ("2", [INBOX])
        assert (found["came"], found["oof"]) == (1, "DISABLED")
        assert mailbox.device("alice", "FOREIGN1").facts.model == "pyactivesync"

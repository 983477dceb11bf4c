"""The mailbox server's other commands: statuses where something is wrong, and what versions see differently."""

import pytest
from tests.support.loop import in_loop

from gatepost.demo.mailbox_accounts import INBOX, Account, DeviceState
from gatepost.demo.mailbox_commands import COMMANDS
from gatepost.demo.mailbox_session import BadBody, Session
from gatepost.wire.eas import provisioning
from gatepost.wire.eas.commands import COMMANDS as ALL_COMMANDS
from gatepost.wire.eas.request import parse_query
from gatepost.wire.wbxml import Element

INFORMATION = Element("Settings:DeviceInformation", (Element("Settings:Set", (Element("Settings:OS", text="iOS"),)),))
POLICY_KEY = ("Provision:Policies", "Provision:Policy", "Provision:PolicyKey")
POLICY_STATUS = ("Provision:Policies", "Provision:Policy", "Provision:Status")


def session(version: str = "14.1", *, delivers: bool = True) -> Session:
    request = parse_query(b"Cmd=Sync&DeviceId=A&DeviceType=B", version.encode(), None)
    return Session(Account("alice@example.com", "x"), DeviceState(), request, (5, 60), lambda _: delivers)


async def do(command: str, body: Element | None, asked: Session | None = None) -> Element | None:
    answer = await COMMANDS[command](asked or session(), body)
    assert answer is None or answer.name == ALL_COMMANDS[command].root
    return answer


@in_loop
async def test_both_steps_of_provisioning():
    asked = session()
    offered = await do("Provision", provisioning.initial_request(INFORMATION), asked)
    assert offered.text_at("Settings:DeviceInformation", "Settings:Status") == "1"
    assert offered.find(*POLICY_KEY[:2], "Provision:Data", "Provision:EASProvisionDoc").children
    temporary = int(offered.text_at(*POLICY_KEY))
    assert asked.device.policy_key is None
    final = await do("Provision", provisioning.acknowledgement(temporary), asked)
    assert int(final.text_at(*POLICY_KEY)) == asked.device.policy_key
    assert asked.device.facts.operating_system == "iOS"
    again = await do("Provision", provisioning.acknowledgement(temporary), asked)
    assert again.text_at(*POLICY_STATUS) == "5"


@pytest.mark.parametrize(("version", "status"), [("12.1", "1"), ("14.0", "1"), ("14.1", "165"), ("16.1", "165")])
@in_loop
async def test_device_information_is_required_from_14_1_on(version, status):
    answer = await do("Provision", provisioning.initial_request(None), session(version))
    assert answer.text_at("Provision:Status") == status


@in_loop
async def test_a_wipe_is_acknowledged():
    wiped = Element("Provision:RemoteWipe", (Element("Provision:Status", text="1"),))
    answer = await do("Provision", Element("Provision:Provision", (wiped,)))
    assert answer == Element("Provision:Provision", (Element("Provision:Status", text="1"),))


@pytest.mark.parametrize("command", ["Provision", "Settings", "SendMail", "ItemOperations"])
@in_loop
async def test_commands_that_need_a_body(command):
    with pytest.raises(BadBody):
        await do(command, None)


@pytest.mark.parametrize(
    ("key", "status", "count"), [("0", "1", "4"), ("1", "1", "0"), ("2", "9", None), ("", "9", None)]
)
@in_loop
async def test_folder_sync_keys(key, status, count):
    answer = await do(
        "FolderSync", Element("FolderHierarchy:FolderSync", (Element("FolderHierarchy:SyncKey", text=key),))
    )
    assert answer.text_at("FolderHierarchy:Status") == status
    assert answer.text_at("FolderHierarchy:Changes", "FolderHierarchy:Count") == count


def ping(heartbeat: str | None, *folders: str) -> Element:
    named = tuple(Element("Ping:Folder", (Element("Ping:Id", text=folder),)) for folder in folders)
    interval = (Element("Ping:HeartbeatInterval", text=heartbeat),) if heartbeat is not None else ()
    return Element("Ping:Ping", (*interval, *((Element("Ping:Folders", named),) if folders else ())))


@pytest.mark.parametrize(
    ("body", "status", "heartbeat"),
    [
        (None, "3", None),
        (ping("30"), "3", None),
        (ping(None, INBOX), "3", None),
        (ping("x", INBOX), "3", None),
        (ping("4", INBOX), "5", "5"),
        (ping("3540", INBOX), "5", "60"),
        (ping("30", INBOX, "99"), "7", None),
    ],
)
@in_loop
async def test_pings_that_do_not_wait(body, status, heartbeat):
    answer = await do("Ping", body)
    assert (answer.text_at("Ping:Status"), answer.text_at("Ping:HeartbeatInterval")) == (status, heartbeat)


@in_loop
async def test_a_ping_tells_news_at_once_and_remembers_its_parameters():
    asked = session()
    asked.device.last_ping = (30, (INBOX, "4"))
    asked.account.add(INBOX, b"")
    await do("Sync", _initial_sync(), asked)
    answer = await do("Ping", None, asked)
    assert answer.text_at("Ping:Status") == "2"
    assert [folder.text for folder in answer.find("Ping:Folders").children] == [INBOX]


def _initial_sync() -> Element:
    collection = (Element("AirSync:SyncKey", text="0"), Element("AirSync:CollectionId", text=INBOX))
    return Element("AirSync:Sync", (Element("AirSync:Collections", (Element("AirSync:Collection", collection),)),))


@pytest.mark.parametrize("version", ["12.1", "14.0", "14.1", "16.1"])
@in_loop
async def test_settings(version):
    get = Element("Settings:UserInformation", (Element("Settings:Get"),))
    oof = Element("Settings:Oof", (Element("Settings:Get"),))
    answer = await do("Settings", Element("Settings:Settings", (INFORMATION, get, oof)), session(version))
    assert answer.text_at("Settings:Status") == "1"
    assert answer.text_at("Settings:DeviceInformation", "Settings:Status") == "1"
    below = ["Settings:Accounts", "Settings:Account"] if version in ("14.1", "16.1") else []
    path = ("Settings:UserInformation", "Settings:Get", *below, "Settings:EmailAddresses", "Settings:SMTPAddress")
    assert answer.text_at(*path) == "alice@example.com"
    assert answer.text_at("Settings:Oof", "Settings:Get", "Settings:OofState") == "0"


@in_loop
async def test_the_answer_to_device_information_is_the_specifications():
    from gatepost.wire.wbxml import encode

    answer = await do("Settings", Element("Settings:Settings", (INFORMATION,)))
    assert encode(answer).hex() == "03016a0000124546033100015646033100010101"


@in_loop
async def test_mails_that_cannot_be_sent():
    mail = Element("ComposeMail:SendMail", (Element("ComposeMail:Mime", opaque=b"Subject: x\r\n\r\n"),))
    assert (await do("SendMail", mail, session(delivers=False))).text_at("ComposeMail:Status") == "119"
    assert (await do("SendMail", Element("ComposeMail:SendMail"))).text_at("ComposeMail:Status") == "103"
    assert await do("SendMail", mail) is None


@pytest.mark.parametrize(("folder", "key", "status"), [("99", "1", "2"), (INBOX, "7", "4"), (INBOX, "", "4")])
@in_loop
async def test_estimates_that_cannot_be_given(folder, key, status):
    collection = (Element("AirSync:SyncKey", text=key), Element("GetItemEstimate:CollectionId", text=folder))
    collections = Element("GetItemEstimate:Collections", (Element("GetItemEstimate:Collection", collection),))
    answer = await do("GetItemEstimate", Element("GetItemEstimate:GetItemEstimate", (collections,)))
    assert answer.text_at("GetItemEstimate:Response", "GetItemEstimate:Status") == status


@in_loop
async def test_a_fetch_of_what_is_not_there():
    item = (Element("AirSync:CollectionId", text="99"), Element("AirSync:ServerId", text="1:1"))
    body = Element("ItemOperations:ItemOperations", (Element("ItemOperations:Fetch", item),))
    answer = await do("ItemOperations", body)
    assert answer.text_at("ItemOperations:Status") == "1"
    assert answer.text_at("ItemOperations:Response", "ItemOperations:Fetch", "ItemOperations:Status") == "6"


@pytest.mark.parametrize(
    ("source", "target", "status"), [(INBOX, "4", "3"), (INBOX, "99", "2"), ("99", "4", "1"), ("2", "4", "1")]
)
@in_loop
async def test_moves(source, target, status):
    asked = session()
    asked.account.add(INBOX, b"")
    move = (
        Element("Move:SrcMsgId", text="1:1"), Element("Move:SrcFldId", text=source), Element("Move:DstFldId", text=target),
    )  # fmt: skip
    answer = await do("MoveItems", Element("Move:MoveItems", (Element("Move:Move", move),)), asked)
    assert answer.text_at("Move:Response", "Move:Status") == status
    assert answer.text_at("Move:Response", "Move:DstMsgId") == ("4:2" if status == "3" else None)

"""Sync: keys, repeated requests, windows, what the device changed, and hanging for news."""

import asyncio

import pytest
from tests.support.loop import in_loop

from gatepost.demo.mailbox_accounts import DELETED, INBOX, Account, DeviceState
from gatepost.demo.mailbox_session import BadBody, Session
from gatepost.demo.mailbox_sync import sync
from gatepost.wire.eas.request import parse_query
from gatepost.wire.wbxml import Element


def mail(subject: str) -> bytes:
    return f"Subject: {subject}\r\n\r\nhello {subject}\r\n".encode()


@pytest.fixture
def session() -> Session:
    request = parse_query(b"Cmd=Sync&DeviceId=A&DeviceType=B", b"14.1", None)
    return Session(Account("alice@example.com", "x"), DeviceState(), request, (1, 60), lambda _: True)


def body(key: str, *more: Element, folder: str = INBOX, wait: int | None = None) -> Element:
    head = (Element("AirSync:SyncKey", text=key), Element("AirSync:CollectionId", text=folder))
    collection = Element("AirSync:Collection", (*head, *more))
    hang = () if wait is None else (Element("AirSync:HeartbeatInterval", text=str(wait)),)
    return Element("AirSync:Sync", (Element("AirSync:Collections", (collection,)), *hang))


def window(size: int) -> Element:
    return Element("AirSync:WindowSize", text=str(size))


async def ask(session: Session, asked: Element | None) -> tuple[str | None, str | None, list[str]]:
    """Key, status and what happened, in short."""
    answer = await sync(session, asked)
    if answer is None:
        return None, None, []
    collection = answer.find("AirSync:Collections", "AirSync:Collection")
    if collection is None:
        return None, answer.text_at("AirSync:Status"), [answer.text_at("AirSync:Limit") or ""]
    commands = collection.find("AirSync:Commands")
    happened = [
        f"{child.name.split(':')[1]} {child.text_at('AirSync:ServerId')}"
        for child in (commands.children if commands is not None else ())
    ]
    if collection.find("AirSync:MoreAvailable") is not None:
        happened.append("more")
    return collection.text_at("AirSync:SyncKey"), collection.text_at("AirSync:Status"), happened


@in_loop
async def test_the_first_key_comes_without_mails(session):
    session.account.add(INBOX, mail("one"))
    assert await ask(session, body("0")) == ("1", "1", [])
    assert await ask(session, body("1")) == ("2", "1", ["Add 1:1"])
    assert await ask(session, body("2")) == (None, None, [])


@in_loop
async def test_a_repeated_request_gets_the_same_mails_and_an_older_one_status_3(session):
    await ask(session, body("0"))
    session.account.add(INBOX, mail("one"))
    assert await ask(session, body("1")) == ("2", "1", ["Add 1:1"])
    assert await ask(session, body("1")) == ("2", "1", ["Add 1:1"])
    session.account.add(INBOX, mail("two"))
    assert await ask(session, body("2")) == ("3", "1", ["Add 1:2"])
    for key in ("1", "9", "", "x"):
        assert await ask(session, body(key)) == ("0", "3", [])
    assert await ask(session, body("1", folder="2")) == ("0", "3", [])
    assert await ask(session, body("0", folder="99")) == ("0", "8", [])


@in_loop
async def test_a_window_and_what_is_left(session):
    for subject in ("one", "two", "three"):
        session.account.add(INBOX, mail(subject))
    await ask(session, body("0"))
    assert await ask(session, body("1", window(2))) == ("2", "1", ["Add 1:1", "Add 1:2", "more"])
    assert await ask(session, body("2", window(2))) == ("3", "1", ["Add 1:3"])


@in_loop
async def test_changes_and_deletions_made_elsewhere(session):
    for subject in ("one", "two"):
        session.account.add(INBOX, mail(subject))
    await ask(session, body("0"))
    await ask(session, body("1"))
    session.account.folders[INBOX]["1:1"].read = True
    session.account.move(INBOX, "1:2", DELETED)
    assert await ask(session, body("2", window(1))) == ("3", "1", ["Delete 1:2", "more"])
    assert await ask(session, body("3", window(1))) == ("4", "1", ["Change 1:1"])


@in_loop
async def test_what_the_device_did_is_not_told_back(session):
    for subject in ("one", "two", "three"):
        session.account.add(INBOX, mail(subject))
    await ask(session, body("0"))
    await ask(session, body("1"))

    def command(name: str, server_id: str, *more: Element) -> Element:
        return Element(f"AirSync:{name}", (Element("AirSync:ServerId", text=server_id), *more))

    read = Element("AirSync:ApplicationData", (Element("Email:Read", text="1"),))
    flag = Element("AirSync:ApplicationData", (Element("Email:Flag"),))
    add = Element("AirSync:Add", (Element("AirSync:ClientId", text="c"), Element("AirSync:ApplicationData")))
    did = (
        command("Change", "1:1", read), command("Change", "1:1", flag), command("Delete", "1:2"),
        command("Fetch", "1:3"), command("Delete", "1:9"), add,
    )  # fmt: skip
    answer = await sync(session, body("2", Element("AirSync:GetChanges", text="0"), Element("AirSync:Commands", did)))
    collection = answer.find("AirSync:Collections", "AirSync:Collection")
    responses = collection.find("AirSync:Responses")
    assert [(one.name.split(":")[1], one.text_at("AirSync:Status")) for one in responses.children] == [
        ("Fetch", "1"), ("Delete", "8"), ("Add", "6"),
    ]  # fmt: skip
    fetched = responses.find("AirSync:Fetch", "AirSync:ApplicationData", "AirSyncBase:Body")
    assert fetched.text_at("AirSyncBase:Data") == "hello three\r\n"
    assert session.account.folders[INBOX]["1:1"].read
    assert list(session.account.folders[DELETED]) == ["3:4"]
    assert await ask(session, body("3")) == (None, None, [])


@in_loop
async def test_deleting_in_deleted_items_is_for_good(session):
    session.account.add(DELETED, mail("one"))
    await ask(session, body("0", folder=DELETED))
    await ask(session, body("1", folder=DELETED))
    gone = Element("AirSync:Commands", (Element("AirSync:Delete", (Element("AirSync:ServerId", text="3:1"),)),))
    assert await ask(session, body("2", gone, folder=DELETED)) == ("3", "1", [])
    assert session.account.folders[DELETED] == {}


@in_loop
async def test_an_empty_body_repeats_the_last(session):
    assert await ask(session, None) == (None, "13", [""])
    await ask(session, body("0"))
    await ask(session, body("1"))
    session.account.add(INBOX, mail("one"))
    assert await ask(session, None) == ("2", "1", ["Add 1:1"])


@in_loop
async def test_it_hangs_for_news(session):
    await ask(session, body("0"))
    hanging = asyncio.create_task(ask(session, body("1", wait=30)))
    await asyncio.sleep(0.01)
    assert not hanging.done()
    session.account.add("4", mail("elsewhere"))
    await asyncio.sleep(0.01)
    assert not hanging.done()
    session.account.add(INBOX, mail("one"))
    assert await hanging == ("2", "1", ["Add 1:2"])
    assert await ask(session, body("2", wait=1)) == (None, None, [])


@pytest.mark.parametrize(("wait", "limit"), [(0, "1"), (61, "60")])
@in_loop
async def test_it_hangs_within_limits(session, wait, limit):
    assert await ask(session, body("1", wait=wait)) == (None, "14", [limit])


@in_loop
async def test_wait_is_in_minutes(session):
    minutes = Element("AirSync:Sync", (*body("1").children, Element("AirSync:Wait", text="2")))
    assert await ask(session, minutes) == (None, "14", ["60"])


@in_loop
async def test_without_collections_it_is_no_sync(session):
    with pytest.raises(BadBody):
        await sync(session, Element("AirSync:Sync"))

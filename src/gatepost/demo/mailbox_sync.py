"""Sync (MS-ASCMD 2.2.1.21): what changed in folders since a sync key, and what the device changed itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gatepost.demo.mailbox_accounts import DELETED, Collection
from gatepost.demo.mailbox_session import (
    BadBody,
    BodyPreference,
    Session,
    body_preference,
    mail_properties,
    number_at,
    text,
)
from gatepost.wire.wbxml import Element

if TYPE_CHECKING:
    from collections.abc import Sequence

INVALID_SYNC_KEY, SERVER_NEEDS_BODY, HEARTBEAT_OUT_OF_RANGE = "3", "13", "14"
_CANNOT_ADD, _NOT_FOUND = "6", "8"
_WINDOW = 100


async def sync(session: Session, body: Element | None) -> Element | None:
    """Answer a Sync; it hangs where the device asked for it and there is nothing new. An empty body repeats the last."""
    body = body if body is not None else session.device.last_sync
    if body is None:
        return Element("AirSync:Sync", (text("AirSync:Status", SERVER_NEEDS_BODY),))
    collections = body.find("AirSync:Collections")
    if collections is None:
        raise BadBody("Sync without Collections")
    session.device.last_sync = body
    seconds = _seconds_to_wait(body)
    least, most = session.heartbeat_limits
    if seconds is not None and not least <= seconds <= most:
        limit = text("AirSync:Limit", min(max(seconds, least), most))
        return Element("AirSync:Sync", (text("AirSync:Status", HEARTBEAT_OUT_OF_RANGE), limit))
    asked = list(collections.each("AirSync:Collection"))
    answers = _answers(session, asked)
    end = asyncio.get_running_loop().time() + (seconds or 0)
    while not answers and (left := end - asyncio.get_running_loop().time()) > 0:
        await session.account.wait_for_change(left)
        answers = _answers(session, asked)
    return Element("AirSync:Sync", (Element("AirSync:Collections", answers),)) if answers else None


def _seconds_to_wait(body: Element) -> int | None:
    """HeartbeatInterval is in seconds (14.0 and later), Wait in minutes."""
    wait = number_at(body, "AirSync:Wait")
    return wait * 60 if wait is not None else number_at(body, "AirSync:HeartbeatInterval")


def _answers(session: Session, asked: Sequence[Element]) -> tuple[Element, ...]:
    answers = (_collection(session, collection) for collection in asked)
    return tuple(answer for answer in answers if answer is not None)


def _collection(session: Session, asked: Element) -> Element | None:
    """The answer for one folder, None where there is nothing to say."""
    folder, key = asked.text_at("AirSync:CollectionId"), asked.text_at("AirSync:SyncKey")
    if folder not in session.account.folders:
        return _wrapped("0", folder or "", _NOT_FOUND)
    if key == "0":
        session.device.collections[folder] = Collection(1, {})
        return _wrapped("1", folder, "1")
    state = session.device.collections.get(folder)
    known = state.known_at(key) if state is not None and key is not None else None
    if state is None or key is None or known is None:
        return _wrapped("0", folder, INVALID_SYNC_KEY)
    known = dict(known)
    responses = _apply(session, folder, asked.find("AirSync:Commands"), known)
    changes: list[Element] = []
    more = False
    if asked.text_at("AirSync:GetChanges") != "0":
        window = number_at(asked, "AirSync:WindowSize") or _WINDOW
        changes, more = _changes(session, folder, known, window, body_preference(asked.find("AirSync:Options")))
    if not changes and asked.find("AirSync:Commands") is None:
        return None
    state.advance(key, known)
    return _wrapped(
        str(state.key),
        folder,
        "1",
        *((Element("AirSync:MoreAvailable"),) if more else ()),
        *((Element("AirSync:Responses", tuple(responses)),) if responses else ()),
        *((Element("AirSync:Commands", tuple(changes)),) if changes else ()),
    )


def _wrapped(key: str, folder: str, status: str, *more: Element) -> Element:
    head = (text("AirSync:SyncKey", key), text("AirSync:CollectionId", folder), text("AirSync:Status", status))
    return Element("AirSync:Collection", (*head, *more))


def _changes(
    session: Session, folder: str, known: dict[str, bool], window: int, preference: BodyPreference
) -> tuple[list[Element], bool]:
    """Up to `window` differences between `known` and the folder, taken over into `known`; True where more are left."""
    present = session.account.snapshot(folder)
    out: list[Element] = []
    for server_id in [server_id for server_id in known if server_id not in present]:
        if len(out) == window:
            return out, True
        del known[server_id]
        out.append(Element("AirSync:Delete", (text("AirSync:ServerId", server_id),)))
    for server_id, read in present.items():
        if known.get(server_id) == read:
            continue
        if len(out) == window:
            return out, True
        kind = "AirSync:Change" if server_id in known else "AirSync:Add"
        properties: tuple[Element, ...] = (text("Email:Read", int(read)),)
        if server_id not in known:
            properties = mail_properties(session.account.folders[folder][server_id], preference)
        known[server_id] = read
        out.append(Element(kind, (text("AirSync:ServerId", server_id), Element("AirSync:ApplicationData", properties))))
    return out, False


def _apply(session: Session, folder: str, commands: Element | None, known: dict[str, bool]) -> list[Element]:
    """Do what the device did offline; the answer has an entry where something failed or was asked for."""
    responses: list[Element] = []
    mails = session.account.folders[folder]
    for command in commands.children if commands is not None else ():
        server_id = command.text_at("AirSync:ServerId") or ""
        if command.name == "AirSync:Add":
            client_id = text("AirSync:ClientId", command.text_at("AirSync:ClientId") or "")
            responses.append(Element("AirSync:Add", (client_id, text("AirSync:Status", _CANNOT_ADD))))
        elif server_id not in mails:
            responses.append(_failed(command.name, server_id))
        elif command.name == "AirSync:Change":
            read = command.text_at("AirSync:ApplicationData", "Email:Read")
            if read is not None:
                mails[server_id].read = known[server_id] = read == "1"
                session.account.wake()
        elif command.name == "AirSync:Delete":
            known.pop(server_id, None)
            _delete(session, folder, server_id)
        elif command.name == "AirSync:Fetch":
            data = Element("AirSync:ApplicationData", mail_properties(mails[server_id], BodyPreference()))
            head = (text("AirSync:ServerId", server_id), text("AirSync:Status", "1"))
            responses.append(Element("AirSync:Fetch", (*head, data)))
    return responses


def _failed(name: str, server_id: str) -> Element:
    return Element(name, (text("AirSync:ServerId", server_id), text("AirSync:Status", _NOT_FOUND)))


def _delete(session: Session, folder: str, server_id: str) -> None:
    if folder == DELETED:
        del session.account.folders[folder][server_id]
        session.account.wake()
    else:
        session.account.move(folder, server_id, DELETED)

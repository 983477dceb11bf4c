"""The commands of the mailbox server but Sync: each takes a session and a body and returns the body of the answer.

Statuses are those of MS-ASCMD for each command. None is an empty answer.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

from gatepost.demo.mailbox_accounts import FOLDERS, SENT
from gatepost.demo.mailbox_session import BadBody, Session, body_preference, mail_properties, number_at, text
from gatepost.demo.mailbox_sync import sync
from gatepost.wire.eas import device_information, provisioning
from gatepost.wire.eas.commands import at_least
from gatepost.wire.wbxml import Element

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Command = Callable[[Session, Element | None], Awaitable[Element | None]]

POLICY: Final = (
    ("DevicePasswordEnabled", "1"),
    ("AlphanumericDevicePasswordRequired", "0"),
    ("AttachmentsEnabled", "1"),
    ("MinDevicePasswordLength", "4"),
    ("MaxInactivityTimeDeviceLock", "900"),
    ("MaxDevicePasswordFailedAttempts", "8"),
    ("AllowSimpleDevicePassword", "1"),
)
"""The policy that every device gets, in the order of the specification's schema."""

FOLDER_SYNC_KEY = "1"
"""Folders never change here, so there is one key."""


async def provision(session: Session, body: Element | None) -> Element:
    """The two steps of MS-ASPROV 3.1.5.1; from 14.1 on the first needs DeviceInformation (status 165)."""
    asked = provisioning.read(body) if body is not None else None
    if body is None or asked is None:
        raise BadBody("Provision without a body")
    device = session.device
    if asked.phase is provisioning.Phase.REMOTE_WIPE_ACKNOWLEDGEMENT:
        return Element("Provision:Provision", (text("Provision:Status", 1),))
    if asked.phase is provisioning.Phase.ACKNOWLEDGEMENT:
        if asked.policy_key != device.offered_policy_key:
            return provisioning.wrong_key_answer()
        device.offered_policy_key, device.policy_key = None, _new_key()
        return provisioning.key_answer(device.policy_key)
    facts = device_information.read(body)
    if facts is None and at_least(session.request.protocol_version, "14.1"):
        return Element("Provision:Provision", (text("Provision:Status", 165),))
    if facts is not None:
        device.facts = device_information.merge(device.facts, facts)
    device.offered_policy_key = _new_key()
    return provisioning.policy_answer(device.offered_policy_key, POLICY, answers_device_information=facts is not None)


def _new_key() -> int:
    return 1 + secrets.randbelow(2**32 - 1)


async def folder_sync(session: Session, body: Element | None) -> Element:  # noqa: ARG001 - a command's signature
    """All folders for key 0, nothing for the present key, status 9 for another."""
    key = body.text_at("FolderHierarchy:SyncKey") if body is not None else None
    if key not in ("0", FOLDER_SYNC_KEY):
        return Element("FolderHierarchy:FolderSync", (text("FolderHierarchy:Status", 9),))
    added = [
        Element(
            "FolderHierarchy:Add",
            (
                text("FolderHierarchy:ServerId", folder),
                text("FolderHierarchy:ParentId", 0),
                text("FolderHierarchy:DisplayName", name),
                text("FolderHierarchy:Type", kind),
            ),
        )
        for folder, name, kind in FOLDERS
        if key == "0"
    ]
    changes = Element("FolderHierarchy:Changes", (text("FolderHierarchy:Count", len(added)), *added))
    return Element(
        "FolderHierarchy:FolderSync",
        (text("FolderHierarchy:Status", 1), text("FolderHierarchy:SyncKey", FOLDER_SYNC_KEY), changes),
    )


async def ping(session: Session, body: Element | None) -> Element:
    """Hang until a folder has news (2) or the heartbeat is over (1); 3, 5: parameters missing, heartbeat out of range."""
    asked = _ping_asked(session, body)
    if asked is None:
        return _ping_answer(3)
    heartbeat, folders = asked
    least, most = session.heartbeat_limits
    if not least <= heartbeat <= most:
        return _ping_answer(5, text("Ping:HeartbeatInterval", min(max(heartbeat, least), most)))
    if not set(folders) <= set(session.account.folders):
        return _ping_answer(7)
    session.device.last_ping = asked
    known = {folder: dict(session.account.known_to(session.device, folder)) for folder in folders}
    end = asyncio.get_running_loop().time() + heartbeat
    while True:
        news = [folder for folder in folders if session.account.snapshot(folder) != known[folder]]
        if news:
            return _ping_answer(2, Element("Ping:Folders", tuple(text("Ping:Folder", folder) for folder in news)))
        left = end - asyncio.get_running_loop().time()
        if left <= 0:
            return _ping_answer(1)
        await session.account.wait_for_change(left)


def _ping_asked(session: Session, body: Element | None) -> tuple[int, tuple[str, ...]] | None:
    """Heartbeat and folders; what the body leaves out is as in the last Ping. None where that is not known."""
    last = session.device.last_ping
    heartbeat = number_at(body, "Ping:HeartbeatInterval") if body is not None else None
    folders = body.find("Ping:Folders") if body is not None else None
    if (heartbeat is None or folders is None) and last is None:
        return None
    named = tuple(folder.text_at("Ping:Id") or "" for folder in folders.each("Ping:Folder")) if folders else None
    return (
        heartbeat if heartbeat is not None else (last[0] if last else 0),
        named if named is not None else (last[1] if last else ()),
    )


def _ping_answer(status: int, *more: Element) -> Element:
    return Element("Ping:Ping", (text("Ping:Status", status), *more))


async def settings(session: Session, body: Element | None) -> Element:
    """DeviceInformation Set, UserInformation Get, Oof Get and Set (which does nothing)."""
    if body is None:
        raise BadBody("Settings without a body")
    facts = device_information.read(body)
    if facts is not None:
        session.device.facts = device_information.merge(session.device.facts, facts)
    ok = text("Settings:Status", 1)
    answers = [ok]
    for asked in body.children:
        getting = asked.find("Settings:Get") is not None
        if asked.name == "Settings:UserInformation" and getting:
            got = Element("Settings:Get", (_addresses(session),))
            answers.append(Element(asked.name, (ok, got)))
        elif asked.name == "Settings:Oof" and getting:
            answers.append(Element(asked.name, (ok, Element("Settings:Get", (text("Settings:OofState", 0),)))))
        else:
            answers.append(Element(asked.name, (ok,)))
    return Element("Settings:Settings", tuple(answers))


def _addresses(session: Session) -> Element:
    """The user's address; from 14.1 on below Accounts (MS-ASCMD 2.2.3.182.2)."""
    addresses = Element("Settings:EmailAddresses", (text("Settings:SMTPAddress", session.account.address),))
    if not at_least(session.request.protocol_version, "14.1"):
        return addresses
    return Element("Settings:Accounts", (Element("Settings:Account", (addresses,)),))


async def send_mail(session: Session, body: Element | None) -> Element | None:
    """Deliver a mail and keep it in Sent Items if asked; 119: nobody to send it to. Up to 12.1 it is the body itself."""
    if body is None:
        raise BadBody("SendMail without a mail")
    mime = body.find("ComposeMail:Mime")
    if mime is None:
        return Element("ComposeMail:SendMail", (text("ComposeMail:Status", 103),))
    raw = mime.opaque if mime.opaque is not None else (mime.text or "").encode()
    if not session.deliver(raw):
        return Element("ComposeMail:SendMail", (text("ComposeMail:Status", 119),))
    if body.find("ComposeMail:SaveInSentItems") is not None:
        session.account.add(SENT, raw, read=True)
    return None


async def get_item_estimate(session: Session, body: Element | None) -> Element:
    """How many changes a Sync would bring; 2: no such folder, 4: not a sync key."""
    responses = []
    collections = body.find("GetItemEstimate:Collections") if body is not None else None
    for asked in collections.each("GetItemEstimate:Collection") if collections is not None else ():
        folder = asked.text_at("GetItemEstimate:CollectionId") or asked.text_at("AirSync:CollectionId") or ""
        state = session.device.collections.get(folder)
        known = state.known_at(asked.text_at("AirSync:SyncKey") or "") if state is not None else None
        if folder not in session.account.folders or known is None:
            status = 4 if folder in session.account.folders else 2
            responses.append(Element("GetItemEstimate:Response", (text("GetItemEstimate:Status", status),)))
            continue
        estimate = len(set(known.items()) ^ set(session.account.snapshot(folder).items()))
        inner = (text("GetItemEstimate:CollectionId", folder), text("GetItemEstimate:Estimate", estimate))
        answer = (text("GetItemEstimate:Status", 1), Element("GetItemEstimate:Collection", inner))
        responses.append(Element("GetItemEstimate:Response", answer))
    return Element("GetItemEstimate:GetItemEstimate", tuple(responses))


async def item_operations(session: Session, body: Element | None) -> Element:
    """Fetch of mails by folder and id; 6: not found."""
    if body is None:
        raise BadBody("ItemOperations without a body")
    answers = []
    for asked in body.each("ItemOperations:Fetch"):
        folder = asked.text_at("AirSync:CollectionId") or ""
        server_id = asked.text_at("AirSync:ServerId") or ""
        mail = session.account.folders.get(folder, {}).get(server_id)
        if mail is None:
            answers.append(Element("ItemOperations:Fetch", (text("ItemOperations:Status", 6),)))
            continue
        preference = body_preference(asked.find("ItemOperations:Options"))
        found = (
            text("ItemOperations:Status", 1),
            text("AirSync:CollectionId", folder),
            text("AirSync:ServerId", server_id),
            text("AirSync:Class", "Email"),
            Element("ItemOperations:Properties", mail_properties(mail, preference)),
        )
        answers.append(Element("ItemOperations:Fetch", found))
    response = Element("ItemOperations:Response", tuple(answers))
    return Element("ItemOperations:ItemOperations", (text("ItemOperations:Status", 1), response))


async def move_items(session: Session, body: Element | None) -> Element:
    """Move mails between folders; 3 is success here, 1 and 2: no such mail, no such folder."""
    answers = []
    for asked in body.each("Move:Move") if body is not None else ():
        source, target = asked.text_at("Move:SrcFldId") or "", asked.text_at("Move:DstFldId") or ""
        server_id = asked.text_at("Move:SrcMsgId") or ""
        status, moved = 3, None
        if target not in session.account.folders:
            status = 2
        elif (
            source not in session.account.folders or (moved := session.account.move(source, server_id, target)) is None
        ):
            status = 1
        new_id = (text("Move:DstMsgId", moved.server_id),) if moved is not None else ()
        answers.append(
            Element("Move:Response", (text("Move:SrcMsgId", server_id), text("Move:Status", status), *new_id))
        )
    return Element("Move:MoveItems", tuple(answers))


COMMANDS: Final[dict[str, Command]] = {
    "Sync": sync,
    "SendMail": send_mail,
    "FolderSync": folder_sync,
    "MoveItems": move_items,
    "GetItemEstimate": get_item_estimate,
    "Settings": settings,
    "Ping": ping,
    "ItemOperations": item_operations,
    "Provision": provision,
}
"""What the server can do; everything else is answered 137 (CommandNotSupported), up to 12.1 HTTP 501."""

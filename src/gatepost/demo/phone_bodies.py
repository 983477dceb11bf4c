"""The bodies a phone sends, and what it reads in answers (MS-ASCMD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepost.wire.eas.commands import at_least
from gatepost.wire.wbxml import Element

if TYPE_CHECKING:
    from collections.abc import Iterable

INBOX_TYPE = 2
"""Type of the Inbox (MS-ASCMD 2.2.3.186.3)."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the hierarchy."""

    folder_id: str
    parent_id: str
    name: str
    kind: int


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as Sync or Fetch brings it; `body` is plain text."""

    server_id: str
    subject: str
    sender: str
    body: str
    read: bool


def device_information(properties: Iterable[tuple[str, str | None]]) -> Element:
    """DeviceInformation Set with those of (element of Settings, value) that have a value."""
    said = tuple(Element(f"Settings:{name}", text=value) for name, value in properties if value is not None)
    return Element("Settings:DeviceInformation", (Element("Settings:Set", said),))


def folder_sync(key: str) -> Element:
    """FolderSync from `key` on."""
    return Element("FolderHierarchy:FolderSync", (Element("FolderHierarchy:SyncKey", text=key),))


def sync(folder_id: str, key: str, version: str, *, window: int, wait: int | None = None) -> Element:
    """Sync of one mail folder from `key` on, plain-text bodies; it hangs up to `wait` seconds for news where given.

    Up to 12.1 a collection begins with its class; `wait` is in whole minutes there (MS-ASCMD 2.2.3.193).
    """
    first = key == "0"
    content = [
        *([Element("AirSync:Class", text="Email")] if not at_least(version, "14.0") else []),
        Element("AirSync:SyncKey", text=key),
        Element("AirSync:CollectionId", text=folder_id),
    ]
    if not first:
        preference = (
            Element("AirSyncBase:Type", text="1"),
            Element("AirSyncBase:TruncationSize", text="65536"),
        )
        options = (Element("AirSync:FilterType", text="0"), Element("AirSyncBase:BodyPreference", preference))
        content += [
            Element("AirSync:DeletesAsMoves", text="1"),
            Element("AirSync:GetChanges"),
            Element("AirSync:WindowSize", text=str(window)),
            Element("AirSync:Options", options),
        ]
    collections = Element("AirSync:Collections", (Element("AirSync:Collection", tuple(content)),))
    if wait is None:
        return Element("AirSync:Sync", (collections,))
    hang = Element("AirSync:HeartbeatInterval", text=str(wait))
    if not at_least(version, "14.0"):
        hang = Element("AirSync:Wait", text=str(max(1, wait // 60)))
    return Element("AirSync:Sync", (collections, hang))


def ping(heartbeat: int, folder_ids: Iterable[str]) -> Element:
    """Ping of mail folders."""
    folders = tuple(
        Element("Ping:Folder", (Element("Ping:Id", text=folder), Element("Ping:Class", text="Email")))
        for folder in folder_ids
    )
    interval = Element("Ping:HeartbeatInterval", text=str(heartbeat))
    return Element("Ping:Ping", (interval, Element("Ping:Folders", folders)))


def send_mail(client_id: str, mime: bytes) -> Element:
    """SendMail with a copy in Sent Items (14.0 and later)."""
    return Element(
        "ComposeMail:SendMail",
        (
            Element("ComposeMail:ClientId", text=client_id),
            Element("ComposeMail:SaveInSentItems"),
            Element("ComposeMail:Mime", opaque=mime),
        ),
    )


def fetch(folder_id: str, server_id: str) -> Element:
    """ItemOperations Fetch of one mail, plain-text body."""
    preference = Element("AirSyncBase:BodyPreference", (Element("AirSyncBase:Type", text="1"),))
    item = (
        Element("ItemOperations:Store", text="Mailbox"),
        Element("AirSync:CollectionId", text=folder_id),
        Element("AirSync:ServerId", text=server_id),
        Element("ItemOperations:Options", (preference,)),
    )
    return Element("ItemOperations:ItemOperations", (Element("ItemOperations:Fetch", item),))


def read_folders(answer: Element) -> tuple[Folder, ...]:
    """The folders that FolderSync adds."""
    changes = answer.find("FolderHierarchy:Changes")
    return tuple(
        Folder(
            added.text_at("FolderHierarchy:ServerId") or "",
            added.text_at("FolderHierarchy:ParentId") or "",
            added.text_at("FolderHierarchy:DisplayName") or "",
            int(added.text_at("FolderHierarchy:Type") or 0),
        )
        for added in (changes.each("FolderHierarchy:Add") if changes is not None else ())
    )


def read_mail(server_id: str, properties: Element) -> Mail:
    """A mail from its properties (ApplicationData of Sync, Properties of Fetch)."""
    data = properties.find("AirSyncBase:Body", "AirSyncBase:Data")
    body = ""
    if data is not None:
        body = data.opaque.decode(errors="replace") if data.opaque is not None else data.text or ""
    return Mail(
        server_id,
        properties.text_at("Email:Subject") or "",
        properties.text_at("Email:From") or "",
        body,
        properties.text_at("Email:Read") == "1",
    )

"""What the mailbox server keeps, in memory: accounts with folders and mails, and what each device knows of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from itertools import count
from typing import TYPE_CHECKING

from gatepost.model import DeviceFacts

if TYPE_CHECKING:
    from email.message import EmailMessage

    from gatepost.wire.wbxml import Element

INBOX, DRAFTS, DELETED, SENT = "1", "2", "3", "4"
FOLDERS = ((INBOX, "Inbox", 2), (DRAFTS, "Drafts", 3), (DELETED, "Deleted Items", 4), (SENT, "Sent Items", 5))
"""Id, display name and type (MS-ASCMD 2.2.3.186.3) of the folders of every account."""


@dataclass(slots=True)
class Mail:
    """One mail: its bytes, parsed on demand, and whether it was read."""

    server_id: str
    mime: bytes
    received: datetime
    read: bool = False

    @property
    def message(self) -> EmailMessage:
        """The parsed mail."""
        return message_from_bytes(self.mime, policy=policy.default)


@dataclass(slots=True)
class Collection:
    """What a device knows of one folder: (server id, read) of each mail, under its sync key and under the one before."""

    key: int
    known: dict[str, bool]
    previous: dict[str, bool] | None = None

    def known_at(self, key: str) -> dict[str, bool] | None:
        """What the device knows if `key` is its present key; the key before is a repeated request, others are wrong."""
        if key == str(self.key):
            return self.known
        if key == str(self.key - 1):
            return self.previous
        return None

    def advance(self, key: str, known: dict[str, bool]) -> None:
        """From `key` on the device knows `known`, under the next key."""
        self.previous, self.known, self.key = self.known_at(key), known, int(key) + 1


@dataclass(slots=True)
class DeviceState:
    """One device of one account: its policy keys, what it said, what it knows, and its last Ping and Sync."""

    offered_policy_key: int | None = None
    policy_key: int | None = None
    facts: DeviceFacts = field(default_factory=DeviceFacts)
    collections: dict[str, Collection] = field(default_factory=dict)
    last_ping: tuple[int, tuple[str, ...]] | None = None
    last_sync: Element | None = None


class Account:
    """One user's mailbox."""

    def __init__(self, address: str, password: str) -> None:
        self.address = address
        self.password = password
        self.folders: dict[str, dict[str, Mail]] = {folder: {} for folder, _, _ in FOLDERS}
        self.devices: dict[str, DeviceState] = {}
        self._numbers = count(1)
        self._changed = asyncio.Event()

    def add(self, folder: str, mime: bytes, *, read: bool = False) -> Mail:
        """Put a mail into `folder` and wake who waits for changes."""
        server_id = f"{folder}:{next(self._numbers)}"
        mail = Mail(server_id, mime, datetime.now(UTC), read)
        self.folders[folder][server_id] = mail
        self.wake()
        return mail

    def move(self, folder: str, server_id: str, target: str) -> Mail | None:
        """Move a mail, which gets another id; None where it is not in `folder`."""
        mail = self.folders[folder].pop(server_id, None)
        return self.add(target, mail.mime, read=mail.read) if mail is not None else None

    def wake(self) -> None:
        """Tell everybody who waits that something changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for_change(self, seconds: float) -> bool:
        """Wait for the next change, at most `seconds`; False where none came."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def snapshot(self, folder: str) -> dict[str, bool]:
        """(Server id, read) of each mail in `folder`, oldest first."""
        return {server_id: mail.read for server_id, mail in self.folders[folder].items()}

    def known_to(self, device: DeviceState, folder: str) -> dict[str, bool]:
        """What `device` knows of `folder`; of one that it never synced, what is there now."""
        collection = device.collections.get(folder)
        return collection.known if collection is not None else self.snapshot(folder)

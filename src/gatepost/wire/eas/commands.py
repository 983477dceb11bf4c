"""The commands of ActiveSync, in one table (MS-ASHTTP 2.2.1.1.1.1.2, MS-ASCMD 2.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

VERSIONS: Final = ("2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1")
"""Every protocol version, oldest first (MS-ASHTTP 2.2.1.1.2.4)."""

_RANKS = {version: rank for rank, version in enumerate(VERSIONS)}


def at_least(version: str, least: str) -> bool:
    """True where protocol `version` is `least` or newer; a version that is not in `VERSIONS` is older than all."""
    return _RANKS.get(version, -1) >= _RANKS[least]


class Body(Enum):
    """What the body of a request may be, besides a WBXML document with the command's root."""

    WBXML = "a document"
    MAY_BE_EMPTY = "empty repeats the last one"
    MAIL_BEFORE_14 = "message/rfc822 up to 12.1"
    NONE = "no body"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, its code in a base64 query, its root element and the element that carries its status.

    `root` and `status` are None for commands whose answers are not WBXML.
    """

    name: str
    code: int
    root: str | None
    status: str | None
    body: Body = Body.WBXML


_ALL = (
    Command("Sync", 0, "AirSync:Sync", "AirSync:Status", Body.MAY_BE_EMPTY),
    Command("SendMail", 1, "ComposeMail:SendMail", "ComposeMail:Status", Body.MAIL_BEFORE_14),
    Command("SmartForward", 2, "ComposeMail:SmartForward", "ComposeMail:Status", Body.MAIL_BEFORE_14),
    Command("SmartReply", 3, "ComposeMail:SmartReply", "ComposeMail:Status", Body.MAIL_BEFORE_14),
    Command("GetAttachment", 4, None, None, Body.NONE),
    Command("FolderSync", 9, "FolderHierarchy:FolderSync", "FolderHierarchy:Status"),
    Command("FolderCreate", 10, "FolderHierarchy:FolderCreate", "FolderHierarchy:Status"),
    Command("FolderDelete", 11, "FolderHierarchy:FolderDelete", "FolderHierarchy:Status"),
    Command("FolderUpdate", 12, "FolderHierarchy:FolderUpdate", "FolderHierarchy:Status"),
    Command("MoveItems", 13, "Move:MoveItems", "Move:Status"),
    Command("GetItemEstimate", 14, "GetItemEstimate:GetItemEstimate", "GetItemEstimate:Status"),
    Command("MeetingResponse", 15, "MeetingResponse:MeetingResponse", "MeetingResponse:Status"),
    Command("Search", 16, "Search:Search", "Search:Status"),
    Command("Settings", 17, "Settings:Settings", "Settings:Status"),
    Command("Ping", 18, "Ping:Ping", "Ping:Status", Body.MAY_BE_EMPTY),
    Command("ItemOperations", 19, "ItemOperations:ItemOperations", "ItemOperations:Status"),
    Command("Provision", 20, "Provision:Provision", "Provision:Status"),
    Command("ResolveRecipients", 21, "ResolveRecipients:ResolveRecipients", "ResolveRecipients:Status"),
    Command("ValidateCert", 22, "ValidateCert:ValidateCert", "ValidateCert:Status"),
    Command("Find", 23, "Find:Find", "Find:Status"),
)

COMMANDS: Final[dict[str, Command]] = {command.name: command for command in _ALL}
"""By name. GetHierarchy, CreateCollection, DeleteCollection and MoveCollection (codes 5-8) are not here: they were
replaced in protocol 2.5 already, their bodies have no code page any more, and what cannot be read cannot be decided."""

COMMAND_CODES: Final[dict[int, str]] = {command.code: command.name for command in _ALL}
"""Name by code of the base64 query."""

COMMAND_ROOTS: Final[dict[str, str]] = {command.name: command.root for command in _ALL if command.root is not None}
"""The WBXML root element of each command that has one. A server may execute the root element and not `Cmd`, so the two
must be compared before a request is passed on."""

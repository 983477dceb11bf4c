"""How to say no, or "provision first", so that this command in this protocol version understands it.

Theory of operation (MS-ASCMD 2.2.2; MS-ASHTTP 2.2.2.1.1). From 14.0 on a command's answer may carry a common status in
the command's own root element, with HTTP 200. A status is understood from the version that introduced it. Before, and
where a command has no WBXML answer, an HTTP status with an empty body takes its place. 401 and 5xx are never used to
refuse a phone: the first makes phones ask for the password, the second makes them start all over. (501 is said of a
command, and only of one that OPTIONS does not offer.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from gatepost.wire.eas.commands import COMMAND_ROOTS, COMMANDS, at_least
from gatepost.wire.wbxml import Element, encode

__all__ = ["COMMAND_ROOTS", "CONTENT_TYPE", "Refusal", "Status", "ask_to_provision", "end_parked", "refuse"]

CONTENT_TYPE: Final = "application/vnd.ms-sync.wbxml"

_PHRASES = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    449: "Retry after sending a PROVISION command",
    501: "Not Implemented",
}
_REASON = re.compile(r"[A-Za-z0-9]{0,64}", re.ASCII)


class Status(IntEnum):
    """The common status codes (MS-ASCMD 2.2.2) that tell a phone to stay out, to provision first, or to ask otherwise."""

    USER_DISABLED_FOR_SYNC = 126
    DEVICE_IS_BLOCKED_FOR_THIS_USER = 129
    ACCESS_DENIED = 130
    ACCOUNT_DISABLED = 131
    COMMAND_NOT_SUPPORTED = 137
    VERSION_NOT_SUPPORTED = 138
    DEVICE_NOT_FULLY_PROVISIONABLE = 139
    REMOTE_WIPE_REQUESTED = 140
    LEGACY_DEVICE_ON_STRICT_POLICY = 141
    DEVICE_NOT_PROVISIONED = 142
    POLICY_REFRESH = 143
    INVALID_POLICY_KEY = 144
    EXTERNALLY_MANAGED_DEVICES_NOT_ALLOWED = 145
    DEVICE_INFORMATION_REQUIRED = 165
    MAXIMUM_DEVICES_REACHED = 177

    @property
    def since(self) -> str:
        """The protocol version that introduced it: up to 163 came with 14.0, up to 177 with 14.1."""
        return "14.0" if self <= 163 else "14.1"

    @property
    def http_status(self) -> int:
        """What takes its place where it cannot be said: 449 asks to provision, 403 refuses (MS-ASCMD 2.2.2)."""
        return _INSTEAD.get(self, 403)


_INSTEAD = {
    Status.COMMAND_NOT_SUPPORTED: 501,
    Status.VERSION_NOT_SUPPORTED: 400,
    Status.REMOTE_WIPE_REQUESTED: 449,
    Status.LEGACY_DEVICE_ON_STRICT_POLICY: 449,
    Status.DEVICE_NOT_PROVISIONED: 449,
    Status.POLICY_REFRESH: 449,
    Status.INVALID_POLICY_KEY: 449,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer ready to be sent, but for Content-Length: status, reason phrase, headers, body."""

    http_status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def phrase(self) -> str:
        """The reason phrase of the status line; "Retry after…" is MS-ASHTTP's own."""
        return _PHRASES[self.http_status]


@lru_cache(maxsize=1024)
def refuse(command: str | None, protocol_version: str, status: Status, reason: str) -> Refusal:
    """The answer that denies `command`, None being a command that is not known or not said (OPTIONS).

    `reason` is for people and programs that read `X-MS-ASThrottle`: letters and digits only.
    """
    known = COMMANDS.get(command) if command is not None else None
    if known is None or known.root is None or known.status is None or not _understands(protocol_version, status):
        return Refusal(status.http_status, _headers(reason, body=False), b"")
    return _answer(known.root, known.status, status, reason)


def ask_to_provision(command: str | None, protocol_version: str, reason: str = "DeviceInformationRequired") -> Refusal:
    """The answer that sends a phone to Provision: status 142, or HTTP 449 up to 12.1 and for commands without WBXML.

    Ping is the exception from 14.0 on: phones take 142 in its answer for a failure, so it says "folder sync required"
    (7), and the FolderSync that follows is told 142.
    """
    if command == "Ping" and at_least(protocol_version, "14.0"):
        return end_parked("Ping", reason)
    return refuse(command, protocol_version, Status.DEVICE_NOT_PROVISIONED, reason)


def end_parked(command: str, reason: str = "") -> Refusal:
    """The answer that ends a hanging Ping or Sync at once, in every protocol version.

    Both (Ping 7, Sync 12: "the folder hierarchy has changed") make the phone run FolderSync, and that is refused in the
    ordinary way. A phone that is told a refusal here instead takes it for a network failure and asks again.
    """
    if command not in _END_PARKED:
        raise ValueError(f"`{command}` is never parked; only {' and '.join(_END_PARKED)} are")
    root, status, code = _END_PARKED[command]
    return _answer(root, status, code, reason)


_END_PARKED = {"Ping": ("Ping:Ping", "Ping:Status", 7), "Sync": ("AirSync:Sync", "AirSync:Status", 12)}


def _understands(protocol_version: str, status: Status) -> bool:
    return at_least(protocol_version, "14.0") and at_least(protocol_version, status.since)


def _answer(root: str, status_element: str, code: int, reason: str) -> Refusal:
    body = encode(Element(root, (Element(status_element, text=str(int(code))),)))
    return Refusal(200, _headers(reason, body=True), body)


def _headers(reason: str, *, body: bool) -> tuple[tuple[str, str], ...]:
    """Content-Type only with a body (MS-ASHTTP 2.2.2.1.2.2), X-MS-ASThrottle only with a reason."""
    if not _REASON.fullmatch(reason):
        raise ValueError(f"`{reason}` is not a reason; use up to 64 letters and digits")
    content_type = (("Content-Type", CONTENT_TYPE),) if body else ()
    return (*content_type, ("X-MS-ASThrottle", reason)) if reason else content_type

"""What a command of the mailbox server works with, and the elements that many answers have."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from gatepost.wire.wbxml import Element

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import MIMEPart

    from gatepost.demo.mailbox_accounts import Account, DeviceState, Mail
    from gatepost.wire.eas.request import EasRequest

PLAIN_TEXT, HTML, MIME = "1", "2", "4"
"""Types of a body (MS-ASAIRS 2.2.2.41)."""


class BadBody(Exception):  # noqa: N818 - what happened: the answer is 400
    """A body that the command cannot be."""


@dataclass(frozen=True, slots=True)
class Session:
    """One authenticated request: whose mailbox, which device, what was asked.

    `deliver` takes a mail for whomever it names, and is False where it names nobody.
    """

    account: Account
    device: DeviceState
    request: EasRequest
    heartbeat_limits: tuple[int, int]
    deliver: Callable[[bytes], bool]


def text(name: str, value: object) -> Element:
    """An element with a text."""
    return Element(name, text=str(value))


def number_at(element: Element, *path: str) -> int | None:
    """The number at `path`, None where there is no element or no number."""
    value = element.text_at(*path)
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 10 else None


@dataclass(frozen=True, slots=True)
class BodyPreference:
    """How a device wants bodies: type, and after how many bytes they are cut (None: never)."""

    kind: str = PLAIN_TEXT
    truncation: int | None = None


def body_preference(options: Element | None) -> BodyPreference:
    """The first preference in `options` that the server can satisfy; plain text otherwise."""
    for preference in options.each("AirSyncBase:BodyPreference") if options is not None else ():
        kind = preference.text_at("AirSyncBase:Type")
        if kind in (PLAIN_TEXT, HTML, MIME):
            return BodyPreference(kind, number_at(preference, "AirSyncBase:TruncationSize"))
    return BodyPreference()


def mail_properties(mail: Mail, preference: BodyPreference) -> tuple[Element, ...]:
    """The properties of a mail (MS-ASEMAIL 2.2.2), with its body as preferred."""
    message = mail.message
    headers = (("Email:To", "To"), ("Email:Cc", "Cc"), ("Email:From", "From"), ("Email:Subject", "Subject"))
    return (
        *(text(name, _one_line(message[header])) for name, header in headers if message[header] is not None),
        text(
            "Email:DateReceived",
            mail.received.strftime("%Y-%m-%dT%H:%M:%S.") + f"{mail.received.microsecond // 1000:03}Z",
        ),
        text("Email:Importance", 1),
        text("Email:Read", int(mail.read)),
        _body(mail, preference),
        text("Email:MessageClass", "IPM.Note"),
        text("Email:InternetCPID", 65001),
        text("Email:ContentClass", "urn:content-classes:message"),
        text("AirSyncBase:NativeBodyType", PLAIN_TEXT),
    )


def _one_line(header: object) -> str:
    return " ".join(str(header).replace("\0", " ").split())


def _body(mail: Mail, preference: BodyPreference) -> Element:
    content = _content(mail, preference.kind)
    data = content if preference.truncation is None else content[: preference.truncation]
    if preference.kind == MIME:
        written = Element("AirSyncBase:Data", opaque=data)
    else:
        written = Element("AirSyncBase:Data", text=data.decode(errors="ignore").replace("\0", " "))
    truncated = (text("AirSyncBase:Truncated", 1),) if len(data) < len(content) else ()
    size = text("AirSyncBase:EstimatedDataSize", len(content))
    return Element("AirSyncBase:Body", (text("AirSyncBase:Type", preference.kind), size, *truncated, written))


def _content(mail: Mail, kind: str) -> bytes:
    if kind == MIME:
        return mail.mime
    part = mail.message.get_body(("plain", "html"))
    readable = _readable(part) if part is not None else ""
    if kind == PLAIN_TEXT or (part is not None and part.get_content_subtype() == "html"):
        return readable.encode()
    return f"<html><body><pre>{escape(readable)}</pre></body></html>".encode()


def _readable(part: MIMEPart) -> str:
    """The text of a part, whatever its charset claims to be."""
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        return raw.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        return raw.decode(errors="replace")

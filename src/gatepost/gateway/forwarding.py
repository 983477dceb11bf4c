"""The request that goes to the mail server: generated from what was read, never passed through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gatepost.wire.eas.commands import COMMANDS, Body, at_least
from gatepost.wire.eas.request import EasRequest, parse_query, render_headers, render_query
from gatepost.wire.wbxml import ROOT_LENGTH, WbxmlError, root

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Address, IPv6Address

    from gatepost.gateway.configuration import UpstreamAddress

# Headers of the phone that reach the mail server, with the spelling they get. All others end here: what is not known
# to matter to ActiveSync could only matter to somebody who wants to be taken for somebody else.
_PASSED = (
    (b"authorization", b"Authorization: "),
    (b"user-agent", b"User-Agent: "),
    (b"accept", b"Accept: "),
    (b"accept-language", b"Accept-Language: "),
    (b"accept-encoding", b"Accept-Encoding: "),
    (b"cookie", b"Cookie: "),
    (b"ms-asacceptmultipart", b"MS-ASAcceptMultiPart: "),
    (b"client-request-id", b"client-request-id: "),
)
_WBXML = b"application/vnd.ms-sync.wbxml"
_MAIL = b"message/rfc822"

# What may be sent a second time when a kept connection turns out to be dead. Not Sync: it carries changes too.
_REPEATABLE = frozenset(
    {
        "OPTIONS",
        "Ping",
        "FolderSync",
        "GetItemEstimate",
        "Search",
        "Find",
        "ResolveRecipients",
        "ValidateCert",
        "GetAttachment",
    }
)


class WrongBody(ValueError):  # noqa: N818 - named after what happened
    """A body that does not belong to the command: a server that executes the body would do something else."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as read, and the beginning of the head under which it is forwarded."""

    eas: EasRequest
    start: bytes
    repeatable: bool
    long: bool


class Forwarding:
    """Heads for one mail server; equal queries are read once (they are, but for a few, always the same)."""

    def __init__(self, address: UpstreamAddress) -> None:
        self._address = address
        self.prepare: Callable[[bytes, bytes | None, bytes | None], Prepared] = lru_cache(maxsize=8192)(self._prepare)
        self.options = b"OPTIONS %s HTTP/1.1\r\nHost: %s\r\n" % (address.path, address.authority)

    def _prepare(self, query: bytes, protocol_version: bytes | None, policy_key: bytes | None) -> Prepared:
        eas = parse_query(query, protocol_version, policy_key)
        lines = [
            b"POST %s?%s HTTP/1.1\r\nHost: %s\r\n" % (self._address.path, render_query(eas), self._address.authority)
        ]
        lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in render_headers(eas)]
        return Prepared(eas, b"".join(lines), eas.command in _REPEATABLE, eas.command in {"Ping", "Sync"})


def content_type(eas: EasRequest, headers: dict[bytes, bytes], body: bytes, *, empty: bool) -> bytes | None:
    """The Content-Type to forward, None without a body; raises WrongBody unless the body is the command's own."""
    command = COMMANDS[eas.command]
    if empty:
        if command.body is Body.WBXML:
            raise WrongBody(f"{eas.command} needs a body")
        return None
    if command.body is Body.NONE or command.root is None:
        raise WrongBody(f"{eas.command} has no body")
    sent = headers.get(b"content-type", _WBXML).partition(b";")[0].strip().lower()
    if sent == _MAIL:
        if command.body is not Body.MAIL_BEFORE_14 or at_least(eas.protocol_version, "14.0"):
            raise WrongBody(f"{eas.command} at {eas.protocol_version} does not take a message")
        return _MAIL
    try:
        found = root(body[:ROOT_LENGTH])
    except WbxmlError as error:
        raise WrongBody(str(error)) from error
    if found != command.root:
        raise WrongBody(f"the body is a {found}, not a {command.root}")
    return _WBXML


def head(
    start: bytes,
    headers: dict[bytes, bytes],
    length: int,
    body_type: bytes | None,
    address: IPv4Address | IPv6Address | None,
) -> bytes:
    """A whole head; the length is always said, because not every server knows chunks."""
    lines = [start]
    lines += [b"%s%s\r\n" % (spelling, headers[name]) for name, spelling in _PASSED if name in headers]
    if address is not None:
        lines.append(b"X-Forwarded-For: %s\r\n" % str(address).encode())
    if b"host" in headers:
        lines.append(b"X-Forwarded-Host: %s\r\n" % headers[b"host"])
    if body_type is not None:
        lines.append(b"Content-Type: %s\r\n" % body_type)
    lines.append(b"Content-Length: %d\r\n\r\n" % length)
    return b"".join(lines)

"""The request that goes to the mail server: generated from what was read, never passed through."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from gatepost.wire.eas.commands import COMMANDS, VERSIONS, Body, at_least
from gatepost.wire.eas.refusal import Refusal, Status, refuse
from gatepost.wire.eas.request import EasRequest, claiming, parse_query, render_headers, render_query
from gatepost.wire.wbxml import ROOT_LENGTH, Element, WbxmlError, encode, root

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from gatepost.gateway.configuration import UpstreamAddress
    from gatepost.gateway.credentials import Credentials

# Headers of the phone that reach the mail server, with the spelling they get. All others end here: what is not known
# to matter to ActiveSync could only matter to somebody who wants to be taken for somebody else.
_PASSED = (
    b"Authorization",
    b"User-Agent",
    b"Accept",
    b"Accept-Language",
    b"Accept-Encoding",
    b"Cookie",
    b"MS-ASAcceptMultiPart",
    b"client-request-id",
)
# Headers that are read here; of those, only the passed ones go on as they came.
_READ = (
    b"Authorization",
    b"User-Agent",
    b"Host",
    b"Content-Type",
    b"Content-Length",
    b"Transfer-Encoding",
    b"Expect",
    b"X-Forwarded-For",
    b"Forwarded",
    b"MS-ASProtocolVersion",
    b"X-MS-PolicyKey",
    b"MS-ASAcceptMultiPart",
    b"client-request-id",
)


def _known() -> dict[bytes, tuple[bytes | None, bytes | None]]:
    table: dict[bytes, tuple[bytes | None, bytes | None]] = {}
    for name in {*_PASSED, *_READ}:
        known = (name.lower() if name in _READ else None, name + b": " if name in _PASSED else None)
        table[name] = table[name.lower()] = known
    return table


KNOWN_HEADERS = _known()
"""The key to read a header by, and the beginning of the line that passes it on, either of them None.

By name, in lower case and in the usual spelling: the second look, in lower case, is for the others.
"""

_WBXML = b"application/vnd.ms-sync.wbxml"
_MAIL = b"message/rfc822"
# How a body of each command begins, nearly always: then the root need not be read.
_BEGINNINGS = {
    command.name: encode(Element(command.root, text="1"))[:-4]
    for command in COMMANDS.values()
    if command.root is not None
}

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


class Head:
    """A request's head as read.

    `headers` by lower-case name (those in `KNOWN_HEADERS` that are read), `lines` ready to be passed on, `length` the
    body's, known also when it came in chunks. `asked` and `sent` remember what followed from it, should it come again.
    """

    __slots__ = ("asked", "headers", "length", "lines", "method", "sent", "target")

    def __init__(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], lines: list[bytes], length: int
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.lines = lines
        self.length = length
        self.asked: Asked | None = None
        self.sent: tuple[bytes, bytes | None, bytes] | None = None

    def elsewhere(self) -> Head:
        """The same for another mail server: what was sent to this one is not what is sent there."""
        return Head(self.method, self.target, self.headers, self.lines, self.length)


class WrongBody(ValueError):  # noqa: N818 - named after what happened
    """A body that does not belong to the command: a server that executes the body would do something else."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as read, and the beginning of the head under which it is forwarded."""

    eas: EasRequest
    start: bytes
    repeatable: bool
    long: bool


@dataclass(slots=True)
class Asked:
    """What a head says: the command (None: OPTIONS), who asks with which program, what was last known of the credentials."""

    prepared: Prepared | None
    authorization: bytes = field(repr=False)
    login: str
    http_user_agent: str | None
    credentials: Credentials | None = None


class NotOffered(Exception):  # noqa: N818 - named after what happened
    """A version or command that the administrator does not want; `refusal` says so in the phone's words."""

    def __init__(self, eas: EasRequest, refusal: Refusal) -> None:
        super().__init__(f"{eas.command} at {eas.protocol_version}")
        self.eas = eas
        self.refusal = refusal


class Forwarding:
    """Heads for one mail server; equal queries are read once (they are, but for a few, always the same).

    `protocol_versions` and `refused_commands` as in the settings.
    """

    def __init__(
        self,
        address: UpstreamAddress,
        protocol_versions: Collection[str] = (),
        refused_commands: Collection[str] = (),
    ) -> None:
        self._address = address
        self._versions = frozenset(protocol_versions or VERSIONS)
        self._refused = frozenset(refused_commands)
        self.prepare: Callable[[bytes, bytes | None, bytes | None, str], Prepared] = lru_cache(maxsize=1024)(
            self._prepare
        )
        self.options = start(address, None)

    def _prepare(self, query: bytes, protocol_version: bytes | None, policy_key: bytes | None, login: str) -> Prepared:
        eas = claiming(parse_query(query, protocol_version, policy_key), login)
        status = (
            Status.VERSION_NOT_SUPPORTED
            if eas.protocol_version not in self._versions
            else Status.COMMAND_NOT_SUPPORTED
            if eas.command in self._refused
            else None
        )
        if status is not None:
            raise NotOffered(eas, refuse(eas.command, eas.protocol_version, status, ""))
        return Prepared(eas, start(self._address, eas), eas.command in _REPEATABLE, eas.command in {"Ping", "Sync"})


@lru_cache(maxsize=1024)
def start(address: UpstreamAddress, eas: EasRequest | None) -> bytes:
    """The beginning of a head for the mail server at `address`; None is OPTIONS."""
    if eas is None:
        return b"OPTIONS %s HTTP/1.1\r\nHost: %s\r\n" % (address.path, address.authority)
    lines = [b"POST %s?%s HTTP/1.1\r\nHost: %s\r\n" % (address.path, render_query(eas), address.authority)]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in render_headers(eas)]
    return b"".join(lines)


def content_type(eas: EasRequest, headers: dict[bytes, bytes], body: bytes, *, empty: bool) -> bytes | None:
    """The Content-Type to forward, None without a body; raises WrongBody unless the body is the command's own."""
    command = COMMANDS[eas.command]
    if empty:
        if command.body is Body.WBXML:
            raise WrongBody(f"{eas.command} needs a body")
        return None
    if command.body is Body.NONE or command.root is None:
        raise WrongBody(f"{eas.command} has no body")
    sent = headers.get(b"content-type", _WBXML)
    if sent != _WBXML and sent.partition(b";")[0].strip().lower() == _MAIL:
        if command.body is not Body.MAIL_BEFORE_14 or at_least(eas.protocol_version, "14.0"):
            raise WrongBody(f"{eas.command} at {eas.protocol_version} does not take a message")
        return _MAIL
    if body.startswith(_BEGINNINGS[eas.command]):
        return _WBXML
    try:
        found = root(body[:ROOT_LENGTH])
    except WbxmlError as error:
        raise WrongBody(str(error)) from error
    if found != command.root:
        raise WrongBody(f"the body is a {found}, not a {command.root}")
    return _WBXML


def head(start: bytes, head: Head, body_type: bytes | None, forwarded_for: bytes) -> bytes:
    """A whole head; the length is always said, because not every server knows chunks."""
    sent = head.sent
    if sent is not None and sent[0] is forwarded_for and sent[1] is body_type:
        return sent[2]
    host = head.headers.get(b"host")
    rendered = b"%s%s%s%s%sContent-Length: %d\r\n\r\n" % (
        start,
        b"".join(head.lines),
        forwarded_for,
        b"" if not host else b"X-Forwarded-Host: %s\r\n" % host,
        b"" if body_type is None else b"Content-Type: %s\r\n" % body_type,
        head.length,
    )
    head.sent = (forwarded_for, body_type, rendered)
    return rendered

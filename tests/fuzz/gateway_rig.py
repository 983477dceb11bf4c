"""A whole gateway without a network: bytes in, and what goes to the mail server and back to the phone out.

Only the transports, the loop and the mail server are not real. Nothing waits: what the loop would do later is done by
`settle`, in the same order each time.
"""

from __future__ import annotations

import base64
import functools
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from tests.fuzz.target import Broken

from gatepost.gateway import downstream as downstream_module
from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.downstream import Downstream
from gatepost.gateway.preamble import Preamble
from gatepost.gateway.proofs import Proof
from gatepost.gateway.reading import Reading, StopReading
from gatepost.gateway.server import Gateway
from gatepost.gateway.upstream import Upstream
from gatepost.gateway.upstream_connection import UpstreamConnection
from gatepost.model import Directory
from gatepost.operations import mobile_device_access_rules, organizations
from gatepost.operations.context import Context
from gatepost.store.database import Store

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator

ALICE = "alice@example.com"
PASSWORD = "fixed, so that the same seed makes the same inputs"
PEER = "192.0.2.77"
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMS-ASProtocolVersions: 14.1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 451 Redirect\r\nX-MS-Location: https://other.example.com/Microsoft-Server-ActiveSync\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy",
    b"garbage\r\n\r\n",
)


def basic(login: str = ALICE, password: str = PASSWORD) -> str:
    """The header's value."""
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closing = self.paused = False
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes) -> None:
        if not self.closing:
            self.written += data

    def get_extra_info(self, name: str) -> Any:
        return (PEER, 40_000) if name == "peername" else None

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class _Loop:
    """What the outbox needs of one."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)


class _MailServer(Upstream):
    """Gives a new connection at once, and keeps all of them."""

    def __init__(self, configuration: GatewayConfiguration, outbox: Any) -> None:
        super().__init__(configuration, outbox)
        self.transports: list[Transport] = []
        self.connections: list[UpstreamConnection] = []

    def take(self, *, repeatable: bool) -> UpstreamConnection:
        del repeatable
        connection = UpstreamConnection(self)
        self.transports.append(Transport())
        self.connections.append(connection)
        connection.connection_made(self.transports[-1])
        return connection

    def release(self, connection: UpstreamConnection, *, keep: bool) -> None:
        """Used once."""


class _Prober:
    """Alice's password is right, all others are wrong; the answer comes with the next `settle`."""

    def __init__(self) -> None:
        self._open: dict[bytes, list[Callable[[Proof], None]]] = {}

    def asks(self, authorization: bytes) -> bool:
        return authorization in self._open

    def wonder(self, authorization: bytes, tell: Callable[[Proof], None], *, known: bool) -> _Prober:
        del known
        self._open.setdefault(authorization, []).append(tell)
        return self

    def leave(self, tell: Callable[[Proof], None]) -> None:
        for wondering in self._open.values():  # the question stays open
            if tell in wondering:
                wondering.remove(tell)

    def answer(self) -> bool:
        answered, self._open = self._open, {}
        for authorization, wondering in answered.items():
            for tell in wondering:
                tell(Proof(200 if authorization == basic().encode() else 401))
        return bool(answered)


class _WatchedReading(Reading):
    """The parser swallows what is raised in a callback; here it is kept."""

    __slots__ = ()
    raised: list[Exception] = []  # noqa: RUF012 - emptied by each run


def _watch(name: str) -> Callable[..., None]:
    def call(self: Reading, *arguments: Any) -> None:
        try:
            getattr(Reading, name)(self, *arguments)
        except StopReading:
            raise
        except Exception as error:
            _WatchedReading.raised.append(error)
            raise

    return call


for _name in ("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete"):
    setattr(_WatchedReading, _name, _watch(_name))


def _keep_errors(_: Any, level: str, event: dict[str, Any]) -> dict[str, Any]:
    if level in {"error", "critical", "exception"}:
        raise Broken(f"logged: {event}")
    raise structlog.DropEvent


@contextmanager
def _watched() -> Iterator[None]:
    """Nothing is logged, and no exception that somebody caught is lost."""
    before = structlog.get_config()
    structlog.configure(processors=[_keep_errors], cache_logger_on_first_use=False)
    downstream_module.Reading, real = _WatchedReading, downstream_module.Reading
    _WatchedReading.raised.clear()
    try:
        yield
        if _WatchedReading.raised:
            raise _WatchedReading.raised[0]
    finally:
        downstream_module.Reading = real
        structlog.configure(**before)


@dataclass
class Outcome:
    """What became of a connection's bytes; `waited`: reading was paused, so that later bytes came after an answer."""

    sent: list[bytes] = field(default_factory=list)
    answered: bytes = b""
    closed: bool = False
    waited: bool = False


@functools.cache
def _template() -> tuple[Store, Gateway]:
    """A store with one organization, in which anybody may read mail with any phone but one."""
    directory = Path(tempfile.mkdtemp(prefix="gatepost-fuzz-"))
    store = Store.open(f"sqlite:///{directory / 'gatepost.db'}", create=True)
    context = Context(store, lambda: datetime.now(UTC), "fuzzing")
    organization = organizations.create(context, alias="example", domains=["example.com"], directory=Directory.OPEN)
    mobile_device_access_rules.create(
        context, organization_id=organization, name="no", effect="DENY", device_types=["Denied"]
    )
    gateway = Gateway(_DIRECT, store, lambda *_: "")
    gateway.load()
    store.close()
    shutil.rmtree(directory)
    return store, gateway


_DIRECT = GatewayConfiguration("127.0.0.1", 0, upstream_address("http://mail.example.com"))
_PROXIED = replace(_DIRECT, proxy_protocol=True, trusted_proxies=(ip_network(PEER),))


class Rig:
    """One connection to a gateway that has seen nothing yet."""

    def __init__(self, *, known: bool = True, proxied: bool = False, answer: bytes = ANSWERS[0]) -> None:
        """`known`: the mail server has let alice in lately; `proxied`: the peer is trusted and speaks PROXY protocol."""
        store, template = _template()
        gateway = Gateway(_PROXIED if proxied else _DIRECT, store, lambda *_: "")
        self._answer = answer
        self._proxied = proxied
        gateway.replica.rulesets, gateway.replica.domains = template.replica.rulesets, template.replica.domains
        self.loop = _Loop()
        self.workings = workings = gateway._workings
        workings.outbox.open(self.loop)
        workings.upstream = self.mail = _MailServer(workings.configuration, workings.outbox)
        workings.prober = self.prober = _Prober()
        workings.forwarding = template._workings.forwarding  # remembers queries by what they say, and nothing else
        if known:
            workings.proofs.remember(basic().encode())
        self.connect()

    def connect(self) -> None:
        """Another connection to the same gateway."""
        self.transport = Transport()
        phone = (Preamble if self._proxied else Downstream)(self.workings)
        self.transport.protocol = phone
        phone.connection_made(self.transport)
        self._waited = False
        self._first = len(self.mail.transports)

    def give(self, pieces: Iterable[bytes]) -> Outcome:
        """Let the bytes come piece by piece, and the phone go after that."""
        with _watched():
            for piece in pieces:
                if self.transport.paused:
                    self._waited = True
                    self.settle()
                if self.transport.closing:
                    break
                if piece:
                    self.transport.protocol.data_received(piece)
                    self._turn()
            self.settle()
            outcome = Outcome(
                [bytes(one.written) for one in self.mail.transports[self._first :]],
                _RETRY.sub(b"Retry-After: some", bytes(self.transport.written)),
                self.transport.closing,
                self._waited,
            )
            self.transport.protocol.connection_lost(None)
            self._turn()
        return outcome

    def _turn(self) -> None:
        while self.loop.soon:
            waiting, self.loop.soon = self.loop.soon, []
            for call in waiting:
                call()

    def settle(self) -> None:
        """Everybody who was asked answers."""
        self._turn()
        while self.prober.answer() or self._mail_answers():
            self._turn()

    def _mail_answers(self) -> bool:
        for connection, transport in zip(self.mail.connections, self.mail.transports, strict=True):
            if connection.receiver is not None and not transport.closing and request_of(bytes(transport.written)):
                connection.data_received(self._answer)
                return True
        return False


_RETRY = re.compile(rb"Retry-After: [0-9]+")
_HEAD = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.1\r\n((?:[A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n")


def request_of(data: bytes) -> tuple[bytes, bytes, dict[bytes, bytes], bytes] | None:
    """Method, target, headers by lower-case name and body of the one whole request in `data`; None while it is not whole.

    Raises Broken unless it is written in the narrowest form that HTTP/1.1 has, so that no server can read it otherwise.
    """
    found = _HEAD.match(data)
    if found is None:
        if b"\r\n\r\n" in data:
            raise Broken(f"a request that could be read in several ways: {data!r}")
        return None
    headers: dict[bytes, bytes] = {}
    for line in found[3].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        if name.lower() in headers and name.lower() not in {
            b"cookie",
            b"accept",
            b"accept-language",
            b"accept-encoding",
        }:
            raise Broken(f"{name!r} twice in a request to the mail server")
        headers[name.lower()] = value
    length, body = int(headers[b"content-length"]), data[found.end() :]
    if len(body) > length:
        raise Broken("bytes behind a request to the mail server")
    if len(body) < length:
        return None
    return found[1], found[2], headers, body


__all__ = ["ALICE", "ANSWERS", "PEER", "Outcome", "Rig", "basic", "request_of"]

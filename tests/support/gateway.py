"""A gateway on a real SQLite store in front of a mail server that does what a test tells it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import uvloop
from tests.support import secrets

from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.server import Gateway
from gatepost.model import DeviceConditions, Directory, Effect
from gatepost.operations import (
    access_control_rules,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    users,
)
from gatepost.operations.context import Context
from gatepost.store import feed
from gatepost.store.database import Store
from gatepost.wire.wbxml import Element, encode

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

ALICE = "alice@example.com"
PASSWORD = secrets.password("a mailbox behind the gateway's tests")
WRONG_PASSWORD = secrets.password("a wrong one, typed at the gateway")
FOLDER_SYNC = encode(Element("FolderHierarchy:FolderSync", (Element("FolderHierarchy:SyncKey", text="0"),)))
PING = encode(Element("Ping:Ping", (Element("Ping:HeartbeatInterval", text="600"),)))
SYNC = encode(Element("AirSync:Sync", (Element("AirSync:Wait", text="10"),)))


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run a test's story on the event loop that the gateway runs on in production."""
    uvloop.run(asyncio.wait_for(story, 15))


def basic(login: str = ALICE, password: str = PASSWORD) -> str:
    """An Authorization header. What of it is the password's is a secret too; the login's part stands in other places."""
    token = base64.b64encode(f"{login}:{password}".encode()).decode()
    secret = token.rstrip("=")[-(-4 * len(f"{login}:".encode()) // 3) :]
    if len(secret) >= secrets.LENGTH and len(set(secret)) >= secrets.LENGTH // 2:
        secrets.register(f"the Authorization header of {login}", secret)
    return "Basic " + token


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Received:
    """A request as it reached the mail server."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def question(self) -> bool:
        return self.line.startswith("OPTIONS") and "x-forwarded-for" not in self.headers

    @property
    def command(self) -> str:
        return (
            self.line.split("Cmd=")[1].split("&")[0].split(" ")[0] if "Cmd=" in self.line else self.line.split(" ")[0]
        )


async def read_message(
    reader: asyncio.StreamReader, *, bodies: bool = True
) -> tuple[str, dict[str, str], bytes] | None:
    """One HTTP/1.1 message: first line, headers in lower case, body; None when the other side has gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *rest = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    body = b""
    if not bodies:
        return line, headers, body
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    elif line.startswith("HTTP/") and line.split(" ")[1] not in {"100", "204", "304"}:
        body = await reader.read()
    return line, headers, body


Answering = Callable[["MailServer", Received, asyncio.StreamWriter], Awaitable[bool]]


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class MailServer:
    """Checks credentials, then answers 200 with `body`, or what `answering` does; that returns False to close.

    `answers_options` has `answering` answer OPTIONS too.
    """

    password: str = PASSWORD
    body: bytes = b"upstream"
    answering: Answering | None = None
    answers_options: bool = False
    reads_bodies: bool = True
    received: list[Received] = field(default_factory=list)
    parked: int = 0
    gave_up: int = 0
    connections: int = 0
    url: str = ""
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @property
    def commands(self) -> list[str]:
        """What phones asked for; the gateway's own questions whether somebody can log in are `questions`."""
        return [one.command for one in self.received if not one.question]

    @property
    def questions(self) -> list[Received]:
        return [one for one in self.received if one.question]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (message := await read_message(reader, bodies=self.reads_bodies)) is not None:
                request = Received(*message)
                sent = base64.b64decode(request.headers.get("authorization", "Basic Og==").split(" ")[1]).decode()
                self.received.append(request)
                if sent.partition(":")[2] != self.password:
                    writer.write(http(401, b"", "WWW-Authenticate: Negotiate", 'WWW-Authenticate: Basic realm="mail"'))
                elif self.answering is not None and (self.answers_options or request.command != "OPTIONS"):
                    if not await self.answering(self, request, writer):
                        break
                elif request.command == "OPTIONS":
                    writer.write(http(200, b"", "MS-ASProtocolVersions: 12.1,14.1", "MS-ASProtocolCommands: Sync,Ping"))
                elif request.command in {"Ping", "Sync"}:
                    self.parked += 1
                    gone = await reader.read(1)
                    self.parked -= 1
                    self.gave_up += gone == b""
                    break
                else:
                    writer.write(http(200, self.body, "Content-Type: application/vnd.ms-sync.wbxml", "Keep-Alive: 5"))
        writer.close()


@dataclass
class Rig:
    """Everything a story needs."""

    store: Store
    context: Context
    organization_id: str
    gateway: Gateway
    mail: MailServer
    phones: list[Wire] = field(default_factory=list)

    async def phone(self) -> Wire:
        reader, writer = await asyncio.open_connection(*self.gateway.address)
        self.phones.append(Wire(reader, writer))
        return self.phones[-1]

    def deny_by_default(self) -> None:
        for rule in mobile_device_access_rules.list(self.context, organization_id=self.organization_id):
            mobile_device_access_rules.delete(
                self.context, organization_id=self.organization_id, mobile_device_access_rule_id=rule.rule_id
            )

    def rule(self, name: str, effect: str, **conditions: list[str]) -> None:
        mobile_device_access_rules.create(
            self.context, organization_id=self.organization_id, name=name, effect=effect, **conditions
        )

    def override(
        self, effect: str, device_id: str = "PHONE1", user_id: str = ALICE, expires: datetime | None = None
    ) -> None:
        mobile_device_access_overrides.put(
            self.context,
            organization_id=self.organization_id,
            user_id=user_id,
            device_id=device_id,
            effect=effect,
            expires=expires,
        )

    def knows(self, login: str = ALICE, password: str = PASSWORD) -> None:
        """The mail server accepted these lately, as far as the gateway remembers."""
        self.gateway._workings.proofs.remember(basic(login, password).encode())

    async def settled(self) -> None:
        """Wait until the gateway has followed what the store holds."""
        wanted = feed.load(self.store).revision
        while self.gateway.replica.revision < wanted:
            await asyncio.sleep(0.005)

    async def until(self, true: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.005)


class Wire:
    """A phone's connection, byte by byte if need be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def post(self, command: str, body: bytes | None = None, **said: str) -> Response:
        """`send`, and the answer to it."""
        self.send(command, body, **said)
        return await self.answer()

    def send(
        self,
        command: str,
        body: bytes | None = None,
        *,
        version: str = "14.1",
        device_id: str = "Phone1",
        login: str = ALICE,
        password: str = PASSWORD,
        device_type: str = "iPhone",
        **headers: str,
    ) -> None:
        if body is None:
            body = {"FolderSync": FOLDER_SYNC, "Ping": PING, "Sync": SYNC}.get(command, b"")
        lines = {
            "Host": "gate.example.com",
            "Authorization": basic(login, password),
            "MS-ASProtocolVersion": version,
            "User-Agent": "Apple-iPhone14C5/2106.90",
            "Content-Length": str(len(body)),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        if body and "Content-Type" not in lines:
            lines["Content-Type"] = "application/vnd.ms-sync.wbxml"
        target = f"/Microsoft-Server-ActiveSync?Cmd={command}&User=alice&DeviceId={device_id}&DeviceType={device_type}"
        self.raw("POST", target, lines, body)

    def raw(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> None:
        head = "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{k}: {v}\r\n" for k, v in headers.items() if v), "\r\n"])
        self.writer.write(head.encode("latin-1") + body)

    async def answer(self) -> Response:
        message = await read_message(self.reader)
        assert message is not None, "the connection was closed without an answer"
        secrets.record("answer", "the gateway's answer to a phone", repr(message[:2]).encode() + message[2])
        return Response(int(message[0].split(" ")[1]), message[1], message[2])

    async def closed(self) -> bool:
        """True once the gateway has closed the connection."""
        async with asyncio.timeout(5):
            return await self.reader.read(1) == b""

    def close(self) -> None:
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def rig(
    tmp_path: Path,
    *,
    directory: Directory = Directory.OPEN,
    mail: MailServer | None = None,
    upstream: str | None = None,
    tls: ssl.SSLContext | None = None,
    **configuration: Any,
) -> AsyncIterator[Rig]:
    """A running gateway with one organization, `example.com`."""
    store = Store.open(f"sqlite:///{tmp_path / 'gatepost.db'}", create=True)
    context = Context(store, lambda: datetime.now(UTC), "test")
    organization_id = organizations.create(context, alias="example", domains=["example.com"], directory=directory)
    mail = mail or MailServer()
    await mail.start(tls)
    gateway = Gateway(
        GatewayConfiguration("127.0.0.1", 0, upstream_address(upstream or mail.url), **configuration),
        store,
        lambda organization, address: users.enroll(context, organization, address).user_id,
    )
    gateway.load()
    await gateway.start()
    made = Rig(store, context, organization_id, gateway, mail)
    try:
        yield made
    finally:
        for phone in made.phones:
            phone.close()
            with contextlib.suppress(ConnectionError):
                await phone.writer.wait_closed()
        await gateway.stop()
        await mail.close()
        store.close()


def report(model: str | None = None, operating_system: str | None = None, root: str = "Provision:Provision") -> bytes:
    """A Provision (phase 1) or Settings body that says what the device is."""
    said = [Element("Settings:Model", text=model)] if model else []
    said += [Element("Settings:OS", text=operating_system)] if operating_system else []
    information = Element("Settings:DeviceInformation", (Element("Settings:Set", tuple(said)),))
    if root == "Settings:Settings":
        return encode(Element(root, (information,)))
    policy = Element("Provision:Policy", (Element("Provision:PolicyType", text="MS-EAS-Provisioning-WBXML"),))
    policies = Element("Provision:Policies", (policy,))
    return encode(Element(root, (information, policies) if said else (policies,)))


__all__ = ["ALICE", "DeviceConditions", "Effect", "access_control_rules"]

"""A small ActiveSync server, to put behind the gateway in the demo and in tests.

It keeps everything in memory and can what a phone needs for mail: provision, sync folders and mails, fetch, move, send,
and wait for news. It records what reached it (`executed`) and which hanging requests their client gave up
(`cancelled`), so that a test can prove what a gateway let through and what it ended.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.utils import getaddresses
from typing import TYPE_CHECKING

from gatepost.demo.mailbox_accounts import INBOX, Account, DeviceState, Mail
from gatepost.demo.mailbox_commands import COMMANDS
from gatepost.demo.mailbox_http import HttpAnswer, HttpConnection, HttpRequest, stop_serving
from gatepost.demo.mailbox_session import BadBody, Session
from gatepost.demo.mailbox_wire import bad_request, element_answer, read_request, status_answer
from gatepost.model import address_key
from gatepost.wire import basic_auth
from gatepost.wire.eas.request import MalformedRequest
from gatepost.wire.wbxml import WbxmlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import EmailMessage

    from gatepost.wire.eas.request import EasRequest
    from gatepost.wire.wbxml import Element

PATH = "/microsoft-server-activesync"
VERSIONS = "12.1,14.0,14.1,16.0,16.1"
"""What OPTIONS offers. Older ones are answered as well, but their bodies had another shape."""

_PROVISION_FIRST, _COMMAND_NOT_SUPPORTED = 142, 137
_NEED_NO_POLICY = ("Provision", "Ping", "Settings")


@dataclass(frozen=True, slots=True)
class Executed:
    """One request that reached the server with valid credentials: who, which device, and what came over the wire."""

    command: str
    user: str
    device_id: str
    request: EasRequest | None
    query: bytes
    headers: Mapping[str, str]


class Mailbox:
    """The server; `users` is address → password. It runs in the event loop in which it was started.

    With `policy_required` a device must provision before it may do anything else. `heartbeat_limits` are the shortest
    and the longest time that a Ping or a Sync may hang, in seconds.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        policy_required: bool = False,
        heartbeat_limits: tuple[int, int] = (1, 3540),
    ) -> None:
        self.users = {address_key(address): password for address, password in users.items()}
        self.executed: list[Executed] = []
        self.cancelled: list[Executed] = []
        self._accounts = {address: Account(address, password) for address, password in self.users.items()}
        self._policy_required = policy_required
        self._heartbeat_limits = heartbeat_limits
        self._connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one, which `url` tells."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HttpConnection(self._answer, self._connections), host, port)

    @property
    def url(self) -> str:
        """The base URL, without path."""
        assert self._server is not None, "the mailbox is not started"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is None:
            return
        await stop_serving(self._server, self._connections)
        await self._server.wait_closed()
        self._server = None

    def deliver(self, user: str, message: EmailMessage | bytes) -> Mail:
        """Put a mail into the Inbox of `user` (a login or an address) and wake the phones that wait for it."""
        account = self._account(user)
        if account is None:
            raise KeyError(f"`{user}` has no mailbox here; users are {', '.join(self.users)}")
        return account.add(INBOX, message if isinstance(message, bytes) else message.as_bytes())

    def mails(self, user: str, folder: str = INBOX) -> list[Mail]:
        """The mails in a folder of `user`, oldest first."""
        account = self._account(user)
        return list(account.folders[folder].values()) if account is not None else []

    def device(self, user: str, device_id: str) -> DeviceState | None:
        """What the server knows of a device, None where it never came."""
        account = self._account(user)
        return account.devices.get(device_id.upper()) if account is not None else None

    def _account(self, login: str) -> Account | None:
        r"""The account of `alice@example.com`, `alice`, `DOMAIN\alice` or `DOMAIN\alice@example.com`."""
        name = address_key(login.rpartition("\\")[2])
        if "@" in name:
            return self._accounts.get(name)
        return next((account for address, account in self._accounts.items() if address.split("@")[0] == name), None)

    def _authenticated(self, request: HttpRequest) -> Account | None:
        header = request.headers.get("authorization", "").encode("latin-1")
        credentials = basic_auth.parse(header)
        account = self._account(credentials.login) if credentials is not None else None
        if credentials is None or account is None:
            return None
        matches = hmac.compare_digest(credentials.password.encode(), account.password.encode())
        return account if matches else None

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if request.path.lower().removesuffix("/default.eas") != PATH:
            return HttpAnswer(404)
        if request.method not in ("POST", "OPTIONS"):
            return HttpAnswer(405, (("Allow", "OPTIONS, POST"),))
        account = self._authenticated(request)
        if account is None:
            return HttpAnswer(401, (("WWW-Authenticate", 'Basic realm="mailbox"'),))
        if request.method == "OPTIONS":
            self.executed.append(Executed("OPTIONS", account.address, "", None, request.query, request.headers))
            offer = (("MS-ASProtocolVersions", VERSIONS), ("MS-ASProtocolCommands", ",".join(COMMANDS)))
            return HttpAnswer(200, (("MS-Server-ActiveSync", "16.1"), *offer))
        return await self._answer_command(account, request)

    async def _answer_command(self, account: Account, request: HttpRequest) -> HttpAnswer:
        try:
            asked, body = read_request(request)
        except (MalformedRequest, WbxmlError) as error:
            return bad_request(error)
        executed = Executed(asked.command, account.address, asked.device_id, asked, request.query, request.headers)
        self.executed.append(executed)
        try:
            return await self._execute(account, asked, body)
        except BadBody as error:
            return bad_request(error)
        except asyncio.CancelledError:
            self.cancelled.append(executed)
            raise

    async def _execute(self, account: Account, asked: EasRequest, body: Element | None) -> HttpAnswer:
        device = account.devices.setdefault(asked.device_id, DeviceState())
        provisioned = device.policy_key is not None and asked.policy_key == device.policy_key
        if self._policy_required and not provisioned and asked.command not in _NEED_NO_POLICY:
            return status_answer(asked, _PROVISION_FIRST)
        command = COMMANDS.get(asked.command)
        if command is None:
            return status_answer(asked, _COMMAND_NOT_SUPPORTED)
        session = Session(account, device, asked, self._heartbeat_limits, self._deliver_to_all)
        return element_answer(await command(session, body))

    def _deliver_to_all(self, raw: bytes) -> bool:
        """Deliver to everybody the mail names who is here; False where it names nobody at all."""
        message = message_from_bytes(raw, policy=policy.default)
        headers = [str(value) for name in ("To", "Cc", "Bcc") for value in message.get_all(name, [])]
        recipients = [address for _, address in getaddresses(headers) if address]
        for address in recipients:
            account = self._accounts.get(address_key(address))
            if account is not None:
                account.add(INBOX, raw)
        return bool(recipients)

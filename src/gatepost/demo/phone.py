"""A phone: the requests a real one makes, in the order it makes them, against any ActiveSync server.

It knows what differs between the protocol versions: up to 12.1 a mail is sent as message/rfc822; up to 14.0 the device
says what it is in Settings after provisioning, from 14.1 on in the first Provision request. It keeps its policy key, its
sync keys and its connection. Nothing is hidden: every call returns an `Answer` with the HTTP status, the EAS status and
the raw body, refusals too.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from gatepost.demo import phone_bodies
from gatepost.demo.phone_http import HttpClient
from gatepost.wire.eas import provisioning
from gatepost.wire.eas.commands import COMMANDS, at_least
from gatepost.wire.eas.refusal import CONTENT_TYPE
from gatepost.wire.eas.request import EasRequest, QueryForm, render_headers, render_query
from gatepost.wire.wbxml import Element, Limits, decode, encode

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from email.message import EmailMessage

    from gatepost.demo.phone_bodies import Folder, Mail

PATH: Final = "/Microsoft-Server-ActiveSync"
PROVISION_FIRST: Final = (142, 143, 144)
"""Statuses on which a phone provisions (MS-ASCMD 2.2.2); HTTP 449 says the same."""

_LIMITS: Final = Limits(size=64 << 20, depth=32, elements=1_000_000, value=64 << 20)
_OK: Final = 1
_ONCE: Final = ("SendMail", "SmartForward", "SmartReply", "MoveItems", "FolderCreate", "FolderDelete", "FolderUpdate")
"""Commands that must not arrive twice."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: HTTP status, headers (names in lower case), raw body, and the body read, None where it is empty."""

    http_status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Element | None = None

    @property
    def status(self) -> int | None:
        """The status right below the root element, None where there is none."""
        found = (
            next((child for child in self.body.children if child.name.endswith(":Status")), None) if self.body else None
        )
        return int(found.text) if found is not None and found.text and found.text.isdigit() else None

    @property
    def ok(self) -> bool:
        """True where the command was executed: HTTP 200, and no status or one that is no error for any command."""
        return self.http_status == 200 and self.status in (None, _OK)

    @property
    def asks_to_provision(self) -> bool:
        """True where the server wants Provision first."""
        return self.http_status == 449 or (self.http_status == 200 and self.status in PROVISION_FIRST)


@dataclass(frozen=True, slots=True)
class FolderAnswer(Answer):
    """FolderSync's answer with the folders it adds."""

    folders: tuple[Folder, ...] = ()

    def folder(self, kind: int = phone_bodies.INBOX_TYPE) -> Folder:
        """The first folder of a type, the Inbox if not said otherwise."""
        return next(folder for folder in self.folders if folder.kind == kind)


@dataclass(frozen=True, slots=True)
class SyncAnswer(Answer):
    """Sync's answer for one folder: its own status, mails that came, ids of mails that went, and whether there are more."""

    collection_status: int | None = None
    mails: tuple[Mail, ...] = ()
    deleted: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class PingAnswer(Answer):
    """Ping's answer with the folders that have news; its status is 1 (over), 2 (news) or an error."""

    folders: tuple[str, ...] = ()


@dataclass(slots=True)
class Phone:
    """One phone with one account.

    `url` is the server's address, perhaps with the path under which it serves ActiveSync. With `base64` queries are
    sent in the base64 form (12.1 and later). With `provision_if_asked` a command that is answered "provision first" is
    repeated once after provisioning.
    """

    url: str
    login: str
    password: str = field(repr=False)
    device_id: str = "PHONE1"
    device_type: str = "iPhone"
    model: str | None = "iPhone14,5"
    operating_system: str | None = "iOS 17.5 21F79"
    user_agent: str | None = "Apple-iPhone14C5/2105.79"
    settings_user_agent: str | None = None
    friendly_name: str | None = None
    version: str = "14.1"
    base64: bool = False
    provision_if_asked: bool = False
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    policy_key: int | None = None
    sync_keys: dict[str, str] = field(default_factory=dict)
    folder_key: str = "0"
    _client: HttpClient | None = field(default=None, repr=False)

    async def options(self) -> Answer:
        """Ask what the server can do; versions and commands are in the headers."""
        return await self._exchange("OPTIONS", self._path(), {}, None)

    async def provision(self) -> Answer:
        """Ask for the policy, apply it (a claim), and keep the key; the answer is Provision's last.

        A server without a policy (policy status 2, or no key) needs no second step. Up to 14.0 the phone says in
        Settings what it is, whatever the server makes of it.
        """
        self.policy_key = 0
        information = self._information() if at_least(self.version, "14.1") else None
        answer = await self._command("Provision", provisioning.initial_request(information))
        key = _policy_key(answer)
        if key is not None:
            self.policy_key = key
            answer = await self._command("Provision", provisioning.acknowledgement(key))
            self.policy_key = _policy_key(answer)
        if information is None and answer.ok:
            await self._command("Settings", self._settings())
        return answer

    async def settings_device_information(self) -> Answer:
        """Say in Settings what this phone is (up to 14.0 the only way; later for changes)."""
        return await self.command("Settings", self._settings())

    async def folder_sync(self) -> FolderAnswer:
        """Get the folders, or what changed of them; an answer of another status leaves the key."""
        answer = await self.command("FolderSync", phone_bodies.folder_sync(self.folder_key))
        if not answer.ok or answer.body is None:
            return FolderAnswer(answer.http_status, answer.headers, answer.raw, answer.body)
        self.folder_key = answer.body.text_at("FolderHierarchy:SyncKey") or self.folder_key
        folders = phone_bodies.read_folders(answer.body)
        return FolderAnswer(answer.http_status, answer.headers, answer.raw, answer.body, folders)

    async def sync(self, folder_id: str, *, window: int = 100, wait: int | None = None) -> SyncAnswer:
        """Sync a folder from its key on; the first time that only gets a key. `wait` lets it hang for news (seconds)."""
        key = self.sync_keys.get(folder_id, "0")
        body = phone_bodies.sync(folder_id, key, self.version, window=window, wait=wait)
        answer = await self.command("Sync", body)
        collection = answer.body.find("AirSync:Collections", "AirSync:Collection") if answer.body is not None else None
        if collection is None:
            return SyncAnswer(answer.http_status, answer.headers, answer.raw, answer.body)
        status = int(collection.text_at("AirSync:Status") or _OK)
        if status == _OK:
            self.sync_keys[folder_id] = collection.text_at("AirSync:SyncKey") or key
        changes = collection.find("AirSync:Commands") or Element("AirSync:Commands")
        added = [
            (add.text_at("AirSync:ServerId"), add.find("AirSync:ApplicationData"))
            for add in changes.each("AirSync:Add")
        ]
        deleted = (gone.text_at("AirSync:ServerId") or "" for gone in changes.each("AirSync:Delete"))
        return SyncAnswer(
            answer.http_status,
            answer.headers,
            answer.raw,
            answer.body,
            status,
            tuple(phone_bodies.read_mail(server_id or "", data) for server_id, data in added if data is not None),
            tuple(deleted),
            collection.find("AirSync:MoreAvailable") is not None,
        )

    async def read_mails(self, folder_id: str) -> tuple[Mail, ...]:
        """Every mail of a folder that this phone has not got yet; stops at the first answer that brings none."""
        mails: list[Mail] = []
        if folder_id not in self.sync_keys:
            await self.sync(folder_id)
        while True:
            answer = await self.sync(folder_id)
            mails += answer.mails
            if not answer.mails or not answer.more:
                return tuple(mails)

    async def fetch(self, folder_id: str, server_id: str) -> tuple[Answer, Mail | None]:
        """One mail by its id, None where the server does not give it."""
        answer = await self.command("ItemOperations", phone_bodies.fetch(folder_id, server_id))
        path = ("ItemOperations:Response", "ItemOperations:Fetch", "ItemOperations:Properties")
        properties = answer.body.find(*path) if answer.body is not None else None
        return answer, phone_bodies.read_mail(server_id, properties) if properties is not None else None

    async def send_mail(self, message: EmailMessage | bytes) -> Answer:
        """Send a mail and keep a copy in Sent Items."""
        mime = message if isinstance(message, bytes) else message.as_bytes()
        if at_least(self.version, "14.0"):
            return await self.command("SendMail", phone_bodies.send_mail(uuid4().hex, mime))
        return await self.command("SendMail", mime, (("SaveInSent", "T"),))

    async def ping(self, heartbeat: int, *folder_ids: str) -> PingAnswer:
        """Wait for news in folders for up to `heartbeat` seconds; without folders the last Ping is repeated."""
        answer = await self.command("Ping", phone_bodies.ping(heartbeat, folder_ids) if folder_ids else None)
        folders = answer.body.find("Ping:Folders") if answer.body is not None else None
        named = tuple(folder.text or "" for folder in folders.each("Ping:Folder")) if folders is not None else ()
        return PingAnswer(answer.http_status, answer.headers, answer.raw, answer.body, named)

    async def command(
        self, command: str, body: Element | bytes | None, parameters: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        """Any command; repeated once after provisioning where that was asked for and wanted."""
        answer = await self._command(command, body, parameters)
        if self.provision_if_asked and answer.asks_to_provision and command != "Provision":
            await self.provision()
            answer = await self._command(command, body, parameters)
        return answer

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()

    async def _command(
        self, command: str, body: Element | bytes | None, parameters: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        request = self._request(command, parameters)
        headers = dict(render_headers(request))
        raw = encode(body) if isinstance(body, Element) else body
        if raw is not None:
            headers["Content-Type"] = CONTENT_TYPE if isinstance(body, Element) else "message/rfc822"
        target = f"{self._path()}?{render_query(request).decode()}"
        return await self._exchange("POST", target, headers, raw or b"", repeatable=command not in _ONCE)

    def _request(self, command: str, parameters: tuple[tuple[str, str], ...]) -> EasRequest:
        form = QueryForm.BASE64 if self.base64 else QueryForm.PLAIN
        # the policy key goes with no Ping (MS-ASPROV 3.1.5.1)
        key = self.policy_key if command != "Ping" else None
        device_id = self.device_id.encode()
        names = (self.device_id.upper(),)
        return EasRequest(
            COMMANDS[command].name,
            names[0],
            names,
            self.device_type,
            self.login,
            self.version,
            key,
            form,
            parameters,
            device_id,
        )

    async def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, *, repeatable: bool = True
    ) -> Answer:
        if self._client is None:
            self._client = HttpClient(self.url, tls=self.tls)
        credentials = base64.b64encode(f"{self.login}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", **headers}
        if self.user_agent is not None:
            headers["User-Agent"] = self.user_agent
        answer = await self._client.request(method, target, headers, body, repeatable=repeatable)
        readable = answer.body and answer.headers.get("content-type", "").startswith("application/vnd.ms-sync")
        return Answer(answer.status, answer.headers, answer.body, decode(answer.body, _LIMITS) if readable else None)

    def _path(self) -> str:
        """The path of the URL, or the usual one."""
        path = self.url.partition("://")[2].partition("/")[2].rstrip("/")
        return f"/{path}" if path else PATH

    def _settings(self) -> Element:
        return Element("Settings:Settings", (self._information(),))

    def _information(self) -> Element:
        return phone_bodies.device_information(
            (
                ("Model", self.model),
                ("FriendlyName", self.friendly_name),
                ("OS", self.operating_system),
                ("UserAgent", self.settings_user_agent),
            )
        )


def _policy_key(answer: Answer) -> int | None:
    policy = answer.body.find("Provision:Policies", "Provision:Policy") if answer.body is not None else None
    key = policy.text_at("Provision:PolicyKey") if policy is not None else None
    return int(key) if key else None

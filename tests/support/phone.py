"""A phone for tests: speaks ActiveSync with a foreign WBXML codec (pyactivesync's), so that ours is never on both sides.

It does what phones do and no more: identifies itself, syncs the folders, reads and sends mail, parks a Ping. Every
command returns the `Answer` as it came; nothing is retried and no status is an exception.
"""

from __future__ import annotations

import base64
import http.client
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlsplit

from pyactivesync._wbxml import Node, NodeBuilder, WBXMLReader, WBXMLWriter, find, find_all, text_of, wtag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COMMAND_CODES = {
    "Sync": 0, "SendMail": 1, "GetAttachment": 4, "FolderSync": 9, "MoveItems": 13, "GetItemEstimate": 14, "Search": 16,
    "Settings": 17, "Ping": 18, "ItemOperations": 19, "Provision": 20, "ResolveRecipients": 21,
}  # fmt: skip
INBOX_TYPE = "2"
POLICY_TYPE = "MS-EAS-Provisioning-WBXML"

Content: TypeAlias = "str | bytes | NodeBuilder | Iterable[NodeBuilder] | None"


def tag(path: str, content: Content = None) -> NodeBuilder:
    """One element: `tag("Ping.Folders", [tag(…), …])`; a text, opaque bytes or children."""
    page, name = path.split(".")
    if isinstance(content, str):
        return wtag(page, name, text=content)
    if isinstance(content, bytes):
        return wtag(page, name, opaque=content)
    children = [] if content is None else [content] if callable(content) else list(content)
    return wtag(page, name, children=children)


def document(element: NodeBuilder) -> bytes:
    """The WBXML document of one element."""
    writer = WBXMLWriter()
    element(writer)
    return writer.render()


@dataclass(frozen=True)
class Answer:
    """What came back, and when (monotonic seconds)."""

    http_status: int
    headers: dict[str, str]
    body: bytes
    arrived_at: float

    @property
    def nodes(self) -> list[Node]:
        """The body as pyactivesync reads it; empty for an empty body."""
        return WBXMLReader(self.body).parse() if self.body else []

    @property
    def root(self) -> str | None:
        """The root element, such as `Ping.Ping`."""
        return self.nodes[0][0] if self.body else None

    @property
    def status(self) -> str | None:
        """The command's own status: the Status right below the root."""
        if not self.body:
            return None
        children = self.nodes[0][2]
        return next((text_of(child) for child in children if child[0].endswith(".Status")), None)

    @property
    def outcome(self) -> tuple[int, str | None]:
        """HTTP status and command status: what tests compare."""
        return self.http_status, self.status

    def text(self, path: str) -> str | None:
        """The text of the first such element."""
        return text_of(find(self.nodes, path))

    def all(self, path: str) -> list[Node]:
        """Every such element."""
        return list(find_all(self.nodes, path))


@dataclass(frozen=True)
class Mail:
    """A mail as Sync brought it."""

    server_id: str
    subject: str
    sender: str
    body: str
    attachments: tuple[str, ...]


@dataclass
class Parked:
    """A request that waits for its answer in a thread of its own."""

    thread: threading.Thread
    outcome: list[Answer | BaseException] = field(default_factory=list)

    def done(self) -> bool:
        """True when it has been answered."""
        return not self.thread.is_alive()

    def answer(self, timeout: float) -> Answer:
        """Its answer, waited for."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), f"still parked after {timeout} s"
        outcome = self.outcome[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Phone:
    """One device of one login at one ActiveSync URL.

    `version` is the protocol version, `base64_query` the form of its queries, `source` the address it calls from. Connections are kept alive (SOGo
    itself cannot, without saying so); a parked request has its own.
    """

    def __init__(
        self,
        url: str,
        login: str,
        password: str,
        *,
        device_id: str,
        version: str = "14.1",
        base64_query: bool = False,
        device_type: str = "SAMSUNGSMG991B",
        model: str = "SM-G991B",
        operating_system: str = "Android 13",
        user_agent: str = "SAMSUNG-SM-G991B/101.13",
        headers: dict[str, str] | None = None,
        keep_alive: bool = True,
        source: str | None = None,
    ) -> None:
        self.url = urlsplit(url)
        self.login = login
        self.password = password
        self.device_id = device_id
        self.version = version
        self.base64_query = base64_query
        self.device_type = device_type
        self.model = model
        self.operating_system = operating_system
        self.user_agent = user_agent
        self.extra_headers = headers or {}
        self.keep_alive = keep_alive
        self.source = source
        self.policy_key = 0
        self.inbox = ""
        self.folder_sync_key = "0"
        self.sync_key = "0"
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def modern(self) -> bool:
        """True from 14.0 on: a refusal is in the body, and SendMail is WBXML."""
        return float(self.version) >= 14.0

    # -- requests

    def query(self, command: str, parameters: dict[str, str] | None = None) -> str:
        """The request's query in the phone's form (MS-ASHTTP 2.2.1.1.1)."""
        more = parameters or {}
        if not self.base64_query:
            pairs = {"Cmd": command, "User": self.login, "DeviceId": self.device_id, "DeviceType": self.device_type}
            return "&".join(f"{name}={quote(value, safe='')}" for name, value in (pairs | more).items())
        key = self.policy_key.to_bytes(4, "little") if self.policy_key and command != "Ping" else b""
        device = self.device_id.encode()
        kind = self.device_type.encode()
        head = bytes([int(float(self.version) * 10 + 0.5), COMMAND_CODES[command]]) + (0x0409).to_bytes(2, "little")
        raw = head + bytes([len(device)]) + device + bytes([len(key)]) + key + bytes([len(kind)]) + kind
        if more.get("SaveInSent") == "T":
            raw += bytes([7, 1, 1])
        return quote(base64.b64encode(raw).decode(), safe="")

    def request(
        self,
        command: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        query: str | None = None,
        parameters: dict[str, str] | None = None,
        content_type: str = "application/vnd.ms-sync.wbxml",
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
        authenticate: bool = True,
    ) -> Answer:
        """Send one request and wait for its answer."""
        target = self.url.path
        if method == "POST":
            target += "?" + (query if query is not None else self.query(command, parameters))
        sent = {"User-Agent": self.user_agent, **self.extra_headers}
        if authenticate:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{self.login}:{self.password}".encode()).decode()
        if method == "POST":
            sent |= {"MS-ASProtocolVersion": self.version, "Content-Type": content_type}
            if self.policy_key and command != "Ping":
                sent["X-MS-PolicyKey"] = str(self.policy_key)
        sent |= headers or {}
        over = connection or self._connected()
        over.request(method, target, body if method == "POST" else None, sent)
        response = over.getresponse()
        content = response.read()
        if connection is None and (response.will_close or not self.keep_alive):
            self.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content, time.monotonic())

    def parked(self, send: Callable[[http.client.HTTPConnection], Answer]) -> Parked:
        """Run a request in a thread over a connection of its own."""
        connection = self._new_connection()
        outcome: list[Answer | BaseException] = []

        def wait() -> None:
            try:
                outcome.append(send(connection))
            except BaseException as error:
                outcome.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=wait, name=f"parked {self.device_id}", daemon=True)
        thread.start()
        return Parked(thread, outcome)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = self._new_connection()
        return self._connection

    def _new_connection(self) -> http.client.HTTPConnection:
        assert self.url.hostname is not None
        source = (self.source, 0) if self.source else None
        return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60, source_address=source)

    # -- commands

    def options(self, **more: bool) -> Answer:
        """OPTIONS: what does the server speak?"""
        return self.request("", method="OPTIONS", **more)

    def provision(self) -> Answer:
        """Provision in both phases (MS-ASPROV 3.1.5); up to 14.0 the device information follows in Settings.

        Returns the first answer that is not a success, or the last one.
        """
        self.policy_key = 0
        wanted = tag("Provision.Policies", tag("Provision.Policy", tag("Provision.PolicyType", POLICY_TYPE)))
        parts = [self._device_information(), wanted] if float(self.version) >= 14.1 else [wanted]
        answer = self.request("Provision", document(tag("Provision.Provision", parts)))
        key = answer.text("Provision.PolicyKey") if answer.http_status == 200 else None
        if answer.outcome == (200, "1") and key:
            self.policy_key = int(key)
            content = [
                tag("Provision.PolicyType", POLICY_TYPE),
                tag("Provision.PolicyKey", key),
                tag("Provision.Status", "1"),
            ]
            acknowledged = tag("Provision.Provision", tag("Provision.Policies", tag("Provision.Policy", content)))
            answer = self.request("Provision", document(acknowledged))
            if answer.outcome == (200, "1"):
                self.policy_key = int(answer.text("Provision.PolicyKey") or 0)
        if answer.outcome == (200, "1") and float(self.version) < 14.1:
            told = self.settings()
            return answer if told.outcome == (200, "1") else told
        return answer

    def settings(self) -> Answer:
        """Settings with DeviceInformation: this is what I am."""
        return self.request("Settings", document(tag("Settings.Settings", self._device_information())))

    def _device_information(self) -> NodeBuilder:
        reported = {"Model": self.model, "OS": self.operating_system, "UserAgent": self.user_agent}
        values = [tag(f"Settings.{name}", value) for name, value in reported.items()]
        return tag("Settings.DeviceInformation", tag("Settings.Set", values))

    def folder_sync(self) -> Answer:
        """FolderSync from the start; remembers the inbox."""
        body = document(tag("FolderHierarchy.FolderSync", tag("FolderHierarchy.SyncKey", "0")))
        answer = self.request("FolderSync", body)
        if answer.outcome == (200, "1"):
            self.folder_sync_key = answer.text("FolderHierarchy.SyncKey") or "0"
            for _, _, children in answer.all("FolderHierarchy.Add"):
                if text_of(find(children, "FolderHierarchy.Type")) == INBOX_TYPE:
                    self.inbox = text_of(find(children, "FolderHierarchy.ServerId")) or ""
        return answer

    def sync(self) -> Answer:
        """Sync of the inbox with the key of the last one; remembers the new key."""
        answer = self.request("Sync", self._sync_body())
        self.sync_key = (answer.text("AirSync.SyncKey") if answer.http_status == 200 else None) or self.sync_key
        return answer

    def _sync_body(self, heartbeat: int | None = None, wait: int | None = None) -> bytes:
        collection = [tag("AirSync.SyncKey", self.sync_key), tag("AirSync.CollectionId", self.inbox)]
        if not self.modern:
            collection.insert(0, tag("AirSync.Class", "Email"))  # MS-ASCMD 2.2.3.27.5
        if self.sync_key != "0":
            preference = tag(
                "AirSyncBase.BodyPreference",
                [tag("AirSyncBase.Type", "2"), tag("AirSyncBase.TruncationSize", "100000")],
            )
            collection += [
                tag("AirSync.GetChanges"),
                tag("AirSync.WindowSize", "100"),
                tag("AirSync.Options", preference),
            ]
        parts = [tag("AirSync.Collections", tag("AirSync.Collection", collection))]
        if wait is not None:
            parts.append(tag("AirSync.Wait", str(wait)))
        if heartbeat is not None:
            parts.append(tag("AirSync.HeartbeatInterval", str(heartbeat)))
        return document(tag("AirSync.Sync", parts))

    def read_inbox(self) -> list[Mail]:
        """Sync until nothing new comes; every mail on the way."""
        mails: list[Mail] = []
        for _ in range(20):
            new = mails_of(self.sync()) if self.sync_key != "0" else mails_of(self.sync()) + mails_of(self.sync())
            mails += new
            if not new:
                return mails
        raise AssertionError("Sync never comes to an end")

    def attachment(self, reference: str) -> bytes:
        """Fetch an attachment (ItemOperations) by its FileReference."""
        fetch = [tag("ItemOperations.Store", "Mailbox"), tag("AirSyncBase.FileReference", reference)]
        answer = self.request(
            "ItemOperations", document(tag("ItemOperations.ItemOperations", tag("ItemOperations.Fetch", fetch)))
        )
        assert answer.outcome == (200, "1"), answer
        return base64.b64decode(answer.text("ItemOperations.Data") or "")

    def send_mail(self, mime: bytes) -> Answer:
        """SendMail: WBXML from 14.0 on, the bare message before."""
        if not self.modern:
            return self.request("SendMail", mime, parameters={"SaveInSent": "T"}, content_type="message/rfc822")
        content = [
            tag("ComposeMail.ClientId", uuid.uuid4().hex),
            tag("ComposeMail.SaveInSentItems"),
            tag("ComposeMail.MIME", mime),
        ]
        return self.request("SendMail", document(tag("ComposeMail.SendMail", content)))

    def park_ping(self, heartbeat: int) -> Parked:
        """Ping the inbox; the answer comes when there is something new, or after `heartbeat` seconds."""
        folder = tag("Ping.Folder", [tag("Ping.Id", self.inbox), tag("Ping.Class", "Email")])
        body = document(tag("Ping.Ping", [tag("Ping.HeartbeatInterval", str(heartbeat)), tag("Ping.Folders", folder)]))
        return self.parked(lambda connection: self.request("Ping", body, connection=connection))

    def park_sync(self, *, heartbeat: int | None = None, wait: int | None = None) -> Parked:
        """A hanging Sync: `heartbeat` in seconds, or `wait` in minutes (before 14.0)."""
        body = self._sync_body(heartbeat, wait)
        return self.parked(lambda connection: self.request("Sync", body, connection=connection))


def mails_of(answer: Answer) -> list[Mail]:
    """The mails that a Sync added."""
    assert answer.http_status == 200, answer
    found = []
    for _, _, children in answer.all("AirSync.Add"):
        names = [text_of(node) or "" for node in find_all(children, "AirSyncBase.FileReference")]
        body = find(children, "AirSyncBase.Body")
        found.append(
            Mail(
                server_id=text_of(find(children, "AirSync.ServerId")) or "",
                subject=text_of(find(children, "Email.Subject")) or "",
                sender=text_of(find(children, "Email.From")) or "",
                body=(text_of(find([body], "AirSyncBase.Data")) or "") if body else "",
                attachments=tuple(names),
            )
        )
    return found

"""A small Workspace ONE UEM, to put beside the bridge in the demo and in tests: its REST API, its events, its moods.

The API is the real one's as far as a bridge needs it: one device by number (version 1) or UUID (version 4), by `searchby`,
the paged search, Basic and OAuth, the API key, quota headers, 404, and the ways in which it fails.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from gatepost.demo.mailbox_http import HttpAnswer, HttpConnection, HttpRequest, stop_serving
from gatepost.demo.workspace_one_devices import TwinDevice
from gatepost.demo.workspace_one_events import Events
from gatepost.wire import basic_auth

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

_DEVICES = "/api/mdm/devices"
_MOST_ROWS = 500


class Mood(StrEnum):
    """How it fails."""

    DROPS = "closes the connection"
    HANGS = "does not answer"
    PAGE_503 = "a load balancer's web page, 503"
    PAGE_404 = "a load balancer's web page, 404"
    ERROR_500 = "500 in plain text"
    PAGE_200 = "a web page, 200"
    EMPTY = "200 without a body"
    TOO_MANY = "429 with its headers"
    TOO_MANY_BARE = "429 without a word"
    LOGIN = "401, whoever asks"


@dataclass(frozen=True, slots=True)
class TwinLogin:
    """What the API accepts."""

    user: str = "bridge"
    password: str = field(default="", repr=False)
    tenant_code: str = field(default="", repr=False)
    client_id: str = "gatepost"
    client_secret: str = field(default="", repr=False)


def new_login() -> TwinLogin:
    """A login with random secrets."""
    first, second, third = (secrets.token_hex(16) for _ in range(3))
    return TwinLogin(password=first, tenant_code=second, client_secret=third)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that reached the API."""

    path: str
    query: Mapping[str, str]
    accept: str
    status: int


class WorkspaceOneTwin:
    """The server. It runs in the event loop in which it was started; verbs change the world and queue the event.

    `quota` is (requests, seconds) for a window; `token_seconds` how long a token lives; `event_version` 1 or 2.
    """

    def __init__(
        self,
        login: TwinLogin | None = None,
        *,
        quota: tuple[int, float] | None = None,
        token_seconds: float = 3600,
        event_version: int = 2,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.login = login if login is not None else new_login()
        self.devices: dict[int, TwinDevice] = {}
        self.events = Events()
        self.asked: deque[Asked] = deque(maxlen=100_000)
        self.tokens_given = 0
        self.quota = quota
        self.token_seconds = token_seconds
        self.before_page: Callable[[int], None] | None = None
        self._event_version = event_version
        self._now = now
        self._moods: deque[Mood] = deque()
        self._mood: Mood | None = None
        self._tokens: dict[str, float] = {}
        self._window: tuple[float, int] = (0.0, 0)
        self._next_number = 10001
        self._scheme = "http"
        self._connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None

    # -- the world

    def enroll(self, address: str, *eas_ids: str, serial: str = "", imei: str = "", group_id: int = 570) -> TwinDevice:
        """A new device; it has not been checked yet, and often has no EAS id yet."""
        number, self._next_number = self._next_number, self._next_number + 1
        now = self._now()
        serial = serial or f"F2LX{number:08d}"
        device = TwinDevice(number, address, now, now, list(eas_ids), serial, imei, group_id=group_id)
        self.devices[number] = device
        self._tell(device, "MDM Enrollment Complete")
        return device

    def comply(self, number: int) -> None:
        """It was checked and is compliant."""
        self._checked(number, "Compliant")

    def violate(self, number: int) -> None:
        """It was checked and is not."""
        self._checked(number, "NonCompliant")

    def recheck(self, number: int) -> None:
        """It is to be checked again."""
        self._checked(number, "PendingComplianceCheck")

    def jailbreak(self, number: int, *, compromised: bool = True) -> None:
        """It was found to be compromised, or not to be any more; its compliance is as before."""
        device = self.devices[number]
        device.compromised, device.seen = compromised, self._now()
        self._tell(device, "Compromised Status Changed")

    def wipe(self, number: int) -> None:
        """An enterprise wipe begins; it stays Compliant."""
        device = self.devices[number]
        device.enrollment_status = "EnterpriseWipePending"
        self._tell(device, "DeviceEnterpriseWipeRequested")

    def unenroll(self, number: int) -> None:
        """It is managed no more; its record loses the EAS ids."""
        device = self.devices[number]
        device.enrollment_status, device.eas_ids = "Unenrolled", []
        self._tell(device, "Break MDM Confirmed")

    def reassign(self, number: int, address: str) -> None:
        """It belongs to somebody else now."""
        device = self.devices[number]
        device.address = address
        self._tell(device, "Device Attribute Changed")

    def give_eas_id(self, number: int, *eas_ids: str) -> None:
        """Its EAS ids are these now; of that Workspace ONE sends no event."""
        self.devices[number].eas_ids = list(eas_ids)

    def see(self, number: int) -> None:
        """It reported in; no event."""
        self.devices[number].seen = self._now()

    def delete(self, number: int) -> None:
        """Its record is gone."""
        device = self.devices.pop(number)
        self._tell(device, "DeleteDeviceRequested")

    def _checked(self, number: int, status: str) -> None:
        device = self.devices[number]
        device.compliance_status, device.seen = status, self._now()
        self._tell(device, "Compliance Status Changed")

    def _tell(self, device: TwinDevice, kind: str) -> None:
        self.events.add(device.event(kind, self._now(), self._event_version))

    # -- moods

    def fail(self, mood: Mood, times: int | None = None) -> None:
        """Answer like that the next `times`, or until `recover`."""
        if times is None:
            self._mood = mood
        else:
            self._moods.extend([mood] * times)

    def recover(self) -> None:
        """Answer as it should."""
        self._mood = None
        self._moods.clear()

    def revoke_tokens(self) -> None:
        """No token that was given is good any more."""
        self._tokens.clear()

    # -- the server

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes a free one, which `url` tells."""
        loop = asyncio.get_running_loop()
        self._scheme = "http" if tls is None else "https"
        self._server = await loop.create_server(
            lambda: HttpConnection(self._answer, self._connections), host, port, ssl=tls
        )

    @property
    def url(self) -> str:
        """The base URL, without path."""
        assert self._server is not None, "the twin is not started"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{self._scheme}://{host}:{port}"

    @property
    def token_url(self) -> str:
        """Of the token endpoint."""
        return f"{self.url}/connect/token"

    async def close(self) -> None:
        """Stop listening, end all connections, give up events that are being sent."""
        await self.events.close()
        if self._server is None:
            return
        await stop_serving(self._server, self._connections)
        self._server = None

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        query = {name: values[0] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        mood = self._moods.popleft() if self._moods else self._mood
        if mood is not None:
            answer = await self._moody(mood)
        elif request.path == "/connect/token":
            answer = self._token(request)
        elif not self._knows(request):
            answer = _error(401, 1005, "Invalid user credentials.")
        elif request.headers.get("aw-tenant-code") != self.login.tenant_code:
            answer = _error(403, 1013, "Invalid API key.")
        else:
            answer = self._counted() or self._api(request, query)
        self.asked.append(Asked(unquote(request.path), query, request.headers.get("accept", ""), answer.status))
        return self._with_quota(answer)

    async def _moody(self, mood: Mood) -> HttpAnswer:
        if mood is Mood.DROPS:
            for connection in list(self._connections):
                connection.close()
        if mood in (Mood.DROPS, Mood.HANGS):
            await asyncio.sleep(3600)
        page = b"<html><body>Service Unavailable</body></html>"
        reset = (
            ("X-RateLimit-Limit", "1000"),
            ("X-RateLimit-Remaining", "0"),
            ("X-RateLimit-Reset", str(int(time.time()) + 2)),
        )
        return {
            Mood.PAGE_503: HttpAnswer(503, (("Content-Type", "text/html"),), page),
            Mood.PAGE_404: HttpAnswer(404, (("Content-Type", "text/html"),), page),
            Mood.ERROR_500: HttpAnswer(500, (("Content-Type", "text/plain"),), b"Object reference not set"),
            Mood.PAGE_200: HttpAnswer(200, (("Content-Type", "text/html"),), page),
            Mood.EMPTY: HttpAnswer(200),
            Mood.TOO_MANY: HttpAnswer(429, reset, b'{"errorCode": 1014, "message": "Rate limit exceeded"}'),
            Mood.TOO_MANY_BARE: HttpAnswer(429, (), b"slow down"),
            Mood.LOGIN: _error(401, 1005, "Invalid user credentials."),
        }.get(mood, HttpAnswer(500))

    def _token(self, request: HttpRequest) -> HttpAnswer:
        form = {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        given = f"{form.get('client_id')}:{form.get('client_secret')}"
        known = f"{self.login.client_id}:{self.login.client_secret}"
        if form.get("grant_type") != "client_credentials" or not hmac.compare_digest(given.encode(), known.encode()):
            return _json(400, {"error": "invalid_client"})
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.monotonic() + self.token_seconds
        self.tokens_given += 1
        lifetime = str(int(self.token_seconds))  # a string, as some versions send it
        return _json(200, {"access_token": token, "expires_in": lifetime, "token_type": "Bearer"})

    def _knows(self, request: HttpRequest) -> bool:
        header = request.headers.get("authorization", "")
        scheme, _, rest = header.partition(" ")
        if scheme == "Bearer":
            return self._tokens.get(rest, 0.0) > time.monotonic()
        given = basic_auth.parse(header.encode("latin-1"))
        if given is None or given.login != self.login.user:
            return False
        return hmac.compare_digest(given.password.encode(), self.login.password.encode())

    def _counted(self) -> HttpAnswer | None:
        if self.quota is None:
            return None
        most, seconds = self.quota
        began, used = self._window
        if time.time() >= began + seconds:
            began, used = time.time(), 0
        self._window = (began, used + 1)
        return _error(429, 1014, "Rate limit exceeded") if used >= most else None

    def _with_quota(self, answer: HttpAnswer) -> HttpAnswer:
        if self.quota is None:
            return answer
        most, seconds = self.quota
        began, used = self._window
        told = {"Limit": most, "Remaining": max(most - used, 0), "Reset": int(began + seconds) + 1}
        headers = tuple((f"X-RateLimit-{name}", str(value)) for name, value in told.items())
        return HttpAnswer(answer.status, answer.headers + headers, answer.body)

    def _api(self, request: HttpRequest, query: Mapping[str, str]) -> HttpAnswer:
        path = unquote(request.path)
        if request.method != "GET" or not path.startswith(_DEVICES):
            return _error(404, 404, "No such resource.")
        rest = path.removeprefix(_DEVICES).strip("/")
        if rest == "search":
            return self._search(query)
        if rest == "":
            found = self._searched(query.get("searchby", ""), query.get("id", ""))
        elif rest.isascii() and rest.isdigit():
            found = self.devices.get(int(rest))
        elif "version=4" in request.headers.get("accept", ""):
            found = next((one for one in self.devices.values() if one.uuid == rest.lower()), None)
        else:
            return _error(400, 400, "Invalid Device ID")
        return _error(404, 404, "Device not found.") if found is None else _json(200, found.record())

    def _searched(self, kind: str, value: str) -> TwinDevice | None:
        for one in self.devices.values():
            of = {
                "easid": one.eas_ids,
                "serialnumber": [one.serial],
                "imeinumber": [one.imei],
                "deviceid": [str(one.number)],
            }.get(kind.lower(), [])
            if value and value.lower() in [has.lower() for has in of]:
                return one
        return None

    def _search(self, query: Mapping[str, str]) -> HttpAnswer:
        size = min(int(query.get("pagesize", _MOST_ROWS)), _MOST_ROWS)
        page = int(query.get("page", 0))
        if self.before_page is not None:
            self.before_page(page)
        group = query.get("lgid")
        chosen = [one for one in self.devices.values() if group is None or str(one.group_id) == group]
        chosen.sort(key=lambda one: one.number, reverse=query.get("sortorder", "DESC").upper() == "DESC")
        rows = [one.row() for one in chosen[page * size : (page + 1) * size]]
        return _json(200, {"Devices": rows, "Page": page, "PageSize": size, "Total": len(chosen)})


def _json(status: int, document: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(status, (("Content-Type", "application/json; charset=utf-8"),), json.dumps(document).encode())


def _error(status: int, code: int, message: str) -> HttpAnswer:
    return _json(status, {"errorCode": code, "message": message, "activityId": secrets.token_hex(8)})

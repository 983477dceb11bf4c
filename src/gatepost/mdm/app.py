"""Where MDMs tell of changes: POST /mdm/{source}, and GET for the connection test in their consoles.

A notification is proved, bounded, read as far as its device's key, stored, and only then answered; nothing else is done
while its sender waits. What it says besides the key plays no part. A body is kept in memory only when the headers could
belong to one of the source's credentials.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog
from prometheus_client import Counter, Histogram
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gatepost.mdm.sources.base import BadNotification
from gatepost.model import Notification
from gatepost.store.errors import StoreError
from gatepost.wire.webhook import BasicCredential, Incoming, may_prove, prove

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from prometheus_client import CollectorRegistry
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gatepost.mdm.inbox import Inbox
    from gatepost.wire.webhook import Credential, Proof

MAX_BODY_BYTES = 256 * 1024
MAX_DROPPED_BYTES = 16 * MAX_BODY_BYTES
MAX_HELD_BYTES = 64 * 1024 * 1024
"""Bytes of all bodies that are in memory at a time; more is answered 503."""
BODY_SECONDS = 10.0
RETRY_AFTER_SECONDS = 10
_QUIET_SECONDS = 60.0
_PATH = "/mdm/"

_log = structlog.get_logger("gatepost.mdm")


class NotificationReader(Protocol):
    """What of a source is needed here."""

    def device_key_of(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """The device that a notification is about, None for none. Raises BadNotification."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A source that sends notifications, and the credentials that prove them; without any it sends none."""

    source: NotificationReader
    credentials: Sequence[Credential]


class _Refused(Exception):  # noqa: N818 - it is what the request was
    """A request that is not taken: `result` for metrics and log, the rest for its sender."""

    def __init__(self, status: int, result: str, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.result = result
        self.headers = headers or {}


@dataclass(slots=True)
class _Body:
    """A body as it is read: `data` stays empty when it is not kept."""

    data: bytearray = field(default_factory=bytearray)
    size: int = 0


def create_app(
    receivers: Mapping[str, Receiver],
    inbox: Inbox,
    *,
    now: Callable[[], datetime],
    registry: CollectorRegistry,
    routes: Sequence[BaseRoute] = (),
    missed: Callable[[str], None] = lambda _: None,
    body_seconds: float = BODY_SECONDS,
) -> ASGIApp:
    """The webhooks of `receivers`, by source name, and `routes` beside them.

    `missed` is told of a source whose notification proved itself and could not be stored: few send it again.
    """
    endpoint = _Endpoint(receivers, inbox, now, registry, missed=missed, body_seconds=body_seconds)
    everything = Starlette(routes=[Route(f"{_PATH}{{source}}", endpoint.answer, methods=["GET", "POST"]), *routes])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Notifications without the detour through middleware and routing, which would be a fifth of what they cost."""
        name = scope.get("path", "").removeprefix(_PATH)
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == _PATH + name and "/" not in name:
            response = await endpoint.answer(Request({**scope, "path_params": {"source": name}}, receive))
            await response(scope, receive, send)
        else:
            await everything(scope, receive, send)

    return app


class _Endpoint:
    """/mdm/{source}."""

    def __init__(
        self,
        receivers: Mapping[str, Receiver],
        inbox: Inbox,
        now: Callable[[], datetime],
        registry: CollectorRegistry,
        *,
        missed: Callable[[str], None],
        body_seconds: float,
    ) -> None:
        self._receivers = {name: one for name, one in receivers.items() if one.credentials}
        # Whoever asks for a source that there is not is served as slowly as anybody else.
        self._nobody = Receiver(_Nothing(), (BasicCredential(secrets.token_hex(), secrets.token_hex()),))
        self._inbox = inbox
        self._now = now
        self._missed = missed
        self._body_seconds = body_seconds
        self._held = 0
        self._refusals = _Refusals()
        self._results = Counter(
            "gatepost_mdm_notifications",
            "Requests of MDMs, by source and by what became of them; the source is empty where there is none of that name.",
            ["source", "result"],
            registry=registry,
        )
        self._seconds = Histogram(
            "gatepost_mdm_ingest_seconds",
            "Time to answer a request of an MDM, its body's arrival included.",
            ["source"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        for name in self._receivers:
            for result in ("stored", "repeated", "test", "unauthorized"):
                self._results.labels(name, result)

    async def answer(self, request: Request) -> Response:
        started = time.perf_counter()
        asked = request.path_params["source"]
        receiver = self._receivers.get(asked, self._nobody)
        name = asked if receiver is not self._nobody else ""
        response: Response
        try:
            result = await self._take(request, name, receiver)
            response = PlainTextResponse("ok\n")
        except _Refused as refused:
            result = refused.result
            response = PlainTextResponse(f"{refused}\n", refused.status, dict(refused.headers))
            self._refusals.note(name, result, str(refused))
        except ClientDisconnect:
            result, response = "disconnected", Response(status_code=400)
        except Exception:  # noqa: BLE001 - a mistake of ours is one answer, and one traceback in the log
            _log.exception("notification.failed", source=name or None)
            result, response = "failed", PlainTextResponse("internal error\n", 500)
        self._results.labels(name, result).inc()
        self._seconds.labels(name).observe(time.perf_counter() - started)
        return response

    async def _take(self, request: Request, name: str, receiver: Receiver) -> str:
        incoming = Incoming([(key.lower(), value) for key, value in request.headers.raw], self._now())
        body = _Body()
        try:
            await self._read(request, body, keep=may_prove(receiver.credentials, incoming))
            raw = bytes(body.data)
            proof = prove(receiver.credentials, incoming, raw)
            if receiver is self._nobody:
                raise _Refused(404, "unknown-source", "there is no such source here, or it sends no notifications")
            if proof is None:
                challenge = {"www-authenticate": 'Basic realm="gatepost", charset="UTF-8"'}
                raise _Refused(401, "unauthorized", "credentials are missing or wrong", challenge)
            if request.method != "POST":
                return "test"
            return await self._store(name, receiver, incoming, raw, proof)
        finally:
            self._held -= len(body.data)

    async def _read(self, request: Request, body: _Body, *, keep: bool) -> None:
        """Read all of it. Raises _Refused when it is too much or too slow."""
        try:
            async with asyncio.timeout(self._body_seconds):
                async for chunk in request.stream():
                    body.size += len(chunk)
                    # What is too large is dropped as it comes, so that the sender gets our answer and not a broken pipe.
                    if body.size > MAX_DROPPED_BYTES:
                        break
                    if keep and body.size <= MAX_BODY_BYTES:
                        if self._held + len(chunk) > MAX_HELD_BYTES:
                            raise _unavailable("busy", "too many notifications at once")
                        self._held += len(chunk)
                        body.data += chunk
        except TimeoutError as error:
            raise _Refused(408, "too-slow", f"the body took more than {self._body_seconds:g} seconds") from error
        if body.size > MAX_BODY_BYTES:
            raise _Refused(413, "too-large", f"a notification has at most {MAX_BODY_BYTES} bytes")

    async def _store(self, name: str, receiver: Receiver, incoming: Incoming, body: bytes, proof: Proof) -> str:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in incoming.headers}
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _Refused(415, "unsupported", "the body is compressed: send it as it is")
        try:
            device_key = receiver.source.device_key_of(body, headers)
        except BadNotification as bad:
            result = "unsupported" if bad.status == 415 else "unreadable"
            raise _Refused(bad.status, result, str(bad)) from bad
        notification_id = proof.notification_id or f"sha256:{hashlib.sha256(body).hexdigest()}"
        try:
            new = await self._inbox.add(Notification(name, notification_id, device_key, body, incoming.now))
        except StoreError as error:
            _log.warning("notification.not_stored", source=name, error=str(error))
            self._missed(name)
            raise _unavailable("unavailable", "the notification could not be stored: send it again") from error
        if device_key is None:
            return "no-device"
        return "stored" if new else "repeated"


class _Nothing:
    """The source that there is not."""

    def device_key_of(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """None."""


class _Refusals:
    """Log lines about requests that were not taken: of each kind one a minute, with how many there were meanwhile."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, source: str, result: str, reason: str) -> None:
        """Kinds are as many as sources and results: they have an end."""
        since, unwritten = self._kinds.get((source, result), (float("-inf"), 0))
        now = time.monotonic()
        if now - since < _QUIET_SECONDS:
            self._kinds[source, result] = since, unwritten + 1
            return
        self._kinds[source, result] = now, 0
        _log.warning("notification.refused", source=source or None, result=result, reason=reason, before=unwritten)


def _unavailable(result: str, reason: str) -> _Refused:
    return _Refused(503, result, reason, {"retry-after": str(RETRY_AFTER_SECONDS)})

"""The control API as an ASGI application: read, authenticate, dispatch, render.

One request takes this way: its body is read (bounded in bytes and in time), then a thread checks the signature, the rate and
the role, checks the parameters and runs the operation; an exception from any of these steps becomes an AWS error in `render`, nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from prometheus_client import Counter, Histogram
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gatepost.control import health
from gatepost.control.authenticate import SignedRequest, claim, key_named, verify
from gatepost.control.dispatch import operation_named, run
from gatepost.control.failures import THROTTLING, RequestError, too_large, too_slow
from gatepost.control.refusals import RefusalLog
from gatepost.control.render import failed, failure_of, result
from gatepost.control.roles import authorize
from gatepost.control.throttle import Throttle
from gatepost.wire.aws_json import decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from gatepost.model import AccessKey
    from gatepost.operations.context import Context

# The largest request of the API, a rule with 2 048 address ranges, has less than 100 KiB.
MAX_BODY_BYTES = 1024 * 1024
MAX_DROPPED_BYTES = 16 * MAX_BODY_BYTES
STRANGERS_BYTES = 16 * 1024  # more of a body is kept only of those who name a key that there is
BODY_SECONDS = 20.0

_log = structlog.get_logger("gatepost.control")


@dataclass(slots=True)
class _Progress:
    """What is known of a request so far, for log and metrics."""

    operation: str = "unknown"
    access_key_id: str | None = None  # as the request says; true once there is a key
    key: AccessKey | None = None


def create_app(
    *,
    context_for: Callable[[AccessKey], Context],
    key_of: Callable[[str], tuple[AccessKey, str] | None],
    now: Callable[[], datetime],
    registry: CollectorRegistry,
    probes: Mapping[str, Callable[[], health.Probe]],
    throttle: Throttle | None = None,
    followed: Callable[[], Awaitable[object]] | None = None,
    body_seconds: float = BODY_SECONDS,
) -> Starlette:
    """The control API and the health endpoints.

    `context_for(access key)` makes the context in which that caller's operations run; `key_of(access key id)` is a valid key
    and its secret, or None; both may block, they are called in threads. `probes` are what /readyz asks. Without a `throttle`
    nobody is slowed down. An operation is answered when `followed` returns: where a gateway runs in this process, it goes by the change already.
    """
    endpoint = _Endpoint(
        context_for=context_for,
        key_of=key_of,
        now=now,
        registry=registry,
        throttle=throttle or Throttle(0, 1, time.monotonic),
        followed=followed,
        body_seconds=body_seconds,
    )
    return Starlette(routes=[Route("/", endpoint.answer, methods=["POST"]), *health.routes(registry, probes)])


def create_health_app(registry: CollectorRegistry, probes: Mapping[str, Callable[[], health.Probe]]) -> Starlette:
    """The health endpoints alone, for a process without a control API."""
    return Starlette(routes=list(health.routes(registry, probes)))


class _Endpoint:
    """POST /."""

    def __init__(
        self,
        *,
        context_for: Callable[[AccessKey], Context],
        key_of: Callable[[str], tuple[AccessKey, str] | None],
        now: Callable[[], datetime],
        registry: CollectorRegistry,
        throttle: Throttle,
        followed: Callable[[], Awaitable[object]] | None,
        body_seconds: float,
    ) -> None:
        self._context_for = context_for
        self._key_of = key_of
        self._now = now
        self._throttle = throttle
        self._refusals = RefusalLog(time.monotonic)
        self._followed = followed
        self._body_seconds = body_seconds
        self._requests = Counter(
            "gatepost_control_requests",
            "Requests to the control API, by operation and by the exception they were answered with.",
            ["operation", "error"],
            registry=registry,
        )
        self._seconds = Histogram(
            "gatepost_control_request_seconds",
            "Time to answer a request to the control API, its body's arrival included.",
            ["operation"],
            registry=registry,
        )

    async def answer(self, request: Request) -> Response:
        started, request_id, progress = time.perf_counter(), str(uuid4()), _Progress()
        error = ""
        try:
            body = await self._read(request)
            response = result(request_id, await run_in_threadpool(self._act, _signed(request, body), progress))
            if self._followed is not None:
                await self._followed()
        except ClientDisconnect:
            error, response = "ClientDisconnect", Response(status_code=400)
        except Exception as exception:  # noqa: BLE001 -- whatever it is, the client gets an AWS error and the log the rest
            failure = failure_of(exception)
            error, response = failure.name, failed(request_id, failure)
            if failure.status == 500:
                _log.exception("operation failed", operation=progress.operation, request_id=request_id)
        seconds = time.perf_counter() - started
        self._requests.labels(progress.operation, error).inc()
        self._seconds.labels(progress.operation).observe(seconds)
        self._write_down(progress, error, request_id=request_id, seconds=round(seconds, 4))
        return response

    def _write_down(self, progress: _Progress, error: str, **facts: Any) -> None:
        """A line for each request of a key; of those that are refused before, a sample."""
        if progress.key is None or error == THROTTLING:
            self._refusals.note(progress.access_key_id, error, **facts)
            return
        self._refusals.settle()
        _log.info(
            "operation",
            operation=progress.operation,
            access_key_id=progress.access_key_id,
            role=progress.key.role,
            error=error or None,
            **facts,
        )

    async def _read(self, request: Request) -> bytes:
        """The whole body. Raises `RequestError` when it is too large or too slow, or a long one of nobody's."""
        body, size = bytearray(), 0
        looked, nobody = False, None
        try:
            async with asyncio.timeout(self._body_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > STRANGERS_BYTES and not looked:
                        looked, nobody = True, await run_in_threadpool(self._nobody, _signed(request, b""))
                        body = bytearray() if nobody else body
                    # A client sends first and reads afterwards: what is too large is dropped as it comes, so that the
                    # client gets our answer and not a broken pipe.
                    if size <= MAX_BODY_BYTES:
                        body += b"" if nobody else chunk
                    elif size > MAX_DROPPED_BYTES:
                        break
        except TimeoutError as error:
            raise too_slow(self._body_seconds) from error
        if size > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        if nobody is not None:
            raise nobody
        return bytes(body)

    def _nobody(self, request: SignedRequest) -> RequestError | None:
        """How a request is refused whose head names no key; None where it names one, whose signature is still to be seen."""
        try:
            key_named(claim(request), request, self._key_of)
        except RequestError as refused:
            return refused
        return None

    def _act(self, request: SignedRequest, progress: _Progress) -> dict[str, Any]:
        claimed = claim(request)
        progress.access_key_id = claimed.access_key_id
        key = progress.key = verify(claimed, request, self._key_of, self._now())
        self._throttle.admit(key.access_key_id)
        progress.operation = operation_named(request.header("x-amz-target"))
        authorize(key, progress.operation)
        return run(self._context_for(key), progress.operation, decode(request.body))


def _signed(request: Request, body: bytes) -> SignedRequest:
    headers = tuple((name.lower(), value) for name, value in request.headers.raw)
    return SignedRequest(request.method, request.scope["raw_path"], request.scope["query_string"], headers, body)

"""The composition root: builds the parts that a role needs, runs them on one event loop, stops them in good order.

Both faces listen on sockets that are bound here, so that a taken port is one clear sentence, and so that uvicorn, which
serves the API, neither handles signals nor ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import ssl
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvloop

from gatepost.control.app import create_app, create_health_app
from gatepost.control.health import bridge_probe, replica_probe, routes, store_probe
from gatepost.control.throttle import Throttle
from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.limits import Limits
from gatepost.gateway.server import Gateway
from gatepost.mdm.face import Face
from gatepost.operations import access_keys, mobile_device_access_overrides, users
from gatepost.operations.context import Context
from gatepost.settings import Address, Settings, SettingsError, bridge_configuration
from gatepost.store import feed
from gatepost.store.database import Store, StoreError
from gatepost.telemetry import new_registry
from gatepost.web.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from starlette.applications import Starlette

    from gatepost.control.health import Probe
    from gatepost.model import keys

log = structlog.get_logger("gatepost.serve")

_COMPACT_SECONDS = 600.0
_EXPIRE_SECONDS = 1.0
_FOLLOW_SECONDS = 1.0  # it takes a millisecond or two; whatever keeps the gateway must not keep the administrator
_OTHER_FILES = 200  # the store's, the API's, the proofs', the logs'
# A thread at the store gives the interpreter's lock away with each statement; the usual 5 ms until it has it back, while
# the event loop is busy, would be most of what a transaction takes.
_SWITCH_SECONDS = 0.0005
_KEPT = timedelta(days=1)  # a gateway that was away for longer loads everything again


class Role(StrEnum):
    """Which part of Gatepost a process runs."""

    ALL = "all"
    GATEWAY = "gateway"
    CONTROL = "control"
    MDM = "mdm"


class CannotListen(Exception):  # noqa: N818 - reads as what it is
    """An address to listen at is taken, or not this machine's."""


class Server:
    """One process of Gatepost.

    Use: `open()` (blocks, before the loop), `await start()`, `await stop()`, `close()`. `sealing_key` may be None for the
    roles GATEWAY and MDM. The role ALL runs the bridge where a source is configured.
    """

    def __init__(self, settings: Settings, role: Role, sealing_key: bytes | None) -> None:
        if role in (Role.ALL, Role.GATEWAY) and settings.gateway.upstream is None:
            raise SettingsError(["gateway.upstream: expected the mail server's URL, got nothing"])
        if role is Role.MDM and not settings.mdm.sources:
            raise SettingsError(["mdm.sources: expected at least one table [[mdm.sources]], got nothing"])
        self.settings = settings
        self.role = role
        self._sealing_key = sealing_key
        self._store: Store | None = None
        self._gateway: Gateway | None = None
        self._mdm: Face | None = None
        self._control: HttpServer | None = None
        self._webhooks: HttpServer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def gateway_address(self) -> Address | None:
        """Where phones arrive; None without a gateway."""
        return None if self._gateway is None else Address(*self._gateway.address)

    @property
    def control_address(self) -> Address:
        """Where the API, or only health and metrics, are served; not with the role MDM."""
        assert self._control is not None
        return Address(*self._control.address)

    @property
    def mdm_address(self) -> Address | None:
        """Where notifications of MDMs, health and metrics are served; None without a bridge."""
        return None if self._webhooks is None else Address(*self._webhooks.address)

    @property
    def mail_domains(self) -> frozenset[str]:
        """The mail domains of all organizations, as this process's gateway knows them."""
        return frozenset() if self._gateway is None else frozenset(self._gateway.replica.domains)

    def open(self) -> None:
        """Open the store and load the rules. Raises StoreError."""
        self._store = Store.open(self.settings.store.url)
        if self.role is Role.MDM or (self.role is Role.ALL and self.settings.mdm.sources):
            self._mdm = Face(bridge_configuration(self.settings.mdm), self._store)
        if self.role in (Role.ALL, Role.GATEWAY):
            enroll = partial(_enroll, self._context("gatepost"))
            self._gateway = Gateway(_gateway_configuration(self.settings), self._store, enroll)
            self._gateway.load()

    async def start(self) -> None:
        """Listen. Raises CannotListen, then nothing is left running."""
        assert self._store is not None
        try:
            self._bind(self._store)
            if self._gateway is not None:
                with _listening("gateway.listen", self.settings.gateway.listen):
                    await self._gateway.start()
        except CannotListen:
            for server in self._servers:
                server.close()
            raise
        for server in self._servers:
            await server.start()
        if self._mdm is not None:
            await self._mdm.start()
        if self.role is not Role.GATEWAY:
            self._tasks = [
                asyncio.create_task(_compact(self._store)),
                asyncio.create_task(_expire(self._context("gatepost"))),
            ]
        log.info(
            "ready",
            role=self.role.value,
            gateway=str(self.gateway_address) if self._gateway else None,
            control=str(self.control_address) if self._control else None,
            mdm=str(self.mdm_address) if self._webhooks else None,
            store=self._store.url,
        )

    async def stop(self) -> None:
        """Take nothing new, end what is in flight, write down what was seen."""
        log.info("stopping")
        for task in self._tasks:
            task.cancel()
        if self._gateway is not None:
            await self._gateway.stop()
        for server in self._servers:
            await server.stop()
        if self._mdm is not None:
            await self._mdm.stop()

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    @property
    def _servers(self) -> tuple[HttpServer, ...]:
        return tuple(server for server in (self._control, self._webhooks) if server is not None)

    def _bind(self, store: Store) -> None:
        registry, probes = self._observed(store)
        if self.role is not Role.MDM:
            listener = _bind("control.listen", self.settings.control.listen)
            self._control = HttpServer(listener, self._app(registry, probes))
        if self._mdm is not None:
            listener = _bind("mdm.listen", self.settings.mdm.listen)
            self._webhooks = HttpServer(listener, self._mdm.app(registry, routes(registry, probes)))

    def _app(self, registry: CollectorRegistry, probes: Mapping[str, Callable[[], Probe]]) -> Starlette:
        if self.role is Role.GATEWAY:
            return create_health_app(registry, probes)
        assert self._sealing_key is not None
        control = self.settings.control
        return create_app(
            context_for=lambda key: self._context(key.access_key_id, key.role),
            key_of=partial(access_keys.valid, self._context("gatepost"), self._sealing_key),
            now=_now,
            registry=registry,
            probes=probes,
            throttle=Throttle(control.requests_per_second, control.burst, time.monotonic),
            followed=self._followed if self._gateway is not None else None,
        )

    async def _followed(self) -> None:
        """An administrator who was answered finds the gateway of this process going by the change."""
        assert self._store is not None
        assert self._gateway is not None
        await self._gateway.replica.reach(self._store.last_revision, _FOLLOW_SECONDS)

    def _observed(self, store: Store) -> tuple[CollectorRegistry, Mapping[str, Callable[[], Probe]]]:
        registry = new_registry(*(part.metrics for part in (self._gateway, self._mdm) if part is not None))
        probes = {"store": store_probe(store)}
        if self._gateway is not None:
            replica = self._gateway.replica
            limit = self.settings.gateway.max_replica_age
            probes["replica"] = replica_probe(lambda: replica.revision, lambda: replica.age, limit)
        if self._mdm is not None:
            watched = self._mdm.watched
            probes["bridge"] = bridge_probe(lambda: watched.seconds, lambda: watched.facts, lambda: watched.trouble)
        if self.role is Role.GATEWAY:
            del probes["store"]  # a gateway goes on without it: its absence is no reason to take it out
        return registry, probes

    def _context(self, caller: str, role: keys.Role | None = None) -> Context:
        assert self._store is not None
        return Context(self._store, _now, caller, role, self.settings.mdm.bridge_deny_wins)


def run(server: Server) -> None:
    """Serve until SIGTERM or SIGINT. Raises StoreError, CannotListen."""
    server.open()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        uvloop.run(_serve(server))
    finally:
        server.close()


def stop_signal() -> asyncio.Event:
    """An event that the next SIGTERM or SIGINT sets; a second one ends the process the ordinary way."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def told() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, told)
    return stop


async def _serve(server: Server) -> None:
    stop = stop_signal()
    await server.start()
    try:
        await stop.wait()
    finally:
        await server.stop()


def _now() -> datetime:
    return datetime.now(UTC)


def _enroll(context: Context, organization_id: str, address: str) -> str:
    return users.enroll(context, organization_id, address).user_id


def _gateway_configuration(settings: Settings) -> GatewayConfiguration:
    gateway = settings.gateway
    assert gateway.upstream is not None
    upstream = upstream_address(gateway.upstream)
    tls = upstream.tls or bool(gateway.redirect_hosts)
    return GatewayConfiguration(
        host=gateway.listen.host,
        port=gateway.listen.port,
        upstream=upstream,
        trusted_proxies=gateway.trusted_proxies,
        max_replica_age=gateway.max_replica_age,
        organization_id=gateway.organization_id,
        ssl_context=ssl.create_default_context(cafile=gateway.upstream_ca_file) if tls else None,
        proxy_protocol=gateway.proxy_protocol,
        public_url=gateway.public_url,
        autodiscover=gateway.autodiscover,
        redirect_hosts=gateway.redirect_hosts,
        protocol_versions=gateway.protocol_versions,
        refused_commands=gateway.refused_commands,
        bridge_deny_wins=settings.mdm.bridge_deny_wins,
        limits=_fitting(Limits(**settings.limits.model_dump())),
    )


def _fitting(limits: Limits) -> Limits:
    """The limits that the system's number of open files allows; raises that as far as it may.

    Each parked phone takes two: one connection to it, one to the mail server.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * limits.connections + _OTHER_FILES
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    if files == wanted:
        return limits
    connections = max(16, (files - _OTHER_FILES) // 2)
    log.warning("limits.few_files", setting="limits.connections", wanted=limits.connections, possible=connections)
    return replace(limits, connections=connections)


@contextlib.contextmanager
def _listening(key: str, address: Address) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
        raise CannotListen(f"{key}: cannot listen at {address}: {reason}") from error


def _bind(key: str, address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with _listening(key, address):
        return socket.create_server((address.host, address.port), family=family, backlog=1024)


async def _expire(context: Context) -> None:
    """Take back overrides whose time is up; gateways go without them already."""
    while True:
        await asyncio.sleep(_EXPIRE_SECONDS)
        try:
            while await asyncio.to_thread(mobile_device_access_overrides.expire, context):
                pass
        except Exception as error:  # noqa: BLE001 - the store is away: they stay due
            log.warning("overrides.not_expired", error=str(error))


async def _compact(store: Store) -> None:
    """Keep the feed short; gateways that are further behind load everything again."""
    while True:
        await asyncio.sleep(_COMPACT_SECONDS)
        try:
            await asyncio.to_thread(_compact_once, store)
        except StoreError as error:
            log.warning("feed.not_compacted", error=str(error))


def _compact_once(store: Store) -> None:
    old = feed.revision_before(store, _now() - _KEPT)
    if old:
        feed.compact(store, old)

"""A whole gateway: wires its parts, listens, follows the rules, writes down what it saw, and stops in good order."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from gatepost.gateway.budgets import FailedLogins
from gatepost.gateway.client import Clients
from gatepost.gateway.connections import Connections
from gatepost.gateway.credentials import Proofs
from gatepost.gateway.decisions import Decider
from gatepost.gateway.devices import Devices
from gatepost.gateway.downstream import Downstream
from gatepost.gateway.downstreams import Downstreams
from gatepost.gateway.forwarding import Forwarding
from gatepost.gateway.heads import Heads
from gatepost.gateway.identify import Identifier
from gatepost.gateway.metrics import GatewayMetrics
from gatepost.gateway.notices import Notices
from gatepost.gateway.outbox import Outbox
from gatepost.gateway.preamble import Preamble
from gatepost.gateway.proofs import Prober
from gatepost.gateway.redirects import Redirects
from gatepost.gateway.replica import Replica
from gatepost.gateway.upstream import Upstream
from gatepost.gateway.workings import Clock, Workings
from gatepost.model import Device, Kind, User, enrolled_user_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gatepost.gateway.configuration import GatewayConfiguration
    from gatepost.gateway.exchange import Exchange
    from gatepost.model import Change
    from gatepost.store.database import Store

_OF_ONE_USER = frozenset({Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, Kind.USER, Kind.DEVICE})
_OF_AN_ORGANIZATION = frozenset(
    {Kind.ORGANIZATION, Kind.MOBILE_DEVICE_ACCESS_RULE, Kind.ACCESS_CONTROL_RULE, Kind.GROUP}
)
_OF_LOGINS = frozenset({Kind.USER, Kind.ORGANIZATION, Kind.GROUP})

log = structlog.get_logger(__name__)

_FLUSH_SECONDS = 1.0  # how much a crash may forget of what devices reported; they would be asked again
_SWEEP_SECONDS = 1.0
_DRAIN_SECONDS = 5.0
_BACKLOG = 4096  # a proxy that restarts brings all its phones back at once
_AT_A_TIME = 500  # exchanges looked at again between two turns of the event loop


class Gateway:
    """One gateway process's data plane.

    `enroll(organization_id, address)` takes a user up in an open directory and returns the user id; it is called in a
    thread. Use: `load()` (blocks, before the loop), `await start()`, `await stop()`.
    """

    def __init__(self, configuration: GatewayConfiguration, store: Store, enroll: Callable[[str, str], str]) -> None:
        self.replica = Replica(store, self._changed, bridge_deny_wins=configuration.bridge_deny_wins)
        self.metrics = GatewayMetrics()
        self.devices = Devices(store, enroll)
        self._configuration = configuration
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._was_too_old = False
        self._outbox = outbox = Outbox()
        limits, clock = configuration.limits, Clock()
        upstream = Upstream(configuration, outbox)
        redirects = Redirects(configuration, upstream, outbox)
        proofs = Proofs(limits.failed_login_seconds)
        self._workings = Workings(
            configuration=configuration,
            replica=self.replica,
            identifier=Identifier(self.replica, configuration.organization_id),
            decider=Decider(self.replica, configuration.max_replica_age),
            devices=self.devices,
            connections=Connections(limits.requests_per_user, limits.requests_per_device),
            outbox=outbox,
            upstream=upstream,
            redirects=redirects,
            proofs=proofs,
            prober=Prober(redirects, proofs),
            failed_logins=FailedLogins(limits.failed_logins, limits.failed_login_seconds, time.monotonic),
            notices=Notices(),
            clients=Clients(configuration.trusted_proxies, self.metrics.forwarding_headers_ignored),
            forwarding=Forwarding(
                configuration.upstream, configuration.protocol_versions, configuration.refused_commands
            ),
            heads=Heads(time.monotonic()),
            metrics=self.metrics,
            clock=clock,
            downstreams=Downstreams(limits.connections),
        )
        self._name_gauges()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the port is the real one when 0 was asked for."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def load(self) -> None:
        """Read the rules and the devices; blocks. Without them no phone is let near."""
        self.replica.load()
        self.replica.expire(datetime.now(UTC))
        self.devices.load(self.replica.devices)
        self.replica.devices = ()

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._outbox.open(loop)
        made = Preamble if self._configuration.proxy_protocol else Downstream
        self._server = await loop.create_server(
            lambda: made(self._workings), self._configuration.host, self._configuration.port, backlog=_BACKLOG
        )
        self.replica.start(loop)
        self._tasks = [loop.create_task(self._sweep()), loop.create_task(self._flush())]

    async def stop(self) -> None:
        """Take no more phones, let answers finish, write what is left to be written."""
        if self._server is not None:
            self._server.close()
        for exchange in self._workings.connections.all():
            exchange.leave()
        for downstream in self._workings.downstreams:
            downstream.drain()
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._workings.downstreams and time.monotonic() < deadline:  # noqa: ASYNC110 - a set that empties has no event
            await asyncio.sleep(0.02)
        left = tuple(self._workings.downstreams)
        if left:
            log.warning("gateway.not_drained", connections=len(left))
        for downstream in left:
            downstream.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._write_devices()
        self._workings.redirects.close()
        await asyncio.get_running_loop().run_in_executor(None, self.replica.stop)

    # -- the rules moved

    def _changed(self, changes: Sequence[Change] | None) -> None:
        workings = self._workings
        if changes is None:
            workings.identifier.forget()
            self.devices.load(self.replica.devices)
            self.replica.devices = ()
            self._reconsider(workings.connections.all())
            return
        for change in changes:
            if isinstance(change.noun, Device):
                self.devices.learn(change.noun)
            elif change.kind is Kind.DEVICE:
                self.devices.forget(*change.key)
        if any(change.kind in _OF_LOGINS for change in changes):
            workings.identifier.forget()
        users, organizations = _concerned(changes)
        affected: dict[int, Exchange] = {}
        for user_id in users:
            affected.update((id(exchange), exchange) for exchange in workings.connections.of_user(user_id))
        for organization_id in organizations:
            affected.update(
                (id(exchange), exchange) for exchange in workings.connections.of_organization(organization_id)
            )
        if affected:
            self._reconsider(affected.values())

    def _reconsider(self, exchanges: Iterable[Exchange]) -> None:
        """Look again at requests in flight, without holding up the others: the rest in the loop's next turns."""
        waiting = list(exchanges)
        now, later = waiting[:_AT_A_TIME], waiting[_AT_A_TIME:]
        for exchange in now:
            try:
                exchange.reconsider()
            except Exception:
                log.exception("gateway.reconsider_failed")  # the others' denials must not wait for this one
        if later:
            asyncio.get_running_loop().call_soon(self._reconsider, later)

    # -- what goes on beside the requests

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                clock, decider = self._workings.clock, self._workings.decider
                clock.tick()
                for downstream in self._workings.downstreams:
                    if downstream.deadline < clock.now:
                        downstream.expire()
                for exchange in self._workings.connections.all():
                    if exchange.lasts_too_long(clock.now):
                        exchange.expire()
                self._workings.redirects.sweep()
                self._workings.heads.sweep(clock.now)
                self._workings.notices.sweep()
                self.replica.expire(datetime.fromtimestamp(clock.wall, UTC))
                decider.look()
                too_old = decider.too_old
                if too_old and not self._was_too_old:
                    log.error("replica.too_old", age=round(self.replica.age, 1))
                    self._reconsider(self._workings.connections.all())
                self._was_too_old = too_old
            except Exception:
                log.exception("gateway.sweep_failed")

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self._write_devices()
            except Exception:
                log.exception("gateway.flush_failed")

    async def _write_devices(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self.devices.take():
            nouns = [state.noun() for state in batch]
            addresses = [state.address for state in batch]
            try:
                dropped = await loop.run_in_executor(None, self.devices.write, batch, nouns, addresses)
            except Exception as error:  # noqa: BLE001 - the store is away: it stays due, and is tried again
                self.devices.again(batch)
                log.warning("devices.not_written", error=str(error), devices=len(batch))
                return
            self.devices.written(batch, dropped)

    def _name_gauges(self) -> None:
        workings = self._workings
        self.metrics.gauges = {
            "gatepost_replica_revision": (
                "Revision of the rules this gateway decides by.",
                lambda: self.replica.revision,
            ),
            "gatepost_replica_age_seconds": (
                "Seconds since the store was last known to hold nothing newer.",
                lambda: min(self.replica.age, 1e9),
            ),
            "gatepost_parked_requests": (
                "Ping and Sync requests waiting at the mail server.",
                lambda: sum(exchange.parked for exchange in workings.connections.all()),
            ),
            "gatepost_requests_in_flight": (
                "Requests at the mail server, or with a long body that is still coming.",
                lambda: len(workings.connections),
            ),
            "gatepost_connections": ("Open connections from phones.", lambda: len(workings.downstreams)),
            "gatepost_upstream_connections": (
                "Open connections to mail servers.",
                lambda: workings.redirects.connections,
            ),
            "gatepost_redirected_logins": (
                "Credentials whose mailbox is on another mail server than the configured one.",
                lambda: len(workings.redirects.known),
            ),
            "gatepost_devices": ("Devices this gateway knows.", lambda: len(self.devices)),
        }


def _concerned(changes: Sequence[Change]) -> tuple[set[str], set[str]]:
    """The users, and the organizations as a whole, whose requests in flight are to be looked at again."""
    users: set[str] = set()
    organizations: set[str] = set()
    for change in changes:
        if change.kind in _OF_ONE_USER:
            users.add(change.key[0])
        elif change.kind in _OF_AN_ORGANIZATION:
            organizations.add(change.organization_id)
        if isinstance(change.noun, User) and change.noun.email is not None:
            # whoever asked under this address before it was in the directory
            users.add(enrolled_user_id(change.organization_id, change.noun.email))
    return users, organizations

"""The parts of one gateway, wired once and passed to its connections."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost.gateway.budgets import FailedLogins
    from gatepost.gateway.client import Clients
    from gatepost.gateway.configuration import GatewayConfiguration
    from gatepost.gateway.connections import Connections
    from gatepost.gateway.credentials import Proofs
    from gatepost.gateway.decisions import Decider
    from gatepost.gateway.devices import Devices
    from gatepost.gateway.downstreams import Downstreams
    from gatepost.gateway.forwarding import Forwarding
    from gatepost.gateway.heads import Heads
    from gatepost.gateway.identify import Identifier
    from gatepost.gateway.metrics import GatewayMetrics
    from gatepost.gateway.notices import Notices
    from gatepost.gateway.outbox import Outbox
    from gatepost.gateway.proofs import Prober
    from gatepost.gateway.redirects import Redirects
    from gatepost.gateway.replica import Replica
    from gatepost.gateway.upstream import Upstream


class Clock:
    """The time as of the last tick, a second ago at most: deadlines and last-seen need no more."""

    __slots__ = ("now", "wall")

    def __init__(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Look at the real clocks; `now` is monotonic, `wall` is Unix time, both in seconds."""
        self.now = time.monotonic()
        self.wall = time.time()


@dataclass(slots=True)
class Workings:
    """Everything an exchange needs."""

    configuration: GatewayConfiguration
    replica: Replica
    identifier: Identifier
    decider: Decider
    devices: Devices
    connections: Connections
    outbox: Outbox
    upstream: Upstream
    redirects: Redirects
    proofs: Proofs
    prober: Prober
    failed_logins: FailedLogins
    notices: Notices
    clients: Clients
    forwarding: Forwarding
    heads: Heads
    metrics: GatewayMetrics
    clock: Clock
    downstreams: Downstreams

"""Metrics: what Prometheus reads, in a registry of its own, so that two gateways in one process do not add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable

# From a decision out of memory to an upstream that takes seconds. A parked Ping is no latency and is not observed.
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The counters, histograms and gauges of one process, and how they are read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._decisions = Counter(
            "gatepost_decisions",
            "Decisions about requests; effect is ALLOW, DENY, or NONE while a device has not said what it is.",
            ("effect", "reason"),
            registry=self.registry,
        )
        self._requests = Counter(
            "gatepost_requests",
            "Requests answered, by face (gateway, control), command or operation, and HTTP status.",
            ("face", "command", "status"),
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "gatepost_request_seconds",
            "From a request's last header to its answer's first byte, by face; parked requests are left out.",
            ("face",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._decision_seconds = Histogram(
            "gatepost_decision_seconds", "Time to decide one request.", buckets=_SECONDS, registry=self.registry
        )
        self._ended = Counter(
            "gatepost_parked_requests_ended",
            "Parked requests ended because their device was denied.",
            registry=self.registry,
        )

    def decided(self, effect: str | None, reason: str, seconds: float | None = None) -> None:
        """Count one decision, and the time it took where that was measured."""
        self._decisions.labels(effect or "NONE", reason).inc()
        if seconds is not None:
            self._decision_seconds.observe(seconds)

    def answered(self, face: str, command: str, status: int, seconds: float | None = None) -> None:
        """Count one answer; `command` comes from a closed list, never from the client's own words."""
        self._requests.labels(face, command, str(status)).inc()
        if seconds is not None:
            self._request_seconds.labels(face).observe(seconds)

    def ended(self) -> None:
        """Count one parked request that was ended."""
        self._ended.inc()

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge `gatepost_<name>` whose value is asked for when the metrics are read."""
        Gauge(f"gatepost_{name}", text, registry=self.registry).set_function(read)

    def watch_replica(self, revision: Callable[[], int], age: Callable[[], float], parked: Callable[[], int]) -> None:
        """Add the gauges of a gateway: its rules' revision and age (seconds), and the requests that are parked."""
        self.gauge("replica_revision", "Revision of the rules that decisions are made by.", revision)
        self.gauge("replica_age_seconds", "Time since the rules were last known to be current.", age)
        self.gauge("parked_requests", "Requests that wait at the mail server for news (Ping, Sync).", parked)

    def render(self) -> tuple[bytes, str]:
        """The exposition text and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

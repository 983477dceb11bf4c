"""Metrics: one registry for each process of Gatepost, and the text that Prometheus reads.

Each face counts for itself and registers a collector; nothing is in prometheus_client's global registry, so that two
gateways in one process (tests, the demo) do not add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from prometheus_client.registry import Collector


def new_registry(*collectors: Collector) -> CollectorRegistry:
    """A registry with what is known of the process itself (memory, CPU, files, garbage) and `collectors`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return registry


def render(registry: CollectorRegistry) -> tuple[bytes, str]:
    """The exposition text and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST

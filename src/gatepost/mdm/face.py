"""The bridge and its webhooks, made from their configuration; what `serve` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.mdm.app import Receiver, create_app
from gatepost.mdm.bridge import Bridge
from gatepost.mdm.inbox import Inbox
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.sources.build import build_source
from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.targets.workmail import WorkMailTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from gatepost.mdm.configuration import BridgeConfiguration
    from gatepost.mdm.metrics import BridgeMetrics
    from gatepost.mdm.observing import Watched
    from gatepost.store.database import Store


class Face:
    """Use: `app(…)` once, `await start()`, `await stop()` when the app is no longer served.

    Raises ValueError, or OSError for a file or for TLS, where a source cannot be made.
    """

    def __init__(self, configuration: BridgeConfiguration, store: Store) -> None:
        self._configuration = configuration
        self._store = store
        self._sources = {one.name: build_source(one) for one in configuration.sources}
        self._bridge = Bridge(
            store, options_of(configuration), tuple(self._sources.values()), targets_of(configuration, store)
        )
        self._inbox = Inbox(store, self._bridge.wake)

    @property
    def metrics(self) -> BridgeMetrics:
        """What the bridge counts, for a registry."""
        return self._bridge.metrics

    @property
    def watched(self) -> Watched:
        """How the bridge was when it last looked at itself."""
        return self._bridge.watched

    def app(self, registry: CollectorRegistry, routes: Sequence[BaseRoute]) -> ASGIApp:
        """The webhooks, with `routes` beside them; they count in `registry`."""
        receivers = {
            one.name: Receiver(self._sources[one.name], one.credentials) for one in self._configuration.sources
        }
        return create_app(
            receivers,
            self._inbox,
            now=self._store.now,
            registry=registry,
            routes=routes,
            missed=self._bridge.missed,
        )

    async def start(self) -> None:
        """Start the bridge."""
        await self._bridge.start()

    async def stop(self) -> None:
        """Store what was taken, then stop the bridge."""
        await self._inbox.close()
        await self._bridge.stop()


def options_of(configuration: BridgeConfiguration) -> BridgeOptions:
    """What of the configuration is about the bridge as a whole."""
    sources = configuration.sources
    return BridgeOptions(
        policy=configuration.policy,
        organizations=configuration.organizations,
        match={one.name: one.match for one in sources if one.match},
        sweep_hours={one.name: one.sweep_hours for one in sources},
        instance=configuration.instance,
        first_seen=configuration.first_seen,
        workers=configuration.workers,
        park_after=configuration.park_after,
        keep_days=configuration.keep_days,
    )


def targets_of(configuration: BridgeConfiguration, store: Store) -> Sequence[LocalTarget | WorkMailTarget]:
    """Where it writes."""
    workmail = configuration.workmail
    here = (LocalTarget(store),) if configuration.local else ()
    there = (WorkMailTarget(workmail, configuration.instance),) if workmail is not None else ()
    return (*here, *there)

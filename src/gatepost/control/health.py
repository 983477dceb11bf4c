"""Is it alive, is it ready, what does it count: /healthz, /readyz and /metrics, the same for every role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gatepost.store.errors import StoreError
from gatepost.telemetry import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prometheus_client import CollectorRegistry
    from starlette.requests import Request

    from gatepost.store.database import Store

# A probe that takes longer is not ready; load balancers ask every few seconds.
PROBE_SECONDS = 5.0
# A bridge looks at itself every ten seconds; one that has not for so long does not run.
BRIDGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What one part says of itself: `facts` go into the JSON of /readyz as they are."""

    ready: bool
    facts: Mapping[str, Any] = field(default_factory=dict)


def store_probe(store: Store) -> Callable[[], Probe]:
    """Ready while the store answers a read."""

    def probe() -> Probe:
        try:
            with store.read():
                return Probe(ready=True, facts={"reachable": True})
        except StoreError as error:
            return Probe(ready=False, facts={"reachable": False, "error": str(error)})

    return probe


def replica_probe(revision: Callable[[], int | None], age: Callable[[], float], max_age: float) -> Callable[[], Probe]:
    """Ready while the gateway's copy of the rules is loaded and at most `max_age` seconds old: past it, it denies."""

    def probe() -> Probe:
        at, seconds = revision(), age()
        ready = at is not None and seconds <= max_age
        # No age before the first load: JSON has no infinity.
        shown = None if at is None else round(seconds, 3)
        return Probe(ready, {"revision": at, "age_seconds": shown, "max_age_seconds": max_age})

    return probe


def bridge_probe(
    age: Callable[[], float], facts: Callable[[], Mapping[str, Any]], trouble: Callable[[], str | None]
) -> Callable[[], Probe]:
    """Ready while the bridge goes on looking at itself: `facts` were read `age` seconds ago; `trouble` says why not later.

    How its MDMs are is only shown: one that is away is no reason to take a gateway, or the webhooks, out.
    """

    def probe() -> Probe:
        seconds, said = age(), trouble()
        ready = seconds <= BRIDGE_SECONDS
        if not ready and said is None:
            said = f"the bridge has not looked at itself for {seconds:.0f} seconds"
        error = {} if said is None else {"error": said}
        return Probe(ready, {"age_seconds": round(seconds, 3), **error, **facts()})

    return probe


def routes(registry: CollectorRegistry, probes: Mapping[str, Callable[[], Probe]]) -> Sequence[Route]:
    """GET /healthz, /readyz and /metrics."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        found = {name: await _answer_of(probe) for name, probe in probes.items()}
        ready = all(probe.ready for probe in found.values())
        body = {"ready": ready, **{name: {"ready": probe.ready, **probe.facts} for name, probe in found.items()}}
        return JSONResponse(body, 200 if ready else 503)

    async def metrics(_: Request) -> Response:
        text, content_type = render(registry)
        return Response(text, headers={"content-type": content_type})

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def _answer_of(probe: Callable[[], Probe]) -> Probe:
    with anyio.move_on_after(PROBE_SECONDS):
        return await anyio.to_thread.run_sync(probe, abandon_on_cancel=True)
    return Probe(ready=False, facts={"error": f"no answer within {PROBE_SECONDS:g} seconds"})

"""What a gateway counts: plain numbers on the hot path, turned into Prometheus' form when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric

    from gatepost.engine import Decision, Reason
    from gatepost.model import Effect

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Counts of seconds under each of `_BOUNDS`."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts, as Prometheus wants them."""
        rows: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self.counts, strict=True):
            running += count
            rows.append((bound, float(running)))
        return rows


class GatewayMetrics(Collector):
    """The gateway's numbers; `gauges` are asked for when scraped: name → (help, value)."""

    def __init__(self) -> None:
        self.decisions: dict[tuple[Effect | None, Reason], int] = {}
        self.requests: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, Histogram] = {"answered": Histogram(), "parked": Histogram(), "refused": Histogram()}
        self.ended = 0
        self.forwarding_headers_ignored: dict[str, int] = {}
        self.proxy_headers_refused = 0
        self.logins: dict[str, int] = {}
        self.limits: dict[str, int] = {}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def decided(self, decision: Decision) -> None:
        """Count a decision by its effect and reason."""
        key = (decision.effect, decision.reason)
        self.decisions[key] = self.decisions.get(key, 0) + 1

    def answered(self, command: str, status: int, kind: str, seconds: float) -> None:
        """Count a request by command and HTTP status, and its time under `kind`."""
        key = (command, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        self.seconds[kind].observe(seconds)

    def login(self, outcome: str) -> None:
        """Count credentials that had to be asked about, by what came of it."""
        self.logins[outcome] = self.logins.get(outcome, 0) + 1

    def limit(self, name: str) -> None:
        """Count a request that a limit was reached by; `name` is the setting's."""
        self.limits[name] = self.limits.get(name, 0) + 1

    def collect(self) -> Iterable[Metric]:
        """All of it, for a Prometheus registry."""
        decisions = CounterMetricFamily(
            "gatepost_decisions", "Decisions by effect and reason.", labels=("effect", "reason")
        )
        for (effect, reason), count in list(self.decisions.items()):
            decisions.add_metric(("UNDECIDED" if effect is None else effect.value, reason.value), count)
        requests = CounterMetricFamily(
            "gatepost_requests", "Answered requests by command and HTTP status.", labels=("command", "status")
        )
        for (command, status), count in list(self.requests.items()):
            requests.add_metric((command, str(status)), count)
        seconds = HistogramMetricFamily(
            "gatepost_request_seconds",
            "Time from a request to the end of its answer: answered by the mail server, parked there (Ping, Sync), refused.",
            labels=("kind",),
        )
        for kind, histogram in self.seconds.items():
            seconds.add_metric((kind,), histogram.buckets(), histogram.total)
        yield from (
            decisions,
            requests,
            seconds,
            _counted(
                "gatepost_logins",
                "Credentials that the mail server had not accepted within the last day, by what came of them.",
                "outcome",
                self.logins,
            ),
            _counted(
                "gatepost_limits_reached",
                "Requests and connections that a limit kept out, by setting.",
                "limit",
                self.limits,
            ),
            _counted(
                "gatepost_forwarding_headers_ignored",
                "Requests and connections on which somebody who is no trusted proxy said where he comes from, by header.",
                "header",
                self.forwarding_headers_ignored,
            ),
            CounterMetricFamily(
                "gatepost_proxy_headers_refused",
                "Connections of trusted proxies that were closed for want of a PROXY header.",
                value=self.proxy_headers_refused,
            ),
            CounterMetricFamily("gatepost_requests_ended", "Requests in flight that a denial ended.", value=self.ended),
        )
        for name, (text, value) in self.gauges.items():
            yield GaugeMetricFamily(name, text, value=value())


def _counted(name: str, text: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    """The counts with one label each; they may grow meanwhile, in another thread."""
    counter = CounterMetricFamily(name, text, labels=(label,))
    for value, count in list(counts.items()):
        counter.add_metric((value,), count)
    return counter

"""What the bridge counts. What the store knows is read from it at most every few seconds, however often it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric

    from gatepost.mdm.targets.base import Conflict

_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0)

Gauges = dict[str, tuple[str, tuple[str, ...], "Mapping[tuple[str, ...], float]"]]
"""Name → (help, labels, values by the labels' values)."""


class BridgeMetrics(Collector):
    """The bridge's numbers, of this process; `gauges` are put here by whoever reads the store."""

    def __init__(self) -> None:
        self._settled: dict[tuple[str, str], int] = {}
        self._conflicts: dict[tuple[str, str, str], Conflict] = {}
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0
        self.gauges: Gauges = {}

    def settled(self, source: str, outcome: str) -> None:
        """Count a device that was looked after."""
        self._settled[source, outcome] = self._settled.get((source, outcome), 0) + 1

    def took(self, seconds: float) -> None:
        """Count the time from the claim of a device that somebody told of to the commit of what came of it."""
        place = next((place for place, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))
        self._buckets[place] += 1
        self._seconds += seconds

    def conflict(self, pair: tuple[str, str, str], conflict: Conflict | None) -> None:
        """Note whether somebody decided otherwise for (organization, user, device)."""
        if conflict is None:
            self._conflicts.pop(pair, None)
        else:
            self._conflicts[pair] = conflict

    @property
    def conflicts(self) -> Mapping[tuple[str, str, str], Conflict]:
        """Where somebody decided otherwise, as of this process's last look at each device."""
        return self._conflicts

    def collect(self) -> Iterable[Metric]:
        """All of it, for a Prometheus registry."""
        settled = CounterMetricFamily(
            "gatepost_mdm_devices_settled", "Devices that were looked after, by outcome.", labels=("source", "outcome")
        )
        for outcome, count in list(self._settled.items()):
            settled.add_metric(outcome, count)
        kinds: dict[str, int] = {}
        for conflict in list(self._conflicts.values()):
            kinds[conflict.value] = kinds.get(conflict.value, 0) + 1
        conflicts = GaugeMetricFamily(
            "gatepost_mdm_conflicts",
            "Overrides where somebody decided otherwise than posture, as this process last looked at them.",
            labels=("kind",),
        )
        for kind, count in kinds.items():
            conflicts.add_metric((kind,), count)
        seconds = HistogramMetricFamily(
            "gatepost_mdm_apply_seconds",
            "From the claim of a device that somebody told of to the commit of its overrides.",
        )
        seconds.add_metric((), self._cumulative(), self._seconds)
        yield from (settled, conflicts, seconds)
        for name, (text, labels_of, values) in list(self.gauges.items()):
            gauge = GaugeMetricFamily(name, text, labels=labels_of)
            for labels, value in values.items():
                gauge.add_metric(labels, value)
            yield gauge

    def _cumulative(self) -> list[tuple[str, float]]:
        rows: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self._buckets, strict=True):
            running += count
            rows.append((bound, float(running)))
        return rows

"""What the store knows of the bridge's work, read into gauges; and that this bridge is alive, written into the store."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gatepost.mdm.guard import stands
from gatepost.store import mdm_applied, mdm_sources, mdm_work, mobile_device_access_overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from gatepost.mdm.metrics import Gauges
    from gatepost.mdm.sources.base import Source
    from gatepost.store.database import Store

ALIVE = timedelta(seconds=60)
"""A bridge that has not said so for so long is not there; it says so every ten seconds."""


class Watched:
    """What was read last: `facts`, as they go into /readyz, how long ago, and in `trouble` why there is nothing newer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self.facts: Mapping[str, Any] = {}
        self.trouble: str | None = None

    @property
    def seconds(self) -> float:
        """Since it was read; since this was made, where nothing has been read yet."""
        return self._clock() - self._at

    def saw(self, facts: Mapping[str, Any]) -> None:
        """It was read, all of it."""
        self.facts, self.trouble, self._at = facts, None, self._clock()

    def missed(self, trouble: str) -> None:
        """It could not be read; what was read before stays, and ages."""
        self.trouble = trouble


def gauges(store: Store, sources: Collection[str], targets: Iterable[str], deliveries: Iterable[str] = ()) -> Gauges:
    """The gauges as of now; `deliveries` are the `source`s of the dirty rows of targets. Raises StoreError."""
    rows: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in _GAUGES}
    with store.read() as reader:
        now = reader.now
        for source in (*sources, *deliveries):
            backlog = mdm_work.backlog(reader, source)
            rows["gatepost_mdm_dirty_devices"][source,] = backlog.due + backlog.leased
            rows["gatepost_mdm_parked_devices"][source,] = backlog.parked
            rows["gatepost_mdm_oldest_dirty_seconds"][source,] = _age(backlog.oldest_due, now) or 0.0
        for source in sources:
            state = mdm_sources.get(reader, source)
            rows["gatepost_mdm_guard_stands"][source,] = float(stands(state))
            rows["gatepost_mdm_failures"][source,] = state.failures
            for name, value in (
                ("gatepost_mdm_last_sweep_seconds", _age(state.sweep_finished_at, now)),
                ("gatepost_mdm_last_answer_seconds", _age(state.answered_at, now)),
                ("gatepost_mdm_quota_remaining", state.quota_remaining),
            ):
                if value is not None:
                    rows[name][source,] = value
        for target in targets:
            for effect, count in mdm_applied.counts(reader, target).items():
                rows["gatepost_mdm_overrides"][target, effect.value] = count
        for (owner, effect), count in mobile_device_access_overrides.counts(reader).items():
            rows["gatepost_overrides"][owner.value, effect.value] = count
    return {name: (text, labels, rows[name]) for name, (text, labels) in _GAUGES.items()}


def facts(read: Gauges, sources: Iterable[str]) -> dict[str, Any]:
    """What of the gauges is said at /readyz: how each source is doing, and how far behind the whole is."""

    def of(name: str) -> Mapping[tuple[str, ...], float]:
        return read[name][2]

    def seconds(name: str, source: str) -> float | None:
        value = of(name).get((source,))
        return None if value is None else round(value, 1)

    return {
        "oldest_dirty_seconds": round(max(of("gatepost_mdm_oldest_dirty_seconds").values(), default=0.0), 1),
        "parked_devices": int(sum(of("gatepost_mdm_parked_devices").values())),
        "sources": {
            source: {
                "last_sweep_seconds": seconds("gatepost_mdm_last_sweep_seconds", source),
                "last_answer_seconds": seconds("gatepost_mdm_last_answer_seconds", source),
                "failures": int(of("gatepost_mdm_failures")[source,]),
                "guard_stands": bool(of("gatepost_mdm_guard_stands")[source,]),
            }
            for source in sources
        },
    }


def alive(store: Store, sources: Mapping[str, Source], answered: Mapping[str, datetime]) -> None:
    """Write down how each source is doing, as this process sees it; when it last answered, as any has seen it.

    Raises StoreError.
    """
    with store.bookkeeping() as writer:
        for name, source in sorted(sources.items()):
            condition, quota = source.condition, source.quota
            values: dict[str, Any] = {
                "alive_at": writer.now,
                "failures": condition.failures,
                "last_error": condition.last_error,
                "closed_until": condition.open_until,
            }
            if quota.remaining is not None:
                values |= {"quota_remaining": quota.remaining, "quota_reset_at": quota.reset_at}
            # this writes first, and so has the row to itself: of several bridges' answers the latest stays
            known = mdm_sources.change(writer, name, **values).answered_at
            if name in answered and (known is None or known < answered[name]):
                mdm_sources.change(writer, name, answered_at=answered[name])


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max((now - moment).total_seconds(), 0.0)


_SOURCE = ("source",)
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "gatepost_mdm_dirty_devices": ("Devices to be looked at now.", _SOURCE),
    "gatepost_mdm_parked_devices": ("Devices that were given up.", _SOURCE),
    "gatepost_mdm_oldest_dirty_seconds": ("For how long the oldest dirty device has been due.", _SOURCE),
    "gatepost_mdm_guard_stands": ("1: mass changes are held back until somebody confirms.", _SOURCE),
    "gatepost_mdm_failures": ("Questions to the source that failed, in a row.", _SOURCE),
    "gatepost_mdm_last_sweep_seconds": ("Since the last whole listing was finished.", _SOURCE),
    "gatepost_mdm_last_answer_seconds": ("Since the source last answered.", _SOURCE),
    "gatepost_mdm_quota_remaining": ("Requests that the source says it still takes.", _SOURCE),
    "gatepost_mdm_overrides": ("Overrides that the bridge has written.", ("target", "effect")),
    "gatepost_overrides": ("Overrides in this store.", ("owner", "effect")),
}

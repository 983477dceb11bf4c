"""What the store knows of the bridge's work, read into gauges; and that this bridge is alive, written into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost.mdm.guard import stands
from gatepost.store import mdm_applied, mdm_sources, mdm_work, mobile_device_access_overrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from gatepost.mdm.metrics import Gauges
    from gatepost.mdm.sources.base import Source
    from gatepost.store.database import Store


def gauges(store: Store, sources: Iterable[str], targets: Iterable[str]) -> Gauges:
    """The gauges as of now. Raises StoreError."""
    rows: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in _GAUGES}
    with store.read() as reader:
        now = reader.now
        for source in sources:
            backlog = mdm_work.backlog(reader, source)
            state = mdm_sources.get(reader, source)
            rows["gatepost_mdm_dirty_devices"][source,] = backlog.due + backlog.leased
            rows["gatepost_mdm_parked_devices"][source,] = backlog.parked
            rows["gatepost_mdm_oldest_dirty_seconds"][source,] = _age(backlog.oldest_due, now) or 0.0
            rows["gatepost_mdm_guard_stands"][source,] = float(stands(state))
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


def alive(store: Store, sources: Mapping[str, Source], answered: Mapping[str, datetime]) -> None:
    """Write down how each source is doing, as this process sees it. Raises StoreError."""
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
            if name in answered:
                values["answered_at"] = answered[name]
            mdm_sources.change(writer, name, **values)


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max((now - moment).total_seconds(), 0.0)


_SOURCE = ("source",)
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "gatepost_mdm_dirty_devices": ("Devices to be looked at now.", _SOURCE),
    "gatepost_mdm_parked_devices": ("Devices that were given up.", _SOURCE),
    "gatepost_mdm_oldest_dirty_seconds": ("For how long the oldest dirty device has been due.", _SOURCE),
    "gatepost_mdm_guard_stands": ("1: mass changes are held back until somebody confirms.", _SOURCE),
    "gatepost_mdm_last_sweep_seconds": ("Since the last whole listing was finished.", _SOURCE),
    "gatepost_mdm_last_answer_seconds": ("Since the source last answered.", _SOURCE),
    "gatepost_mdm_quota_remaining": ("Requests that the source says it still takes.", _SOURCE),
    "gatepost_mdm_overrides": ("Overrides that the bridge has written.", ("target", "effect")),
    "gatepost_overrides": ("Overrides in this store.", ("owner", "effect")),
}

"""What is done about a source that was taken out of the configuration: its overrides go, then all that is known of it.

Theory of operation. An override whose DeviceId a device of another source has too is handed over to that device, which is
looked at at once: to take it away first would refuse a phone that is in order until then, and in Amazon WorkMail, where it
would go later than that look, until the next sweep. Of the others those in this store are taken away in the transaction that
forgets them, and only if they are as the bridge wrote them; those in Amazon WorkMail are left to the delivery, whose dirty row
is there before the device is forgotten: what was written for a device that is not known is taken away. People's overrides, and
what somebody edited, stay. Everything can be broken off and begun again: what is known of the source itself goes last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from gatepost.mdm.observing import ALIVE
from gatepost.mdm.settling import target_key
from gatepost.mdm.sweep import sweep_key
from gatepost.mdm.targets.base import Action, Present, no_longer_wanted, step
from gatepost.model import Effect, Owner
from gatepost.operations import mobile_device_access_overrides as operations
from gatepost.store import mdm_applied, mdm_retirement, mdm_sources, mdm_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gatepost.model import AppliedOverride
    from gatepost.store.database import Reader, Store, Transaction

_BATCH = 100  # overrides in one transaction: others wait for it
_FORGOTTEN = 1000  # rows of each table in one transaction


class _Fate(Enum):
    """What becomes of an override that was written for the source."""

    TAKEN_AWAY = auto()
    DELIVERED = auto()
    HANDED_OVER = auto()
    THEIRS = auto()
    UNREACHABLE = auto()


class StillServed(Exception):  # noqa: N818 - it is how the source is
    """A process of the bridge has said within a minute that it serves the source."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The source that goes, and the `others`, which stay.

    `here` is the target's name under which this store's overrides are remembered; `there` the (target, organization) of
    Amazon WorkMail that a bridge delivers to, None without one.
    """

    source: str
    others: frozenset[str]
    here: str
    there: tuple[str, str] | None


@dataclass(slots=True)
class Retired:
    """What became of the overrides, and how much was forgotten.

    `allow` and `deny` were taken away here; `delivered` will be in Amazon WorkMail; `handed_over` are other devices' now.
    `edited` were left alone here; `theirs` had been people's before; `ended` were not there any more. `unreachable` stand in
    a WorkMail that is no target. `devices` and `notifications` are forgotten; `looked_at` are (source, device key) of others.
    """

    allow: int = 0
    deny: int = 0
    delivered: int = 0
    handed_over: int = 0
    edited: int = 0
    theirs: int = 0
    ended: int = 0
    unreachable: int = 0
    devices: int = 0
    notifications: int = 0
    looked_at: set[tuple[str, str]] = field(default_factory=set)

    @property
    def seen_to(self) -> int:
        """How many overrides have been seen to."""
        gone = self.allow + self.deny + self.delivered + self.handed_over
        return gone + self.edited + self.theirs + self.ended + self.unreachable


def require_unserved(reader: Reader, source: str) -> None:
    """Raises StillServed."""
    alive_at = mdm_sources.get(reader, source).alive_at
    if alive_at is not None and reader.now - alive_at <= ALIVE:
        raise StillServed


def retire(store: Store, leaving: Leaving, progress: Callable[[Retired], None]) -> Retired:
    """All of it, in many transactions; `progress` is told after each. Raises StillServed, StoreError: begin again then."""
    retired = Retired()
    after: tuple[str, str, str, str] | None = None
    while rows := _some(store, leaving, after, retired):
        after = _key(rows[-1])
        progress(retired)
    if leaving.there is not None:
        with store.bookkeeping() as writer:
            target = leaving.there[0]
            mdm_retirement.forget_deliveries(writer, leaving.source, target, target_key(target))
    while True:
        with store.bookkeeping() as writer:
            require_unserved(writer, leaving.source)
            forgotten = mdm_retirement.forget(writer, leaving.source, (sweep_key(leaving.source),), _FORGOTTEN)
        if not any(forgotten.values()):
            return retired
        retired.devices += forgotten["mdm_devices"]
        retired.notifications += forgotten["mdm_notifications"]
        progress(retired)


def _some(
    store: Store, leaving: Leaving, after: tuple[str, str, str, str] | None, retired: Retired
) -> Sequence[AppliedOverride]:
    """One transaction's worth of overrides; which those were."""
    with store.begin() as transaction:
        require_unserved(transaction, leaving.source)
        rows = mdm_retirement.written(transaction, leaving.source, after, _BATCH)
        shared = mdm_retirement.sharing(transaction, {one.device_id for one in rows}, leaving.others)
        fates = [(one, _fate(leaving, one, shared)) for one in rows]
        # before the overrides: a delivery locks in that order too, and nobody waits in a circle
        mdm_work.dirty_many(transaction, {mark for one, fate in fates for mark in _marks(one, fate, shared)})
        for one, fate in fates:
            _meet(transaction, one, fate, shared, retired)
    return rows


def _fate(leaving: Leaving, applied: AppliedOverride, shared: Mapping[str, object]) -> _Fate:
    if applied.theirs_since is not None:
        return _Fate.THEIRS
    if applied.target != leaving.here and leaving.there != (applied.target, applied.organization_id):
        return _Fate.UNREACHABLE
    if applied.device_id in shared:
        return _Fate.HANDED_OVER
    return _Fate.TAKEN_AWAY if applied.target == leaving.here else _Fate.DELIVERED


def _marks(
    applied: AppliedOverride, fate: _Fate, shared: Mapping[str, list[tuple[str, str]]]
) -> Iterable[tuple[str, str]]:
    if fate is _Fate.HANDED_OVER:
        return shared[applied.device_id]
    if fate is _Fate.DELIVERED:
        return [(target_key(applied.target), f"{applied.source}/{applied.device_key}")]
    return ()


def _meet(
    transaction: Transaction,
    applied: AppliedOverride,
    fate: _Fate,
    shared: Mapping[str, list[tuple[str, str]]],
    retired: Retired,
) -> None:
    match fate:
        case _Fate.HANDED_OVER:
            mdm_retirement.hand_over(transaction, applied, shared[applied.device_id][0])
            retired.handed_over += 1
            retired.looked_at.update(shared[applied.device_id])
        case _Fate.TAKEN_AWAY:
            _take_away(transaction, applied, retired)
        case _Fate.DELIVERED:
            retired.delivered += 1
        case _Fate.UNREACHABLE:
            retired.unreachable += 1
        case _Fate.THEIRS:
            retired.theirs += 1
            if applied.device_id in shared:  # the other source keeps its hands off too
                mdm_retirement.hand_over(transaction, applied, shared[applied.device_id][0])
            else:
                mdm_applied.delete(transaction, *_key(applied))


def _take_away(transaction: Transaction, applied: AppliedOverride, retired: Retired) -> None:
    """The bridge's own override, if it is as it was written; it is forgotten in any case."""
    both = operations.both(transaction, applied.organization_id, applied.user_id, applied.device_id)
    found = next((one for one in both if one.owner is Owner.BRIDGE), None)
    there = None if found is None else Present(found.effect, found.description, found.expires)
    todo = step(no_longer_wanted(applied), applied, there, transaction.now, timedelta(0))
    if found is None:
        retired.ended += 1
    elif todo.action is not Action.DELETE:
        retired.edited += 1
    else:
        operations.delete_in(transaction, found)
        retired.allow += found.effect is Effect.ALLOW
        retired.deny += found.effect is Effect.DENY
    mdm_applied.delete(transaction, *_key(applied))


def _key(applied: AppliedOverride) -> tuple[str, str, str, str]:
    return applied.target, applied.organization_id, applied.user_id, applied.device_id

"""What posture means for mail: from what MDMs say of devices to a verdict for each user and DeviceId.

Theory of operation. `assess` judges one device as one source sees it. A pair (user, DeviceId) may be told of by several
devices of several sources, today or formerly, so `wanted` collects what each of them says and `combine` takes the most
restrictive: DENY, then "keep what is", then ALLOW. Every user and every DeviceId that a device ever had is looked at: a
pair that is no longer bound says DENY, because an MDM stops reporting exactly when access is to end. Only a device that
the same source has recorded anew (deleted and enrolled again, handed over) does not count against itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import accumulate, product
from typing import TYPE_CHECKING

from gatepost.engine.assessment import (
    Expression,
    Policy,
    PostureReason,
    Verdict,
    assess,
    combine,
    dated,
    express,
    remember,
)
from gatepost.model import Effect, KnownDevice, Managed, Posture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

__all__ = [
    "Expression",
    "Policy",
    "PostureReason",
    "Verdict",
    "ask_again",
    "assess",
    "combine",
    "express",
    "mass_change",
    "pairs_of",
    "remember",
    "shrunk",
    "wanted",
]

# How long after an enrolment an MDM is asked again for the DeviceId that it did not know yet (the mail profile comes
# minutes later, if at all); after the last one the sweep finds it.
_ASK_AGAIN_SECONDS = (30, 60, 120, 300, 900)

_ALARM_COUNT = 5  # few changes are never a mass change, however few devices there are
_ALARM_SHARE = 0.2


def wanted(
    devices: Iterable[KnownDevice],
    policy: Policy,
    now: datetime,
    *,
    user_of: Callable[[str], str | None] = str,
) -> dict[tuple[str, str], Verdict]:
    """The verdict for each (user, DeviceId) that any of the devices has or had.

    `devices` must hold every device that ever had one of the DeviceIds in question (`store.mdm_devices.related`).
    `user_of` says whose an address is: two addresses of one user make one pair; None: nobody's, left out.
    """
    said: dict[tuple[str, str], dict[str, list[_Voice]]] = {}
    for known in devices:
        today = set() if known.posture.gone else _pairs(known.posture.user_addresses, known.posture.device_ids, user_of)
        verdict = assess(known.posture, policy, now, known.moments)
        for pair in today | pairs_of(known, user_of):
            voice = _Voice(known.posture, verdict if pair in today else _former(verdict), pair in today)
            said.setdefault(pair, {}).setdefault(known.posture.source, []).append(voice)
    return {
        pair: combine([voice.verdict for voices in said[pair].values() for voice in _not_superseded(voices)])
        for pair in sorted(said)
    }


def pairs_of(known: KnownDevice, user_of: Callable[[str], str | None] = str) -> set[tuple[str, str]]:
    """Each (user, DeviceId) that the device has or ever had."""
    return _pairs(known.addresses, known.device_ids, user_of)


def ask_again(known: KnownDevice, now: datetime) -> datetime | None:
    """When to ask for the DeviceId of an enrolled device that has none yet; None: it has one, or only the sweep asks."""
    since = known.moments.without_ids_since
    if since is None:
        return None
    moments = (since + timedelta(seconds=seconds) for seconds in accumulate(_ASK_AGAIN_SECONDS))
    return next((moment for moment in moments if moment > now), None)


def mass_change(allowed: int, turned: int) -> bool:
    """Whether so many changed effects, of so many ALLOWs before, are too many to be believed: more than max(5, 20 %)."""
    return turned > max(_ALARM_COUNT, _ALARM_SHARE * allowed)


def shrunk(listed: int, before: int | None) -> bool:
    """Whether a listing has lost more than half of what the one before had, and more than a few."""
    return before is not None and listed < before / 2 and before - listed > _ALARM_COUNT


@dataclass(frozen=True, slots=True)
class _Voice:
    """What one device says of a pair; `today`: it has both now, not only formerly."""

    posture: Posture
    verdict: Verdict
    today: bool


def _pairs(
    addresses: Iterable[str], device_ids: Iterable[str], user_of: Callable[[str], str | None]
) -> set[tuple[str, str]]:
    users = {user for address in addresses if (user := user_of(address)) is not None}
    return set(product(users, device_ids))


def _former(verdict: Verdict) -> Verdict:
    gone = verdict.reason is PostureReason.GONE
    reason = PostureReason.GONE if gone else PostureReason.NO_LONGER_BOUND
    return replace(verdict, effect=Effect.DENY, reason=reason, expires=None, look_again=None)


def _not_superseded(voices: list[_Voice]) -> Iterator[_Voice]:
    """The voices of one source without those of its own older records of a device that it manages now.

    An MDM makes a new record when a device is deleted or unenrolled and enrolled again. Without this, the old record
    would deny the same phone for ever.
    """
    live = [dated(voice.posture) for voice in voices if voice.today and voice.posture.managed is Managed.YES]
    for voice in voices:
        left = voice.posture.managed is Managed.NO and not voice.posture.compromised
        superseded = not voice.today or (left and dated(voice.posture) < max(live, default=dated(voice.posture)))
        if not (live and superseded):
            yield voice

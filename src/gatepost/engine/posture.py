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
from gatepost.model import Effect, KnownDevice, Managed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
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
    by_source: Callable[[str], Callable[[str], str | None]] | None = None,
) -> dict[tuple[str, str], Verdict]:
    """The verdict for each (user, DeviceId) that any of the devices has or had.

    `devices` must hold every device that ever had one of the DeviceIds in question (`store.mdm_devices.related`).
    `user_of` says whose an address is: two addresses of one user make one pair; None: nobody's, left out. `by_source` answers
    that for each source, where sources have users of different organizations.
    """
    said: dict[tuple[str, str], list[_Voice]] = {}
    ownerless: list[KnownDevice] = []
    for known in devices:
        its = user_of if by_source is None else by_source(known.posture.source)
        pairs = pairs_of(known, its)
        today = set() if known.posture.gone else _pairs(known.posture.user_addresses, known.posture.device_ids, its)
        verdict = assess(known.posture, policy, now, known.moments)
        for pair in today | pairs:
            said.setdefault(pair, []).append(
                _Voice(known, verdict if pair in today else _former(verdict), pair in today)
            )
        if not pairs:
            ownerless.append(known)
    for known in ownerless:
        today_ids = () if known.posture.gone else known.posture.device_ids
        verdict = assess(known.posture, policy, now, known.moments)
        for (_, device_id), voices in said.items():
            if device_id in known.device_ids:
                is_today = device_id in today_ids
                voices.append(_Voice(known, verdict if is_today else _former(verdict), is_today, owned=False))
    return {pair: combine([one.verdict for one in _heard(voices)]) for pair, voices in sorted(said.items())}


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
    """What one device says of a pair; `today`: it has both now, not only formerly. `owned`: it is known whose it is."""

    known: KnownDevice
    verdict: Verdict
    today: bool
    owned: bool = True

    @property
    def lives(self) -> bool:
        """Whether its source manages it, and it has the pair now."""
        return self.today and self.known.posture.managed is Managed.YES

    @property
    def left(self) -> bool:
        """Whether its source has let go of it, for no worse reason."""
        posture = self.known.posture
        return (posture.managed is Managed.NO or posture.gone) and not posture.compromised


def _pairs(
    addresses: Iterable[str], device_ids: Iterable[str], user_of: Callable[[str], str | None]
) -> set[tuple[str, str]]:
    users = {user for address in addresses if (user := user_of(address)) is not None}
    return set(product(users, device_ids))


def _former(verdict: Verdict) -> Verdict:
    gone = verdict.reason is PostureReason.GONE
    reason = PostureReason.GONE if gone else PostureReason.NO_LONGER_BOUND
    return replace(verdict, effect=Effect.DENY, reason=reason, expires=None, look_again=None)


def _heard(voices: list[_Voice]) -> list[_Voice]:
    """The voices that count: an older record of a live device does not.

    An MDM makes a new record when a device is deleted or unenrolled and enrolled again, and so does another MDM that takes
    it over. Without this, the old record would deny the same phone for ever.
    """
    live = [one for one in voices if one.lives and one.owned]
    return [one for one in voices if not any(_superseded(one, other) for other in live)]


def _superseded(old: _Voice, live: _Voice) -> bool:
    if live.known.posture.source == old.known.posture.source:
        return not old.today or (old.left and _older(old.known, live.known))
    # Another MDM's word counts only where it was seen that the device left here first, and then came there.
    left, came = old.known.moments.left_since, live.known.moments.managed_since
    return old.left and left is not None and came is not None and left < came


def _older(old: KnownDevice, live: KnownDevice) -> bool:
    """Whether a record that its source has let go of is of before the live one; undated, by when each was first seen managed."""
    if old.posture.state_time is not None and live.posture.state_time is not None:
        return dated(old.posture) < dated(live.posture)
    was, came = old.moments.managed_since, live.moments.managed_since
    return was is None or (came is not None and was < came)

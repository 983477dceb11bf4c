"""One device as one source sees it: ALLOW, DENY or "keep what is", with a reason, and the stricter of several.

An ALLOW always expires, `allow_hours` after the MDM last heard of the device; what is kept is not renewed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

from gatepost.model import Compliance, Effect, Managed, Moments, Posture

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class PostureReason(StrEnum):
    """Why; what a person reads in the override's description, in lists and in metrics."""

    COMPLIANT = "compliant"
    NOT_AVAILABLE_ALLOWED = "no-compliance-rules"
    SETTLING = "settling"
    PENDING = "pending"
    GRACE = "grace"
    UNKNOWN = "unknown"
    STALE = "stale"
    PENDING_TOO_LONG = "pending-too-long"
    NOT_AVAILABLE = "no-compliance-rules-denied"
    NO_LONGER_BOUND = "no-longer-bound"
    NON_COMPLIANT = "non-compliant"
    UNMANAGED = "unmanaged"
    COMPROMISED = "compromised"
    GONE = "gone"


class Expression(StrEnum):
    """What is to be done to the bridge's own override."""

    KEEP = "keep"
    REMOVE = "remove"
    PUT_ALLOW = "put-allow"
    PUT_DENY = "put-deny"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator wants; hours, minutes and seconds.

    `allow_hours` after the MDM last heard of a device its ALLOW ends. A pending device keeps what it has for
    `grace_minutes`. `allow_after_seconds` of lasting compliance come before an ALLOW. `write_deny`: say DENY in so many
    words, instead of taking the override away. `allow_not_available`: a device for which the MDM has no compliance
    rules counts as compliant. `honour_grace`: a grace time that the MDM itself gives keeps what is. `require_state_time`:
    what a source has not dated is stale; otherwise it is dated by when the source was asked.
    """

    allow_hours: float = 168
    grace_minutes: float = 60
    allow_after_seconds: float = 0
    write_deny: bool = False
    allow_not_available: bool = False
    honour_grace: bool = True
    require_state_time: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """ALLOW until `expires`, DENY, or None: keep what is; `look_again` is when this can change without news.

    `source` and `device_key` name the device that decided.
    """

    effect: Effect | None
    reason: PostureReason
    expires: datetime | None = None
    look_again: datetime | None = None
    source: str = ""
    device_key: str = ""

    def after(self, present: Effect | None) -> Effect | None:
        """What is there once this has been applied to what is `present`."""
        return present if self.effect is None else self.effect


def assess(posture: Posture, policy: Policy, now: datetime, moments: Moments | None = None) -> Verdict:
    """Judge one device by one source; `moments` are what `remember` kept of it."""
    reason, until = _judge(posture, policy, now, moments or Moments())
    effect = _EFFECTS.get(reason, Effect.DENY)
    stale_at = _stale_at(posture, policy, now)
    return Verdict(
        effect,
        reason,
        expires=stale_at if effect is Effect.ALLOW else None,
        look_again=None if effect is Effect.DENY else min(until or stale_at, stale_at),
        source=posture.source,
        device_key=posture.device_key,
    )


def remember(before: Moments | None, posture: Posture) -> Moments:
    """The device's moments after this posture; `before` is None for a device that was not known.

    An answer that says nothing ends no pending time: a source that alternates between the two would never come to its end.
    """
    before = before or Moments()
    sound = posture.managed is Managed.YES and not posture.compromised and not posture.gone
    compliant = sound and posture.compliance in _COMPLIANT_REASONS
    pending = sound and posture.compliance is Compliance.PENDING
    without_ids = posture.managed is Managed.YES and not posture.gone and not posture.device_ids
    pending_since = before.pending_since or (posture.observed_at if pending else None)
    managed_since, left_since = before.managed_since, before.left_since
    if posture.managed is Managed.NO or posture.gone:
        left_since = left_since or (posture.observed_at if managed_since is not None else None)
    elif posture.managed is Managed.YES:
        managed_since = managed_since if managed_since is not None and left_since is None else posture.observed_at
        left_since = None
    return Moments(
        pending_since=pending_since if pending or (_says_nothing(posture) and not posture.gone) else None,
        compliant_since=before.compliant_since or posture.observed_at if compliant else None,
        without_ids_since=before.without_ids_since or posture.observed_at if without_ids else None,
        managed_since=managed_since,
        left_since=left_since,
    )


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """The most restrictive, in whatever order they come; an ALLOW ends with the first that ends. At least one."""
    heard = list(verdicts)
    strictest = min(heard, key=_strictness)
    looks = [one.look_again for one in heard if one.look_again is not None]
    return replace(
        strictest, look_again=min(looks) if looks and strictest.effect is not Effect.DENY else strictest.look_again
    )


def express(verdict: Verdict, policy: Policy) -> Expression:
    """What the verdict does to the override: without `write_deny` a DENY is that there is none."""
    if verdict.effect is None:
        return Expression.KEEP
    if verdict.effect is Effect.ALLOW:
        return Expression.PUT_ALLOW
    return Expression.PUT_DENY if policy.write_deny else Expression.REMOVE


def dated(posture: Posture) -> datetime:
    """As of when the posture is to be believed; an MDM whose clock is ahead does not buy a device more time."""
    return posture.observed_at if posture.state_time is None else min(posture.state_time, posture.observed_at)


def _judge(posture: Posture, policy: Policy, now: datetime, moments: Moments) -> tuple[PostureReason, datetime | None]:
    """Why, and until when at most that holds without news."""
    reason, until = _definite(posture, policy, now), None
    if reason is not None:
        pass
    elif posture.compliance is Compliance.NON_COMPLIANT:
        reason, until = PostureReason.GRACE, posture.grace_until
    elif _says_nothing(posture):
        reason = PostureReason.UNKNOWN
    elif posture.compliance is Compliance.PENDING:
        until = min(now, moments.pending_since or posture.observed_at) + timedelta(minutes=policy.grace_minutes)
        reason = PostureReason.PENDING if now < until else PostureReason.PENDING_TOO_LONG
    elif posture.compliance is Compliance.NOT_AVAILABLE and not policy.allow_not_available:
        reason = PostureReason.NOT_AVAILABLE
    else:
        until = min(now, moments.compliant_since or posture.observed_at) + timedelta(seconds=policy.allow_after_seconds)
        settled = now >= until
        reason, until = (_COMPLIANT_REASONS[posture.compliance], None) if settled else (PostureReason.SETTLING, until)
    return reason, until


def _definite(posture: Posture, policy: Policy, now: datetime) -> PostureReason | None:
    """What denies at once, whatever else is said."""
    if posture.gone:
        return PostureReason.GONE
    if posture.compromised:
        return PostureReason.COMPROMISED
    if posture.managed is Managed.NO:
        return PostureReason.UNMANAGED
    in_grace = policy.honour_grace and posture.grace_until is not None and now < posture.grace_until
    if posture.compliance is Compliance.NON_COMPLIANT and not in_grace:
        return PostureReason.NON_COMPLIANT
    undated = posture.state_time is None and policy.require_state_time
    return PostureReason.STALE if undated or _stale_at(posture, policy, now) <= now else None


def _says_nothing(posture: Posture) -> bool:
    return Managed.UNKNOWN is posture.managed or posture.compliance is Compliance.UNKNOWN


def _stale_at(posture: Posture, policy: Policy, now: datetime) -> datetime:
    return min(dated(posture), now) + timedelta(hours=policy.allow_hours)


_EFFECTS = {
    PostureReason.COMPLIANT: Effect.ALLOW,
    PostureReason.NOT_AVAILABLE_ALLOWED: Effect.ALLOW,
    PostureReason.SETTLING: None,
    PostureReason.PENDING: None,
    PostureReason.GRACE: None,
    PostureReason.UNKNOWN: None,
}  # every other reason denies
_COMPLIANT_REASONS = {
    Compliance.COMPLIANT: PostureReason.COMPLIANT,
    Compliance.NOT_AVAILABLE: PostureReason.NOT_AVAILABLE_ALLOWED,
}
_SEVERITY = {reason: place for place, reason in enumerate(PostureReason)}
_RANK = {Effect.DENY: 0, None: 1, Effect.ALLOW: 2}


def _strictness(verdict: Verdict) -> tuple[int, float, int, str, str]:
    ends = inf if verdict.expires is None else verdict.expires.timestamp()
    return _RANK[verdict.effect], ends, -_SEVERITY[verdict.reason], verdict.source, verdict.device_key

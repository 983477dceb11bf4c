"""What to do about one override of one target: what posture wants, against what is there and what was written last. Pure.

The bridge touches nothing but its own. What it wrote last (`AppliedOverride`) tells its own override from one that a person
has edited or taken away since: that one is the person's from then on (`theirs_since`), until it is released.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from gatepost.engine.posture import Expression, Policy, PostureReason, Verdict, express
from gatepost.model import Effect

if TYPE_CHECKING:
    from datetime import datetime

    from gatepost.model import AppliedOverride, KnownDevice

DESCRIPTION_CHARACTERS = 256
"""Of an override's description, in WorkMail's API and so here."""


_CLOCKS_DIFFER = timedelta(minutes=5)
"""What ends on time is taken back by another process, by a clock that may be ahead of this one."""


class Action(StrEnum):
    """What a step does: to the override, or (FORGET, YIELD) only to what is remembered of it."""

    NOTHING = "nothing"
    PUT = "put"
    DELETE = "delete"
    FORGET = "forget"
    YIELD = "yield"


TOLD = frozenset({Action.PUT, Action.DELETE, Action.YIELD})
"""What people are told of: an override changes, or whose it is."""


class Conflict(StrEnum):
    """Why what posture wants is not what is: somebody edited or deleted the bridge's override, or has one of his own."""

    EDITED = "edited"
    DELETED = "deleted"
    OVERRULED = "overruled"


@dataclass(frozen=True, slots=True)
class Wish:
    """What posture wants for a (user, device) of an organization.

    `address` is the user's, where he is not in the directory yet and would be taken up by it. `accounted`: some known
    device has or had both; otherwise what was written is only left over.
    """

    organization_id: str
    user_id: str
    device_id: str
    verdict: Verdict
    expression: Expression
    address: str | None = None
    accounted: bool = True

    @property
    def pair(self) -> tuple[str, str, str]:
        """Organization, user, device."""
        return self.organization_id, self.user_id, self.device_id

    @property
    def effect(self) -> Effect | None:
        """The effect that is wanted; None: whatever is there."""
        return self.verdict.effect


@dataclass(frozen=True, slots=True)
class Present:
    """The override that is there; `owned`: it carries this bridge's mark."""

    effect: Effect
    description: str | None
    expires: datetime | None
    owned: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done. `turns`: an ALLOW that counts ends by it."""

    action: Action
    turns: bool = False
    conflict: Conflict | None = None


def step(wish: Wish, applied: AppliedOverride | None, present: Present | None, now: datetime, slack: timedelta) -> Step:
    """The difference between what is wanted and what is; an ALLOW is renewed once it would end later by `slack`."""
    theirs = _theirs(applied, present, now, min(slack, _CLOCKS_DIFFER))
    if present is None and not wish.accounted:
        return Step(Action.NOTHING if applied is None else Action.FORGET)
    ended = applied is not None and applied.theirs_since is None and not _lasts(applied.expires, now)
    if ended and present is not None and not present.owned:
        # ours was at its end, or on its way: this is nothing that somebody made of it
        return Step(Action.FORGET, conflict=overruled(wish, present.effect))
    if theirs is not None:
        yielded = applied is None or applied.theirs_since is not None
        return Step(Action.NOTHING if yielded else Action.YIELD, conflict=theirs)
    if present is not None and not present.owned:
        return Step(Action.NOTHING, conflict=overruled(wish, present.effect))
    action = _action(wish, applied, present, now, slack)
    allowed = present is not None and present.effect is Effect.ALLOW and _lasts(present.expires, now)
    return Step(action, turns=allowed and action is not Action.NOTHING and wish.effect is Effect.DENY)


def overruled(wish: Wish, effect: Effect) -> Conflict | None:
    """Whether a person's override says the contrary of what posture wants."""
    return Conflict.OVERRULED if wish.effect not in (None, effect) else None


def no_longer_wanted(applied: AppliedOverride) -> Wish:
    """For what was written for a device and nothing known of it accounts for: taken away, even where DENY is written."""
    verdict = Verdict(Effect.DENY, PostureReason.NO_LONGER_BOUND, source=applied.source, device_key=applied.device_key)
    return Wish(
        applied.organization_id, applied.user_id, applied.device_id, verdict, Expression.REMOVE, accounted=False
    )


def wish_for(key: tuple[str, str, str], verdict: Verdict, policy: Policy, address: str | None = None) -> Wish:
    """The wish for (organization, user, device)."""
    return Wish(*key, verdict, express(verdict, policy), address)


def slack_of(policy: Policy) -> timedelta:
    """By how much an ALLOW may end too early: it is not written anew with every look for the sake of minutes."""
    return timedelta(hours=policy.allow_hours / 24)


def renewal(expires: datetime, now: datetime, slack: timedelta) -> datetime | None:
    """When to look at a device again whose ALLOW ends then; None: it has ended, and nothing renewed it."""
    return next((moment for moment in (expires - slack, expires) if moment > now), None)


def described(verdict: Verdict, known: KnownDevice | None) -> str:
    """What a person reads in the override's description."""
    name = None if known is None else known.posture.friendly_name
    text = f"{verdict.reason.value}: device {verdict.device_key} of {verdict.source}" + (f", {name}" if name else "")
    return "".join(character if character.isprintable() else "?" for character in text)[:DESCRIPTION_CHARACTERS]


def _theirs(
    applied: AppliedOverride | None, present: Present | None, now: datetime, tolerance: timedelta
) -> Conflict | None:
    """Whether somebody has made the bridge's override his own, and how."""
    if applied is None:
        return None
    changed = Conflict.DELETED if present is None else Conflict.EDITED
    if applied.theirs_since is not None:
        return changed
    if present is None:
        return changed if _lasts(applied.expires, now + tolerance) else None  # its time was up
    written = (applied.effect, applied.description or None, applied.expires)
    same = present.owned and written == (present.effect, present.description or None, present.expires)
    return None if same else changed


def _action(
    wish: Wish, applied: AppliedOverride | None, present: Present | None, now: datetime, slack: timedelta
) -> Action:
    match wish.expression:
        case Expression.KEEP:
            action = Action.FORGET if applied is not None and present is None else Action.NOTHING
        case Expression.REMOVE if present is not None:
            action = Action.DELETE
        case Expression.REMOVE:
            action = Action.NOTHING if applied is None else Action.FORGET
        case _:
            written = applied is not None and present is not None and applied.effect is wish.effect
            same = written and applied is not None and _renewed_enough(applied, wish.verdict, now, slack)
            action = Action.NOTHING if same else Action.PUT
    return action


def _lasts(expires: datetime | None, now: datetime) -> bool:
    return expires is None or expires > now


def _renewed_enough(applied: AppliedOverride, verdict: Verdict, now: datetime, slack: timedelta) -> bool:
    if verdict.expires is None:
        return applied.expires is None
    if applied.expires is None or not _lasts(applied.expires, now):
        return False
    return applied.expires <= verdict.expires < applied.expires + slack

"""Overrides in this store: the bridge's own column of them, written in the transaction that holds the fence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import structlog

from gatepost.mdm.targets.base import Action, Present, Step, described, overruled, step
from gatepost.mdm.targets.pairs import Pairs
from gatepost.model import AppliedOverride, EntityState, OrganizationState, Role
from gatepost.operations import mobile_device_access_overrides as operations
from gatepost.operations.context import Context
from gatepost.store import organizations, users

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from gatepost.mdm.targets.base import Wish
    from gatepost.model import KnownDevice, MobileDeviceAccessOverride, User
    from gatepost.store.database import Reader, Store, Transaction

log = structlog.get_logger(__name__)


class People(Protocol):
    """Who is in the directory."""

    def user(self, user: str) -> User | None:
        """`<organization id>/<user id>`; None where he is not there yet."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A wish, what is there, and the step between them."""

    wish: Wish
    applied: AppliedOverride | None
    present: MobileDeviceAccessOverride | None
    step: Step


class LocalTarget:
    """This store; it can be written together with the rest, so nothing of it can be half done."""

    def __init__(self, store: Store, name: str = "store") -> None:
        self.name = name
        self._context = Context(store, store.now, "bridge", Role.BRIDGE)

    def pairs(self, reader: Reader) -> Pairs:
        """What stands here, for one transaction or snapshot."""
        return Pairs(reader, self.name)

    def plan(self, reader: Reader, pairs: Pairs, wishes: Sequence[Wish], slack: timedelta) -> list[Planned]:
        """What would be done now."""
        return [_planned(reader, pairs, wish, slack) for wish in wishes]

    def apply(
        self,
        transaction: Transaction,
        pairs: Pairs,
        planned: Sequence[Planned],
        known: KnownDevice | None,
        everybody: People,
    ) -> datetime | None:
        """Do it, in `pairs`; returns when the first of the ALLOWs that then stand ends, None where none stands."""
        standing = (self._apply(transaction, pairs, one, known, everybody) for one in planned)
        return min((one for one in standing if one is not None), default=None)

    def write(self, transaction: Transaction, pairs: Pairs) -> None:
        """Write what was done in `pairs`."""
        for one in pairs.write(self._context, transaction):
            log.info("mdm.not_written", source=one.source, device=one.device_key, error="the user cannot be taken up")

    def _apply(
        self,
        transaction: Transaction,
        pairs: Pairs,
        planned: Planned,
        known: KnownDevice | None,
        everybody: People,
    ) -> datetime | None:
        wish, applied = planned.wish, planned.applied
        match planned.step.action:
            case Action.PUT:
                applied = self._put(pairs, planned, known, everybody, transaction.now)
            case Action.DELETE:
                pairs.delete(wish.pair)
                applied = None
            case Action.FORGET:
                pairs.remember(wish.pair, None)
                applied = None
            case Action.YIELD:
                assert applied is not None
                applied = replace(applied, theirs_since=transaction.now)
                pairs.remember(wish.pair, applied)
        return None if applied is None or applied.theirs_since is not None else applied.expires

    def _put(
        self, pairs: Pairs, planned: Planned, known: KnownDevice | None, everybody: People, now: datetime
    ) -> AppliedOverride | None:
        wish, verdict, present = planned.wish, planned.wish.verdict, planned.present
        assert wish.effect is not None
        user = everybody.user(f"{wish.organization_id}/{wish.user_id}")
        if wish.address is None and (user is None or user.state is not EntityState.ENABLED):
            # Nobody who could read mail: not enabled, or taken out of the directory. Being enabled is a change that the
            # bridge follows, but not for whom something is written already: no ALLOW may wait for that moment.
            log.info(
                "mdm.not_written", source=verdict.source, device=verdict.device_key, error="the user is not enabled"
            )
            if present is None or present.effect is wish.effect:
                return planned.applied
            pairs.delete(wish.pair)
            return None
        text = described(verdict, known)
        override = operations.written(
            self._context, wish.pair, present, effect=wish.effect, description=text, expires=verdict.expires
        )
        applied = AppliedOverride(
            target=self.name,
            organization_id=wish.organization_id,
            user_id=wish.user_id,
            device_id=wish.device_id,
            effect=wish.effect,
            description=text,
            expires=verdict.expires,
            source=verdict.source,
            device_key=verdict.device_key,
            written_at=now,
        )
        pairs.put(override, applied, wish.address)
        return applied


def _planned(reader: Reader, pairs: Pairs, wish: Wish, slack: timedelta) -> Planned:
    applied, present, persons = pairs.applied(wish.pair), pairs.bridges(wish.pair), pairs.persons(wish.pair)
    if applied is not None and present is None and _left(reader, applied):
        return Planned(wish, applied, None, Step(Action.FORGET))
    there = None if present is None else Present(present.effect, present.description, present.expires)
    todo = step(wish, applied, there, reader.now, slack)
    if todo.conflict is None and persons is not None and persons.lasts(reader.now):
        todo = replace(todo, conflict=overruled(wish, persons.effect))
    return Planned(wish, applied, present, todo)


def _left(reader: Reader, applied: AppliedOverride) -> bool:
    """Whether the override went together with its user or its organization: then nobody has decided anything about it."""
    organization = organizations.get(reader, applied.organization_id)
    user = users.get(reader, applied.organization_id, applied.user_id)
    if organization is None or organization.state is not OrganizationState.ACTIVE:
        return True
    return user is None or user.state is EntityState.DELETED

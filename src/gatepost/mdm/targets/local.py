"""Overrides in this store: the bridge's own column of them, written in the transaction that holds the fence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gatepost.mdm.targets.base import Action, Present, Step, described, overruled, step
from gatepost.model import AppliedOverride, EntityState, OrganizationState, Owner, Role
from gatepost.operations import mobile_device_access_overrides as operations
from gatepost.operations.context import Context
from gatepost.operations.errors import WorkMailError
from gatepost.store import mdm_applied, organizations, users

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from gatepost.mdm.targets.base import Wish
    from gatepost.model import KnownDevice, MobileDeviceAccessOverride
    from gatepost.store.database import Reader, Store, Transaction

log = structlog.get_logger(__name__)


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

    def plan(
        self, reader: Reader, wishes: Sequence[Wish], slack: timedelta, written: Iterable[AppliedOverride] = ()
    ) -> list[Planned]:
        """What would be done now; `written` is what is known already of what was written."""
        by_pair = {(one.organization_id, one.user_id, one.device_id): one for one in written if one.target == self.name}
        return [self._planned(reader, wish, slack, by_pair) for wish in wishes]

    def apply(self, transaction: Transaction, planned: Sequence[Planned], known: KnownDevice | None) -> datetime | None:
        """Do it; returns when the first of the ALLOWs that then stand ends, None where none stands."""
        standing = (self._apply(transaction, one, known) for one in planned)
        return min((one for one in standing if one is not None), default=None)

    def _planned(
        self, reader: Reader, wish: Wish, slack: timedelta, written: Mapping[tuple[str, str, str], AppliedOverride]
    ) -> Planned:
        pair = (wish.organization_id, wish.user_id, wish.device_id)
        applied = written.get(pair) or mdm_applied.get(reader, self.name, *pair)
        by_owner = {one.owner: one for one in operations.both(reader, *pair)}
        present, persons = by_owner.get(Owner.BRIDGE), by_owner.get(Owner.PERSON)
        if applied is not None and present is None and _left(reader, applied):
            return Planned(wish, applied, None, Step(Action.FORGET))
        there = None if present is None else Present(present.effect, present.description, present.expires)
        todo = step(wish, applied, there, reader.now, slack)
        if todo.conflict is None and persons is not None:
            todo = replace(todo, conflict=overruled(wish, persons.effect))
        return Planned(wish, applied, present, todo)

    def _apply(self, transaction: Transaction, planned: Planned, known: KnownDevice | None) -> datetime | None:
        wish, applied = planned.wish, planned.applied
        pair = (wish.organization_id, wish.user_id, wish.device_id)
        match planned.step.action:
            case Action.PUT:
                applied = self._put(transaction, planned, known)
            case Action.DELETE:
                assert planned.present is not None
                operations.delete_in(transaction, planned.present)
                mdm_applied.delete(transaction, self.name, *pair)
                applied = None
            case Action.FORGET:
                mdm_applied.delete(transaction, self.name, *pair)
                applied = None
            case Action.YIELD:
                assert applied is not None
                applied = replace(applied, theirs_since=transaction.now)
                mdm_applied.put(transaction, applied)
        return None if applied is None or applied.theirs_since is not None else applied.expires

    def _put(self, transaction: Transaction, planned: Planned, known: KnownDevice | None) -> AppliedOverride | None:
        wish, verdict = planned.wish, planned.wish.verdict
        assert wish.effect is not None
        try:
            written = operations.put_in(
                self._context,
                transaction,
                organization_id=wish.organization_id,
                user_id=wish.user_id if wish.address is None else wish.address,
                device_id=wish.device_id,
                effect=wish.effect,
                description=described(verdict, known),
                expires=verdict.expires,
            )
        except WorkMailError as error:
            # Nobody who could read mail: not enabled, or taken out of the directory. Being enabled is a change that the
            # bridge follows, but not for whom something is written already: no ALLOW may wait for that moment.
            log.info("mdm.not_written", source=verdict.source, device=verdict.device_key, error=type(error).__name__)
            if planned.present is None or planned.present.effect is wish.effect:
                return planned.applied
            operations.delete_in(transaction, planned.present)
            mdm_applied.delete(transaction, self.name, wish.organization_id, wish.user_id, wish.device_id)
            return None
        applied = AppliedOverride(
            target=self.name,
            organization_id=written.organization_id,
            user_id=written.user_id,
            device_id=written.device_id,
            effect=written.effect,
            description=written.description,
            expires=written.expires,
            source=verdict.source,
            device_key=verdict.device_key,
            written_at=transaction.now,
        )
        mdm_applied.put(transaction, applied)
        return applied


def _left(reader: Reader, applied: AppliedOverride) -> bool:
    """Whether the override went together with its user or its organization: then nobody has decided anything about it."""
    organization = organizations.get(reader, applied.organization_id)
    user = users.get(reader, applied.organization_id, applied.user_id)
    if organization is None or organization.state is not OrganizationState.ACTIVE:
        return True
    return user is None or user.state is EntityState.DELETED

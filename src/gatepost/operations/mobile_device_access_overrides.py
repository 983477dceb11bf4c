"""Mobile device access overrides: decisions for one (user, device), a person's and the MDM bridge's apart.

Through the API a (user, device) shows one override, the one in force. An access key with the role `bridge` writes and
deletes the bridge's, every other one people's; what a person deletes is what he was shown. One whose time is up is shown
to nobody, also while it has not been taken back yet (`expire`): gateways go by the moment too.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from gatepost.model import Effect, EntityState, MobileDeviceAccessOverride, Owner, Role, canonical_device_id
from gatepost.operations.errors import EntityStateException, ResourceNotFoundException
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page
from gatepost.operations.users import enroll_in, require
from gatepost.store import mobile_device_access_overrides, users

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction


def put(
    context: Context,
    *,
    organization_id: str,
    user_id: str,
    device_id: str,
    effect: str,
    description: str | None = None,
    expires: datetime | None = None,
) -> None:
    """Create or replace the caller's override; the date of creation stays. From `expires` on it is not one any more.

    In an open directory an address that is nobody's yet becomes an enabled user. Raises `EntityNotFoundException` for an
    unknown user, `EntityStateException` for one who is not enabled.
    """
    with context.store.begin() as transaction:
        put_in(
            context,
            transaction,
            organization_id=organization_id,
            user_id=user_id,
            device_id=device_id,
            effect=Effect(effect),
            description=description,
            expires=expires,
        )


def put_in(
    context: Context,
    transaction: Transaction,
    *,
    organization_id: str,
    user_id: str,
    device_id: str,
    effect: Effect,
    description: str | None = None,
    expires: datetime | None = None,
) -> MobileDeviceAccessOverride:
    """`put`, as a part of a larger transaction; answers what is there now."""
    organization = require_active(transaction, organization_id)
    user = users.find(transaction, organization_id, user_id)
    if user is None:
        user = enroll_in(context, transaction, organization, user_id)
    if user.state is not EntityState.ENABLED:
        raise EntityStateException
    device, owner = canonical_device_id(device_id), _owner(context)
    override = written(
        context,
        (organization_id, user.user_id, device),
        mobile_device_access_overrides.get(transaction, organization_id, user.user_id, device, owner),
        effect=effect,
        description=description,
        expires=expires,
    )
    mobile_device_access_overrides.put(transaction, override)
    return override


def written(
    context: Context,
    pair: tuple[str, str, str],
    before: MobileDeviceAccessOverride | None,
    *,
    effect: Effect,
    description: str | None,
    expires: datetime | None,
) -> MobileDeviceAccessOverride:
    """The caller's override of (organization, user, canonical DeviceId) as it will be, in place of the one before.

    One before whose time is up is none.
    """
    now = context.now()
    return MobileDeviceAccessOverride(
        *pair,
        effect=effect,
        description=description,
        date_created=now if before is None or not before.lasts(now) else before.date_created,
        date_modified=now,
        owner=_owner(context),
        expires=expires,
    )


def replace_in(
    transaction: Transaction,
    puts: Sequence[MobileDeviceAccessOverride],
    deletes: Sequence[MobileDeviceAccessOverride],
) -> None:
    """Put and delete many, as parts of a larger transaction.

    The caller has seen in it that the users of `puts` are enabled, in active organizations, and that `deletes` are there.
    """
    mobile_device_access_overrides.put_many(transaction, puts)
    mobile_device_access_overrides.delete_many(transaction, deletes)


def get(context: Context, *, organization_id: str, user_id: str, device_id: str) -> MobileDeviceAccessOverride:
    """The override in force for (user, device). Raises `EntityNotFoundException`, `ResourceNotFoundException`."""
    with context.store.read() as reader:
        user = require(reader, require_active(reader, organization_id), user_id)
        found = in_force(context, both(reader, organization_id, user.user_id, canonical_device_id(device_id)))
        if found is None:
            raise ResourceNotFoundException
        return found


def both(reader: Reader, organization_id: str, user_id: str, device_id: str) -> tuple[MobileDeviceAccessOverride, ...]:
    """The overrides of (user id, canonical DeviceId), a person's before the bridge's; none, one or both, whether they last or not."""
    return mobile_device_access_overrides.of_pair(reader, organization_id, user_id, device_id)


def in_force(context: Context, overrides: Iterable[MobileDeviceAccessOverride]) -> MobileDeviceAccessOverride | None:
    """Which of the overrides of one (user, device) counts now; None: none does. As `RuleSet.override`."""
    return _in_force_at(context, overrides, context.now())


def list(  # noqa: A001 -- the verb of the API
    context: Context,
    *,
    organization_id: str,
    user_id: str | None = None,
    device_id: str | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[MobileDeviceAccessOverride]:
    """The overrides in force of the organization, of a user, of a device or of both, by user id and device id."""
    now = context.now()
    with context.store.read() as reader:
        organization = require_active(reader, organization_id)
        user = None if user_id is None else require(reader, organization, user_id).user_id
        device = None if device_id is None else canonical_device_id(device_id)
        return Listing("ListMobileDeviceAccessOverrides", (organization_id, user, device)).page(
            next_token,
            max_results,
            # Twice as many rows hold at least as many pairs; of the last pair one more row tells whether it is whole.
            lambda after, limit: _in_force_of_each(
                context,
                mobile_device_access_overrides.page(
                    reader, organization_id, after, 2 * limit + 1, user_id=user, device_id=device, lasting_at=now
                ),
                now,
            )[:limit],
            mobile_device_access_overrides.position,
        )


def delete(context: Context, *, organization_id: str, user_id: str, device_id: str) -> None:
    """Take the override in force back; one that is not there is a success. Raises `EntityNotFoundException`.

    With the role `bridge`, the bridge's own.
    """
    with context.store.begin() as transaction:
        user = require(transaction, require_active(transaction, organization_id), user_id)
        found = both(transaction, organization_id, user.user_id, canonical_device_id(device_id))
        if context.role is Role.BRIDGE:
            found = tuple(one for one in found if one.owner is Owner.BRIDGE)
        counts = in_force(context, found)
        if counts is not None:
            delete_in(transaction, counts)


def delete_in(transaction: Transaction, override: MobileDeviceAccessOverride) -> bool:
    """Take back this owner's override, as a part of a larger transaction; False when there was none."""
    return mobile_device_access_overrides.delete(
        transaction, override.organization_id, override.user_id, override.device_id, override.owner
    )


def expire(context: Context, limit: int = 1_000) -> int:
    """Take back at most `limit` overrides whose time is up; returns how many there were."""
    now = context.now()
    with context.store.read() as reader:
        if not mobile_device_access_overrides.expired(reader, now, 1):
            return 0
    with context.store.begin() as transaction:
        return sum(
            delete_in(transaction, one) for one in mobile_device_access_overrides.expired(transaction, now, limit)
        )


def _owner(context: Context) -> Owner:
    return Owner.BRIDGE if context.role is Role.BRIDGE else Owner.PERSON


def _in_force_at(
    context: Context, overrides: Iterable[MobileDeviceAccessOverride], now: datetime
) -> MobileDeviceAccessOverride | None:
    by_owner = {one.owner: one for one in overrides if one.lasts(now)}
    bridges = by_owner.get(Owner.BRIDGE)
    if bridges is not None and context.bridge_deny_wins and bridges.effect is Effect.DENY:
        return bridges
    return by_owner.get(Owner.PERSON) or bridges


def _in_force_of_each(
    context: Context, overrides: Iterable[MobileDeviceAccessOverride], now: datetime
) -> builtins.list[MobileDeviceAccessOverride]:
    pairs = groupby(overrides, key=lambda one: (one.user_id, one.device_id))
    found = (_in_force_at(context, theirs, now) for _, theirs in pairs)
    return [one for one in found if one is not None]

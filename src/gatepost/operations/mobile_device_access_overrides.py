"""Mobile device access overrides: one decision for one (user, device)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.model import Effect, EntityState, MobileDeviceAccessOverride, canonical_device_id
from gatepost.operations.errors import EntityStateException, ResourceNotFoundException
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page
from gatepost.operations.users import enroll_in, require
from gatepost.store import mobile_device_access_overrides, users

if TYPE_CHECKING:
    from gatepost.operations.context import Context


def put(
    context: Context,
    *,
    organization_id: str,
    user_id: str,
    device_id: str,
    effect: str,
    description: str | None = None,
) -> None:
    """Create or replace the override; the date of creation stays.

    In an open directory an address that is nobody's yet becomes an enabled user. Raises `EntityNotFoundException` for an
    unknown user, `EntityStateException` for one who is not enabled.
    """
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        user = users.find(transaction, organization_id, user_id)
        if user is None:
            user = enroll_in(context, transaction, organization, user_id)
        if user.state is not EntityState.ENABLED:
            raise EntityStateException
        device = canonical_device_id(device_id)
        known = mobile_device_access_overrides.get(transaction, organization_id, user.user_id, device)
        now = context.now()
        override = MobileDeviceAccessOverride(
            organization_id=organization_id,
            user_id=user.user_id,
            device_id=device,
            effect=Effect(effect),
            description=description,
            date_created=now if known is None else known.date_created,
            date_modified=now,
        )
        mobile_device_access_overrides.put(transaction, override)


def get(context: Context, *, organization_id: str, user_id: str, device_id: str) -> MobileDeviceAccessOverride:
    """The override of (user, device). Raises `EntityNotFoundException`, `ResourceNotFoundException`."""
    with context.store.read() as reader:
        user = require(reader, require_active(reader, organization_id), user_id)
        found = mobile_device_access_overrides.get(
            reader, organization_id, user.user_id, canonical_device_id(device_id)
        )
        if found is None:
            raise ResourceNotFoundException
        return found


def list(  # noqa: A001 -- the verb of the API
    context: Context,
    *,
    organization_id: str,
    user_id: str | None = None,
    device_id: str | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[MobileDeviceAccessOverride]:
    """The overrides of the organization, of a user, of a device or of both, in the order of user id and device id."""
    with context.store.read() as reader:
        organization = require_active(reader, organization_id)
        user = None if user_id is None else require(reader, organization, user_id).user_id
        device = None if device_id is None else canonical_device_id(device_id)
        return Listing("ListMobileDeviceAccessOverrides", (organization_id, user, device)).page(
            next_token,
            max_results,
            lambda after, limit: mobile_device_access_overrides.page(
                reader, organization_id, after, limit, user_id=user, device_id=device
            ),
            mobile_device_access_overrides.position,
        )


def delete(context: Context, *, organization_id: str, user_id: str, device_id: str) -> None:
    """Give the decision back to the rules; an override that is not there is a success. Raises `EntityNotFoundException`."""
    with context.store.begin() as transaction:
        user = require(transaction, require_active(transaction, organization_id), user_id)
        device = canonical_device_id(device_id)
        mobile_device_access_overrides.delete(transaction, organization_id, user.user_id, device)

"""Users: created, described, listed, updated, deleted; and taken up by an open directory."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from gatepost.engine import RuleSet
from gatepost.model import Directory, EntityState, Organization, User, address_key, enrolled_user_id
from gatepost.operations.entities import looks_like_an_id, named, require_new_name
from gatepost.operations.errors import EntityNotFoundException, EntityStateException, InvalidParameterException
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page, one_filter
from gatepost.store import group_members, groups, mobile_device_access_overrides, users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction

_ROLES = {"USER", "REMOTE_USER"}

_BATCH = 500


def create(
    context: Context,
    *,
    organization_id: str,
    name: str,
    display_name: str,
    password: str | None = None,  # noqa: ARG001 -- passwords belong to the mail server: neither looked at nor kept
    role: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    hidden_from_global_address_list: bool | None = None,
    identity_provider_user_id: str | None = None,
) -> str:
    """Create a user, DISABLED until it is registered, and answer its id.

    Raises `ReservedNameException` for a name that looks like an id, `NameAvailabilityException` for one that a group or
    another user has, or that is an address of theirs. The name of a deleted user is free.
    """
    given = {
        "DisplayName": display_name,
        "UserRole": _role(role) or "USER",
        "FirstName": first_name,
        "LastName": last_name,
        "HiddenFromGlobalAddressList": hidden_from_global_address_list,
        "IdentityProviderUserId": identity_provider_user_id,
    }
    with context.store.begin() as transaction:
        require_new_name(transaction, require_active(transaction, organization_id), name)
        user = User(
            organization_id=organization_id,
            user_id=str(uuid4()),
            name=name,
            email=None,
            aliases=(),
            state=EntityState.DISABLED,
            attributes=_merged((), given),
            date_created=context.now(),
        )
        users.put(transaction, user)
        return user.user_id


def describe(context: Context, *, organization_id: str, user_id: str) -> User:
    """The user of an id, name or address; by its id a deleted one too. Raises `EntityNotFoundException`."""
    with context.store.read() as reader:
        return require(reader, require_active(reader, organization_id), user_id)


def list(  # noqa: A001 -- the verb of the API
    context: Context,
    *,
    organization_id: str,
    filters: Mapping[str, str] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[User]:
    """The organization's users in the order of their ids, deleted ones included; `filters` is WorkMail's, one at most."""
    given = one_filter(filters)
    criteria, keep = _criteria(given)
    listing = Listing("ListUsers", (organization_id, *given))
    with context.store.read() as reader:
        require_active(reader, organization_id)

        def fetch(after: str | None, limit: int) -> tuple[User, ...]:
            found: tuple[User, ...] = ()
            while len(found) < limit and (batch := users.page(reader, organization_id, after, limit, **criteria)):
                found += tuple(user for user in batch if keep(user))
                after = batch[-1].user_id
            return found[:limit]

        return listing.page(next_token, max_results, fetch, lambda user: user.user_id)


def update(
    context: Context,
    *,
    organization_id: str,
    user_id: str,
    role: str | None = None,
    display_name: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    hidden_from_global_address_list: bool | None = None,
    initials: str | None = None,
    telephone: str | None = None,
    street: str | None = None,
    job_title: str | None = None,
    city: str | None = None,
    company: str | None = None,
    zip_code: str | None = None,
    department: str | None = None,
    country: str | None = None,
    office: str | None = None,
    identity_provider_user_id: str | None = None,
) -> None:
    """Change what is given and keep the rest; an empty text removes the attribute. Raises `EntityStateException` if deleted."""
    given = {
        "UserRole": _role(role),
        "DisplayName": display_name,
        "FirstName": first_name,
        "LastName": last_name,
        "HiddenFromGlobalAddressList": hidden_from_global_address_list,
        "Initials": initials,
        "Telephone": telephone,
        "Street": street,
        "JobTitle": job_title,
        "City": city,
        "Company": company,
        "ZipCode": zip_code,
        "Department": department,
        "Country": country,
        "Office": office,
        "IdentityProviderUserId": identity_provider_user_id,
    }
    with context.store.begin() as transaction:
        user = require(transaction, require_active(transaction, organization_id), user_id)
        if user.state is EntityState.DELETED:
            raise EntityStateException
        users.put(transaction, replace(user, attributes=_merged(user.attributes, given)))


def delete(context: Context, *, organization_id: str, user_id: str) -> None:
    """Delete a user that is not enabled, with its overrides and memberships; a user that is not there (any more) is a success.

    The row stays as a tombstone: an open directory does not take up its addresses again before an administrator says so.
    """
    with context.store.begin() as transaction:
        user = users.find(transaction, require_active(transaction, organization_id).organization_id, user_id)
        if user is None or user.state is EntityState.DELETED:
            return
        if user.state is EntityState.ENABLED:
            raise EntityStateException
        _delete_overrides(transaction, organization_id, user.user_id)
        group_members.delete_all_of(transaction, organization_id, user.user_id)
        users.put(transaction, replace(user, state=EntityState.DELETED))


def enroll(context: Context, organization_id: str, address: str) -> User:
    """The user of `address`, taken up now if the directory is open and does not know it yet.

    Idempotent. A deleted user is answered as it is, and not taken up again. Raises `EntityNotFoundException` where the
    directory is closed, or the address is a group's or in none of the organization's mail domains.
    """
    with context.store.read() as reader:
        known = _known(reader, require_active(reader, organization_id), address)
    if known is not None:
        return known
    with context.store.begin() as transaction:
        return enroll_in(context, transaction, require_active(transaction, organization_id), address)


def enroll_in(context: Context, transaction: Transaction, organization: Organization, address: str) -> User:
    """`enroll` within a transaction."""
    known = _known(transaction, organization, address)
    if known is not None:
        return known
    key = _login(address)
    local_part, at, domain = key.rpartition("@")
    if not at:  # a bare name, or an id: a mistyped one would become a person
        raise EntityNotFoundException
    short = domain == organization.default_domain and not looks_like_an_id(local_part)
    name = local_part if short and named(transaction, organization, local_part) is None else key
    user = _enrolled(context, organization, key, name)
    users.put(transaction, user)
    return user


def enroll_all(
    context: Context, transaction: Transaction, organization: Organization, addresses: Iterable[str]
) -> dict[str, User]:
    """`enroll_in` for many: the users by address, without those of addresses that cannot be taken up."""
    wanted = {address: _login(address) for address in addresses}
    domains, is_open = organization.domains, organization.directory is Directory.OPEN
    names = Counter(name for key in set(wanted.values()) for name in _names_of(organization, key))
    taken = users.taken(transaction, organization.organization_id, names)
    ids = [enrolled_user_id(organization.organization_id, key) for key in wanted.values()]
    there = {user.user_id for user in users.of_ids(transaction, organization.organization_id, ids)}
    new: dict[str, User] = {}
    found: dict[str, User] = {}
    for address, key in wanted.items():
        local_part, _, domain = key.rpartition("@")
        # whoever shares a name with anybody, here or among the others, is looked at by himself
        alone = all(names[one] == 1 and one not in taken for one in _names_of(organization, key))
        if is_open and local_part and domain in domains and alone:
            short = domain == organization.default_domain and not looks_like_an_id(local_part)
            user = _enrolled(context, organization, key, local_part if short else key)
            if user.user_id not in there:
                new[address] = user
                continue
        with suppress(EntityNotFoundException):
            found[address] = enroll_in(context, transaction, organization, address)
    users.put_new(transaction, organization.organization_id, tuple(new.values()))
    return new | found


def require(reader: Reader, organization: Organization, identity: str) -> User:
    """The user of an id (deleted or not), name, address or alias. Raises `EntityNotFoundException`."""
    user = users.find(reader, organization.organization_id, identity)
    if user is None:
        raise EntityNotFoundException
    return user


def _delete_overrides(transaction: Transaction, organization_id: str, user_id: str) -> None:
    overrides = mobile_device_access_overrides
    while batch := overrides.page(transaction, organization_id, None, _BATCH, user_id=user_id):
        for override in batch:
            overrides.delete(transaction, organization_id, override.user_id, override.device_id, override.owner)


def _enrolled(context: Context, organization: Organization, address: str, name: str) -> User:
    now = context.now()
    return User(
        organization_id=organization.organization_id,
        user_id=enrolled_user_id(organization.organization_id, address),
        name=name,
        email=address,
        aliases=(),
        state=EntityState.ENABLED,
        attributes=(),
        date_created=now,
        date_enabled=now,
    )


def _names_of(organization: Organization, key: str) -> set[str]:
    """What may be the name of somebody whom the address means."""
    local_part = key.rpartition("@")[0]
    return {key, local_part, f"{local_part}@{organization.default_domain}", f"{key}@{organization.default_domain}"}


def _login(text: str) -> str:
    return address_key(text.rpartition("\\")[2])


def _known(reader: Reader, organization: Organization, address: str) -> User | None:
    """The user or the tombstone that the engine takes the address for; the engine itself says which.

    None where nobody has it yet and somebody can: raises `EntityNotFoundException` where nobody can.
    """
    organization_id, key = organization.organization_id, _login(address)
    local_part = key.rpartition("@")[0]
    live = (users.find(reader, organization_id, login) for login in (key, local_part))
    found = RuleSet.build(organization, users=filter(None, live)).find_user(key)
    if found is not None:
        return found
    names = {key, local_part, f"{key}@{organization.default_domain}"}
    rest = RuleSet.build(
        organization,
        users=users.deleted(reader, organization_id, names),
        groups=groups.having(reader, organization_id, names),
    )
    found = rest.find_user(key)
    if found is None and rest.identify(key) is None:
        raise EntityNotFoundException
    return found or users.get(reader, organization_id, enrolled_user_id(organization_id, key))


def _criteria(given: tuple[str, str] | tuple[()]) -> tuple[dict[str, Any], Callable[[User], bool]]:
    """A ListUsers filter: what the store filters by, and what it does not know and is looked at here."""
    match given:
        case ("UsernamePrefix", prefix):
            return {"name_prefix": prefix}, _any
        case ("DisplayNamePrefix", prefix):
            return {"display_name_prefix": prefix}, _any
        case ("PrimaryEmailPrefix", prefix):
            return {"email_prefix": prefix}, _any
        case ("State", state):
            return {"state": EntityState(state)}, _any
        case ("IdentityProviderUserIdPrefix", prefix):
            start = prefix.lower()
            return {}, lambda user: dict(user.attributes).get("IdentityProviderUserId", "").lower().startswith(start)
    return {}, _any


def _any(_: User) -> bool:
    return True


def _role(role: str | None) -> str | None:
    if role is not None and role not in _ROLES:
        raise InvalidParameterException(f"The role {role} cannot be passed in a request.")
    return role


def _merged(old: tuple[tuple[str, str], ...], given: Mapping[str, str | bool | None]) -> tuple[tuple[str, str], ...]:
    merged = dict(old)
    for name, value in given.items():
        if value is not None:
            merged[name] = str(value).lower() if isinstance(value, bool) else value
    return tuple(sorted((name, value) for name, value in merged.items() if value != ""))

"""Users and their logins; a deleted user stays, in the state DELETED, and gives back its logins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from gatepost.model import EntityState, Kind, User, address_key
from gatepost.store import names
from gatepost.store.schema import organizations
from gatepost.store.tables import NounTable, starts_with

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatepost.store.database import Reader, Transaction

_USERS: NounTable[User] = NounTable(Kind.USER)
_TABLE = _USERS.table


def get(reader: Reader, organization_id: str, user_id: str) -> User | None:
    """The user, deleted or not, or None."""
    return _USERS.get(reader, organization_id, user_id)


def find(reader: Reader, organization_id: str, login_or_id: str) -> User | None:
    r"""The user with this id (deleted or not), else the one who logs in with this name, address or alias; None if none.

    `DOMAIN\alice` is `alice`; `alice` is the user of that name, else `alice@<default domain>`.
    """
    found = get(reader, organization_id, login_or_id.strip())
    if found is not None:
        return found
    login = address_key(login_or_id.rpartition("\\")[2])
    found = named(reader, organization_id, login)
    if found is None and "@" not in login:
        default_domain = reader.connection.execute(
            select(organizations.c.default_domain).where(organizations.c.organization_id == organization_id)
        ).scalar()
        found = named(reader, organization_id, f"{login}@{default_domain}")
    return found


def named(reader: Reader, organization_id: str, login: str) -> User | None:
    """The user, not deleted, who has exactly this name, address or alias; None when nobody has."""
    found = names.LOGINS.owners(reader, organization_id, [address_key(login)])
    return get(reader, organization_id, found[0]) if found else None


def deleted(reader: Reader, organization_id: str, logins: Collection[str]) -> list[User]:
    """The deleted users who had one of these names, addresses or aliases, by id."""
    found = names.DELETED_LOGINS.owners(reader, organization_id, [address_key(login) for login in logins])
    return of_ids(reader, organization_id, found)


def deleted_of(reader: Reader, organization_id: str, logins: Collection[str]) -> set[str]:
    """Those of these keys that a deleted user had as a name, address or alias."""
    return set(names.DELETED_LOGINS.ids(reader, organization_id, logins))


def of_ids(reader: Reader, organization_id: str, user_ids: Collection[str]) -> list[User]:
    """Those of these users that there are, deleted or not, by id; some hundred ids at most."""
    return _USERS.of_ids(reader, organization_id, user_ids)


def find_by_domain(reader: Reader, organization_id: str, domain: str) -> User | None:
    """A user, not deleted, who has an address or an alias in the mail domain (lower case); None when nobody has."""
    found = names.LOGINS.owners_in_domain(reader, organization_id, domain)
    users = (get(reader, organization_id, user_id) for user_id in found)
    return next((user for user in users if user is not None and names.has_address_in(user, domain)), None)


def put(transaction: Transaction, user: User) -> int:
    """Create or replace; returns the revision. Raises UniqueViolation ("login") when somebody else has one of its logins."""
    is_deleted = user.state is EntityState.DELETED
    if not is_deleted:
        names.require_free(transaction, user, user.user_id)
    revision = _USERS.put(transaction, user, **_derived(user))
    organization_id, user_id, logins = user.organization_id, user.user_id, names.keys(user)
    names.LOGINS.replace(transaction, organization_id, user_id, () if is_deleted else logins)
    names.DELETED_LOGINS.replace(transaction, organization_id, user_id, logins if is_deleted else ())
    return revision


def put_new(transaction: Transaction, organization_id: str, new: Sequence[User]) -> None:
    """Create users of the organization who are not there, not deleted, and whose logins nobody has (`taken`)."""
    _USERS.put_many(transaction, new, [_derived(user) for user in new])
    logins = {login: user.user_id for user in new for login in names.keys(user)}
    if logins:
        names.LOGINS.add(transaction, organization_id, logins)


def taken(reader: Reader, organization_id: str, logins: Collection[str]) -> frozenset[str]:
    """Those of these keys that a user, deleted or not, or a group has as a name, address or alias."""
    tables = (names.LOGINS, names.GROUP_NAMES, names.DELETED_LOGINS)
    return frozenset(key for table in tables for key in table.ids(reader, organization_id, logins))


def of_logins(reader: Reader, organization_id: str, logins: Collection[str]) -> dict[str, User]:
    """The user, not deleted, who has exactly this name, address or alias, for those of these keys that somebody has."""
    ids = names.LOGINS.ids(reader, organization_id, logins)
    found = {user.user_id: user for user in of_ids(reader, organization_id, set(ids.values()))}
    return {login: found[user_id] for login, user_id in ids.items()}


def page(
    reader: Reader,
    organization_id: str,
    after: str | None,
    limit: int,
    *,
    name_prefix: str | None = None,
    display_name_prefix: str | None = None,
    email_prefix: str | None = None,
    state: EntityState | None = None,
) -> list[User]:
    """At most `limit` users with an id greater than `after`, by id, deleted ones included; prefixes in any case."""
    conditions = [
        starts_with(_TABLE.c[column], prefix)
        for column, prefix in (
            ("name_key", name_prefix),
            ("display_name_key", display_name_prefix),
            ("email_key", email_prefix),
        )
        if prefix is not None
    ]
    if state is not None:
        conditions.append(_TABLE.c.state == state.value)
    return _USERS.page(reader, organization_id, None if after is None else (after,), limit, *conditions)


def _derived(user: User) -> dict[str, object]:
    """The columns by which ListUsers filters."""
    display_name = dict(user.attributes).get("DisplayName")
    return {
        "name_key": address_key(user.name),
        "email_key": None if user.email is None else address_key(user.email),
        "display_name_key": None if display_name is None else address_key(display_name),
    }

"""Users and their logins; a deleted user stays, in the state DELETED, and gives back its logins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from gatepost.model import EntityState, Kind, User, address_key
from gatepost.store.errors import UniqueViolation
from gatepost.store.schema import logins, organizations
from gatepost.store.tables import NounTable

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

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
    found = _find_login(reader, organization_id, login)
    if found is None and "@" not in login:
        default_domain = reader.connection.execute(
            select(organizations.c.default_domain).where(organizations.c.organization_id == organization_id)
        ).scalar()
        found = _find_login(reader, organization_id, f"{login}@{default_domain}")
    return found


def find_by_domain(reader: Reader, organization_id: str, domain: str) -> User | None:
    """A user, not deleted, who has an address or an alias in the mail domain (lower case); None when nobody has.

    A name that looks like such an address is not one.
    """
    ending = f"@{domain}"
    tail = func.substr(logins.c.login, func.length(logins.c.login) - len(ending) + 1)
    rows = reader.connection.execute(
        select(logins.c.user_id, logins.c.login)
        .where(logins.c.organization_id == organization_id, tail == ending)
        .order_by(logins.c.login)
    )
    for user_id, login in rows.all():
        user = get(reader, organization_id, user_id)
        if user is not None and login in {address_key(one) for one in (user.email or "", *user.aliases)}:
            return user
    return None


def put(transaction: Transaction, user: User) -> int:
    """Create or replace; returns the revision. Raises UniqueViolation ("login") when another user has one of its logins."""
    wanted = () if user.state is EntityState.DELETED else _logins(user)
    _check(transaction, user, wanted)
    display_name = dict(user.attributes).get("DisplayName")
    revision = _USERS.put(
        transaction,
        user,
        name_key=address_key(user.name),
        email_key=None if user.email is None else address_key(user.email),
        display_name_key=None if display_name is None else address_key(display_name),
    )
    own = (logins.c.organization_id == user.organization_id) & (logins.c.user_id == user.user_id)
    transaction.connection.execute(delete(logins).where(own))
    if wanted:
        rows = [{"organization_id": user.organization_id, "login": login, "user_id": user.user_id} for login in wanted]
        transaction.connection.execute(insert(logins), rows)
    return revision


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
        _starts_with(_TABLE.c[column], prefix)
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


def _logins(user: User) -> tuple[str, ...]:
    names = (user.name, *user.aliases) if user.email is None else (user.name, user.email, *user.aliases)
    return tuple(dict.fromkeys(address_key(name) for name in names))


def _find_login(reader: Reader, organization_id: str, login: str) -> User | None:
    named = (logins.c.organization_id == organization_id) & (logins.c.login == login)
    found = reader.connection.execute(select(logins.c.user_id).where(named)).scalar()
    return None if found is None else get(reader, organization_id, found)


def _check(transaction: Transaction, user: User, wanted: tuple[str, ...]) -> None:
    others = (logins.c.organization_id == user.organization_id) & (logins.c.user_id != user.user_id)
    taken = transaction.connection.execute(
        select(logins.c.login, logins.c.user_id).where(others, logins.c.login.in_(wanted)).order_by(logins.c.login)
    ).first()
    if taken is not None:
        raise UniqueViolation("login", taken.login, taken.user_id)


def _starts_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    key = prefix.lower()
    return func.substr(column, 1, len(key)) == key  # no pattern, so nothing in it needs escaping

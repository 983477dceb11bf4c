"""Organizations and their users."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from datetime import datetime

_ENROLLED = UUID("9d0c1f2e-6f0b-5d6c-9a43-5b7f6c1f7a10")


class Directory(StrEnum):
    """Who may be named: `OPEN` takes up users as they appear, `CLOSED` knows only those that were created."""

    OPEN = "open"
    CLOSED = "closed"


class OrganizationState(StrEnum):
    """WorkMail words its organization states as free strings; these are the ones we have."""

    ACTIVE = "Active"
    DELETED = "Deleted"


class EntityState(StrEnum):
    """WorkMail `EntityState`. A deleted user stays as a tombstone, so that an open directory does not take it up again."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DELETED = "DELETED"


class EntityType(StrEnum):
    """What an entity of the directory is: WorkMail `EntityType` without RESOURCE, and `MemberType`."""

    USER = "USER"
    GROUP = "GROUP"


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization; `domains` are its mail domains in lower case, `default_domain` is one of them."""

    organization_id: str
    alias: str
    directory: Directory
    domains: tuple[str, ...]
    default_domain: str
    state: OrganizationState
    date_created: datetime
    date_deleted: datetime | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A user; `name`, `email` and `aliases` are the logins, compared by `address_key`.

    `email` is None until the user is registered (RegisterToWorkMail) or taken up by an open directory.
    `attributes` holds what decides nothing: (WorkMail member name, value) pairs such as ("DisplayName", "Alice").
    """

    organization_id: str
    user_id: str
    name: str
    email: str | None
    aliases: tuple[str, ...]
    state: EntityState
    attributes: tuple[tuple[str, str], ...]
    date_created: datetime
    date_enabled: datetime | None = None
    date_disabled: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group; `name`, `email` and `aliases` are nobody else's, user or group, and no logins.

    `email` is None until the group is registered (RegisterToWorkMail).
    """

    organization_id: str
    group_id: str
    name: str
    email: str | None
    aliases: tuple[str, ...]
    state: EntityState
    hidden_from_global_address_list: bool
    date_created: datetime
    date_enabled: datetime | None = None
    date_disabled: datetime | None = None


Entity: TypeAlias = User | Group


@dataclass(frozen=True, slots=True)
class GroupMember:
    """That a user or a group, neither of them deleted, is a member of a group."""

    organization_id: str
    group_id: str
    member_id: str
    member_type: EntityType


def address_key(login: str) -> str:
    """The form in which two spellings of a login or an address are the same: lower case, no surrounding space."""
    return login.strip().lower()


def enrolled_user_id(organization_id: str, address: str) -> str:
    """The id that an open directory gives to the user of `address`.

    It follows from the address, so that two gateways that see a new user at the same moment mean the same one, and a
    decision about a user can be made before the row exists.
    """
    return str(uuid5(_ENROLLED, f"{organization_id}/{address_key(address)}"))

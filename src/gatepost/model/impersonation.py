"""Impersonation roles: which users' mailboxes a program may open over EWS. Gateways do not decide by them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gatepost.model.rules import Effect

if TYPE_CHECKING:
    from datetime import datetime


class ImpersonationRoleType(StrEnum):
    """What the role may do in a mailbox that it may open (WorkMail `ImpersonationRoleType`)."""

    FULL_ACCESS = "FULL_ACCESS"
    READ_ONLY = "READ_ONLY"


@dataclass(frozen=True, slots=True)
class ImpersonationRule:
    """A rule of a role; the users are ids, an empty tuple is no condition."""

    rule_id: str
    name: str | None
    description: str | None
    effect: Effect
    target_users: tuple[str, ...]
    not_target_users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImpersonationRole:
    """A role (WorkMail `ImpersonationRole`); `rules` are in the order in which they were given."""

    organization_id: str
    role_id: str
    name: str
    type: ImpersonationRoleType
    description: str | None
    rules: tuple[ImpersonationRule, ...]
    date_created: datetime
    date_modified: datetime

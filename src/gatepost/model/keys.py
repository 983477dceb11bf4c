"""Access keys for the control API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Role(StrEnum):
    """What the holder of an access key may do; which operations that are is written in `control.roles`."""

    ADMIN = "admin"
    READ_ONLY = "read-only"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key without its secret, which the store keeps sealed."""

    access_key_id: str
    description: str
    role: Role
    date_created: datetime
    date_revoked: datetime | None = None

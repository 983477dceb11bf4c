"""Access keys for the control API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key without its secret, which the store keeps sealed."""

    access_key_id: str
    description: str
    date_created: datetime
    date_revoked: datetime | None = None

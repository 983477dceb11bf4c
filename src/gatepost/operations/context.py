"""What every operation is given: the store, the clock and who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gatepost.model import Role
    from gatepost.store.database import Store


@dataclass(frozen=True, slots=True)
class Context:
    """`now` answers an aware UTC datetime; `caller` is the access key id, or the name of the part of Gatepost that acts.

    `role` is the access key's; None where a part of Gatepost acts. What a role allows was asked before an operation runs.
    With `bridge_deny_wins` a DENY of the MDM bridge beats a person's ALLOW.
    """

    store: Store
    now: Callable[[], datetime]
    caller: str
    role: Role | None = None
    bridge_deny_wins: bool = False

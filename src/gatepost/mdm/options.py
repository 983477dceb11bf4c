"""What the bridge is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost.engine.posture import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """Whom to believe and how hard to work.

    Keys of the mappings are names of sources. `organizations`: where the users of its devices are looked for; one that is
    missing: in the organization that has their address's mail domain. `match`: what a phone's own word counts for
    ("imei", "serial"). A whole listing is read every `sweep_hours` (6). `instance` names this bridge in the marks that it
    leaves in Amazon WorkMail. `workers` devices are looked after at a time, one that failed `park_after` times is parked,
    notifications and devices that are gone are kept for `keep_days`.
    """

    policy: Policy = field(default_factory=Policy)
    organizations: Mapping[str, str] = field(default_factory=dict)
    match: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sweep_hours: Mapping[str, float] = field(default_factory=dict)
    instance: str = "gatepost"
    first_seen: bool = True
    workers: int = 32
    park_after: int = 12
    keep_days: float = 14.0

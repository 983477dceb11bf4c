"""What the bridge is told when it is made: whom it asks, whom it believes, where it writes, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost.engine.posture import Policy

if TYPE_CHECKING:
    from gatepost.mdm.sources.generic import GenericConfiguration
    from gatepost.mdm.sources.workspace_one import WorkspaceOneConfiguration
    from gatepost.wire.webhook import Credential


@dataclass(frozen=True, slots=True)
class SourceConfiguration:
    """One MDM: how it is asked (`asks` has its name), and the credentials of its notifications, any one of which will do.

    Without credentials it takes no notifications, and is only asked. `organization_id` is where the users of its devices
    are looked for; None: in the organization that has their address's mail domain. A whole listing is read every
    `sweep_hours`. `match_imei`: a phone that the gateway sees first, and whose DeviceId the MDM does not know, may be
    found by its user together with the IMEI that it claims to have.
    """

    asks: WorkspaceOneConfiguration | GenericConfiguration
    credentials: tuple[Credential, ...] = ()
    organization_id: str | None = None
    sweep_hours: float = 6.0
    match_imei: bool = False

    @property
    def name(self) -> str:
        """The name from the configuration; in the webhook's path, in postures, logs and metrics."""
        return self.asks.name


@dataclass(frozen=True, slots=True)
class StoreTarget:
    """Overrides in Gatepost's own store."""

    name: str = "store"


@dataclass(frozen=True, slots=True)
class WorkMailTarget:
    """Overrides in an organization of Amazon WorkMail; `rate` in requests a second.

    Without `access_key_id` the AWS SDK finds its credentials as it usually does. `endpoint_url` is for another server
    that speaks the same API. `source_organization_id` is the organization here whose users' overrides go there; None: all.
    """

    name: str
    organization_id: str
    region: str
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None
    rate: float = 5.0
    source_organization_id: str | None = None


Target = StoreTarget | WorkMailTarget


@dataclass(frozen=True, slots=True)
class BridgeConfiguration:
    """The whole bridge.

    `instance` names this bridge in the marks that it leaves at targets without owners. `workers` devices are looked
    after at a time; one that failed `park_after` times is parked. Notifications are kept for `keep_days`.
    """

    sources: tuple[SourceConfiguration, ...]
    targets: tuple[Target, ...] = (StoreTarget(),)
    policy: Policy = field(default_factory=Policy)
    instance: str = "gatepost"
    workers: int = 8
    park_after: int = 12
    keep_days: float = 14.0

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
    `sweep_hours`. `match`, "imei" or "serial": what a phone that the gateway sees first, and whose DeviceId the MDM does
    not know, may be found by, together with its user; it says so itself.
    """

    asks: WorkspaceOneConfiguration | GenericConfiguration
    credentials: tuple[Credential, ...] = ()
    organization_id: str | None = None
    sweep_hours: float = 6.0
    match: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name from the configuration; in the webhook's path, in postures, logs and metrics."""
        return self.asks.name


@dataclass(frozen=True, slots=True)
class WorkMailConfiguration:
    """An organization of Amazon WorkMail; `rate` in requests a second.

    Without `access_key_id` the AWS SDK finds its credentials as it usually does. `endpoint_url` is for another server that
    speaks the same API.
    """

    organization_id: str
    region: str
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    rate: float = 5.0


@dataclass(frozen=True, slots=True)
class BridgeConfiguration:
    """The whole bridge. It writes into this store where `local` says so, and into `workmail` where there is one.

    `instance` names this bridge in the marks that it leaves at targets without owners. `workers` devices are looked
    after at a time; one that failed `park_after` times is parked. Notifications are kept for `keep_days`. `first_seen`:
    phones that the gateway sees first are looked up in the sources.
    """

    sources: tuple[SourceConfiguration, ...]
    local: bool = True
    workmail: WorkMailConfiguration | None = None
    policy: Policy = field(default_factory=Policy)
    instance: str = "gatepost"
    first_seen: bool = True
    workers: int = 32
    park_after: int = 12
    keep_days: float = 14.0

    @property
    def organizations(self) -> dict[str, str]:
        """Where each source's users are looked for, where that is said."""
        return {one.name: one.organization_id for one in self.sources if one.organization_id is not None}

"""Devices as an MDM knows them: posture, what is remembered of it, and how a source is doing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gatepost.model.device import canonical_device_id
from gatepost.model.directory import address_key
from gatepost.model.rules import Effect  # noqa: TC001 - the store reads the annotations

if TYPE_CHECKING:
    from datetime import datetime


class Managed(StrEnum):
    """Whether the MDM manages the device; NO also while it is being wiped or unenrolled."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Compliance(StrEnum):
    """What the MDM says of its compliance rules; NOT_AVAILABLE: it has none for this device."""

    COMPLIANT = "compliant"
    NON_COMPLIANT = "non-compliant"
    PENDING = "pending"
    NOT_AVAILABLE = "not-available"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Posture:
    """A device as its source described it at `observed_at`.

    `user_addresses` and `device_ids` (ActiveSync DeviceIds) come out canonical, sorted and each once, however they were
    given; a source leaves out what is not 1 to 32 letters and digits. `state_time` is when the MDM last heard of the
    device, None when it does not say. `grace_until`: the MDM itself gives a device that is not compliant until then.
    `gone`: the source has answered twice that there is no such device; the rest is then what was known last.
    `other_key`: what the source's notifications may call the device instead of `device_key`; None: nothing else.
    """

    source: str
    device_key: str
    managed: Managed
    compliance: Compliance
    compromised: bool | None
    user_addresses: tuple[str, ...]
    device_ids: tuple[str, ...]
    serial: str | None
    imei: str | None
    friendly_name: str | None
    state_time: datetime | None
    observed_at: datetime
    grace_until: datetime | None = None
    gone: bool = False
    other_key: str | None = None

    def __post_init__(self) -> None:
        """One spelling of each address and DeviceId, so that two equal descriptions are equal."""
        object.__setattr__(self, "user_addresses", tuple(sorted({address_key(one) for one in self.user_addresses})))
        object.__setattr__(self, "device_ids", tuple(sorted({canonical_device_id(one) for one in self.device_ids})))


@dataclass(frozen=True, slots=True)
class Moments:
    """Since when a device has been so, without a break that counts (`engine.posture.remember`); None: it is not.

    `managed_since` stays when it is not managed any more, or gone: `left_since` then. None in both: it was never seen managed.
    """

    pending_since: datetime | None = None
    compliant_since: datetime | None = None
    without_ids_since: datetime | None = None
    managed_since: datetime | None = None
    left_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device with its memory: every address and every DeviceId that it ever had, those of today included."""

    posture: Posture
    addresses: tuple[str, ...]
    device_ids: tuple[str, ...]
    moments: Moments = Moments()


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to handle a dirty device until `lease_until`, as long as nobody has claimed it since.

    `urgent`: somebody told of this very device (a notification, a person); False: a sweep, or a look that was due.
    `attempts` counts this one; `generation` moves whenever the device is marked dirty.
    """

    source: str
    device_key: str
    generation: int
    token: str
    attempts: int
    urgent: bool
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Parked:
    """A dirty device that was given up after too many attempts; a notification of it, or a person, brings it back."""

    source: str
    device_key: str
    attempts: int
    last_error: str
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class Notification:
    """What a source sent, as it came; `device_key` is None when it told of no device.

    `notification_id` is the sender's, or a digest of the body; `times` counts how often it came, `received_at` is the
    last time.
    """

    source: str
    notification_id: str
    device_key: str | None
    body: bytes
    received_at: datetime
    times: int = 1


@dataclass(frozen=True, slots=True)
class AppliedOverride:
    """What the bridge wrote last for a user and a device at a target, and for the sake of which device of an MDM.

    `theirs_since`: since when it is known that somebody edited that, or took it away; the bridge keeps its hands off.
    `doubtful_since`: since when a listing of the target has shown something else, which is to be looked at.
    """

    target: str
    organization_id: str
    user_id: str
    device_id: str
    effect: Effect
    description: str | None
    expires: datetime | None
    source: str
    device_key: str
    written_at: datetime
    theirs_since: datetime | None = None
    doubtful_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing; None is "never", or "it does not say".

    `listed` is how many devices the last whole sweep counted, `sweep_allowed` how many ALLOWs there were when it began;
    by `sweep_settled_at` every device that it marked had been looked at (None: not yet). `guard` says why mass changes are held back,
    until a person confirms. At `alive_at` a process served it.
    """

    source: str
    answered_at: datetime | None = None
    sweep_started_at: datetime | None = None
    sweep_finished_at: datetime | None = None
    sweep_settled_at: datetime | None = None
    sweep_position: str | None = None
    sweep_allowed: int | None = None
    listed: int | None = None
    failures: int = 0
    last_error: str | None = None
    closed_until: datetime | None = None
    quota_remaining: int | None = None
    quota_reset_at: datetime | None = None
    guard: str | None = None
    guard_since: datetime | None = None
    guard_confirmed_at: datetime | None = None
    alive_at: datetime | None = None

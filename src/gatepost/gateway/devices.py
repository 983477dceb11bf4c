"""What the gateway knows about each device that logged in, and how that reaches the store: in batches.

A device enters here only after the mail server accepted its credentials, so that whoever cannot log in leaves no trace.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from gatepost.model import Device, DeviceFacts
from gatepost.store import devices as store_devices
from gatepost.store.database import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Address, IPv6Address

    from gatepost.engine import AccessRequest, Decision, RuleSet
    from gatepost.gateway.identify import Identity
    from gatepost.store.database import Store
    from gatepost.wire.eas.request import EasRequest

log = structlog.get_logger(__name__)

NOTHING_REPORTED = DeviceFacts()
_LAST_SEEN_SECONDS = 60.0  # how stale last_seen in the store may be; what a device is gets written at the next flush
_CHANGES_AT_ONCE = 10  # of one device: setting it up makes three or four
_CHANGE_SECONDS = 900.0  # for each one more: it is a row in the feed, and a program may rename itself each second
_MOST_IN_A_BATCH = (
    2_000  # rows in one transaction: tens of milliseconds, so that administrators' writes are not held up
)


class DeviceState:
    """One (user, device) in memory; `decision` remembers the last answer for `request` under `ruleset`."""

    __slots__ = (
        "address",
        "changes",
        "decision",
        "device_id",
        "device_type",
        "facts",
        "first_seen",
        "http_user_agent",
        "ip_address",
        "last_seen",
        "organization_id",
        "owed",
        "protocol_version",
        "provisioned",
        "request",
        "ruleset",
        "saved",
        "taken",
        "user_id",
        "written",
    )

    def __init__(self, organization_id: str, user_id: str, device_id: str, now: float) -> None:
        self.organization_id = organization_id
        self.user_id = user_id
        self.device_id = device_id
        self.address: str | None = None
        self.device_type = ""
        self.http_user_agent: str | None = None
        self.protocol_version: str | None = None
        self.ip_address: IPv4Address | IPv6Address | None = None
        self.facts = NOTHING_REPORTED
        self.provisioned = False
        self.first_seen = self.last_seen = now
        self.written = 0.0
        self.changes = 0  # counted, so that one that comes during a write is not taken for written
        self.taken = self.saved = 0
        self.owed = 0.0  # when its changes that were written will have been made up for, as in `budgets`
        self.request: AccessRequest | None = None
        self.ruleset: RuleSet | None = None
        self.decision: Decision | None = None

    def shows(self, device_type: str, http_user_agent: str | None, protocol_version: str | None) -> bool:
        """What its requests say; True when that is not as it was. `request` speaks of what was, so it goes."""
        if (
            self.device_type == device_type
            and self.http_user_agent == http_user_agent
            and self.protocol_version == protocol_version
        ):
            return False
        self.device_type = device_type
        self.http_user_agent = http_user_agent
        self.protocol_version = protocol_version
        self.request = None
        return True

    @property
    def changed(self) -> bool:
        """True while the store does not have what is known here."""
        return self.changes != self.saved

    def noun(self) -> Device:
        """The row as it is to be."""
        return Device(
            organization_id=self.organization_id,
            user_id=self.user_id,
            device_id=self.device_id,
            device_type=self.device_type,
            http_user_agent=self.http_user_agent,
            protocol_version=self.protocol_version,
            last_ip_address=None if self.ip_address is None else str(self.ip_address),
            first_seen=datetime.fromtimestamp(self.first_seen, UTC),
            last_seen=datetime.fromtimestamp(self.last_seen, UTC),
            facts=self.facts,
        )


class Devices:
    """All devices, by (user id, canonical device id).

    `enroll(organization_id, address)` takes a user up in an open directory and returns the user id it really has; it is
    given by the composition root, because gateways do not change rules themselves.
    """

    def __init__(
        self, store: Store, enroll: Callable[[str, str], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._enroll = enroll
        self._states: dict[tuple[str, str], DeviceState] = {}
        self._dirty: set[DeviceState] = set()
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        """How many devices are known."""
        return len(self._states)

    def get(self, user_id: str, device_id: str) -> DeviceState | None:
        """The device's state, or None when it never logged in."""
        return self._states.get((user_id, device_id))

    def count(self, user_id: str) -> int:
        """How many devices of the user are known."""
        return self._counts.get(user_id, 0)

    def _add(self, state: DeviceState) -> None:
        self._states[state.user_id, state.device_id] = state
        self._counts[state.user_id] = self._counts.get(state.user_id, 0) + 1

    def _drop(self, state: DeviceState) -> None:
        self._dirty.discard(state)
        if self._states.pop((state.user_id, state.device_id), None) is not None:
            left = self._counts[state.user_id] - 1
            if left:
                self._counts[state.user_id] = left
            else:
                del self._counts[state.user_id]

    def load(self, devices: Iterable[Device]) -> None:
        """Take over what the store knows; what is waiting to be written here stays newer."""
        for device in devices:
            self.learn(device)

    def learn(self, device: Device) -> DeviceState:
        """Another gateway, or this one's own flush, wrote a device: take its facts unless newer ones wait here."""
        state = self._states.get((device.user_id, device.device_id))
        if state is None:
            state = DeviceState(device.organization_id, device.user_id, device.device_id, device.first_seen.timestamp())
            self._add(state)
            state.last_seen = state.written = device.last_seen.timestamp()
        if not state.changed:
            state.shows(device.device_type, device.http_user_agent, device.protocol_version)
            if state.facts != device.facts:
                state.facts = device.facts
                state.request = None
        return state

    def forget(self, user_id: str, device_id: str) -> None:
        """An administrator had it forgotten: when it comes back, it comes for the first time."""
        state = self._states.get((user_id, device_id))
        if state is not None:
            self._drop(state)

    def seen(
        self,
        identity: Identity,
        eas: EasRequest,
        http_user_agent: str | None,
        ip_address: IPv4Address | IPv6Address | None,
        now: float,
    ) -> DeviceState:
        """A device logged in at `now` (Unix time)."""
        state = self._states.get((identity.user_id, eas.device_id))
        if state is None:
            state = DeviceState(identity.organization_id, identity.user_id, eas.device_id, now)
            self._add(state)
            state.address = identity.address
            state.changes += 1
        if state.shows(eas.device_type, http_user_agent, eas.protocol_version):
            state.changes += 1
        state.ip_address = ip_address
        state.last_seen = now
        if state.changed or now - state.written > _LAST_SEEN_SECONDS:
            self._dirty.add(state)
        return state

    def report(self, state: DeviceState, facts: DeviceFacts) -> None:
        """A device said what it is."""
        if state.facts != facts:
            state.facts = facts
            state.request = None
            state.changes += 1
            self._dirty.add(state)

    def take(self) -> list[DeviceState]:
        """What is to be written now; `written` or `again` must follow. Who changes all the time waits, with the latest."""
        latest = self._clock() + (_CHANGES_AT_ONCE - 1) * _CHANGE_SECONDS
        due = (state for state in self._dirty if state.owed <= latest or not state.changed)
        batch = list(islice(due, _MOST_IN_A_BATCH))
        self._dirty.difference_update(batch)
        for state in batch:
            state.taken = state.changes
        return batch

    def write(self, batch: list[DeviceState], nouns: list[Device], addresses: list[str | None]) -> list[DeviceState]:
        """Write a batch, in a thread; returns those whose user turned out to be another one, to be dropped."""
        kept, dropped = [], []
        for state, noun, address in zip(batch, nouns, addresses, strict=True):
            if address is None or self._enrolled(noun, address):
                kept.append(noun)
            else:
                dropped.append(state)
        with self._store.begin() as transaction:
            store_devices.save(transaction, kept)
        return dropped

    def _enrolled(self, noun: Device, address: str) -> bool:
        """Take the user up; False when it is another one by now, or when the directory does not take it any more."""
        try:
            return self._enroll(noun.organization_id, address) == noun.user_id
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - an operation's refusal: it must not hold up the other devices
            log.warning("device.not_enrolled", user_id=noun.user_id, device_id=noun.device_id, error=repr(error))
            return False

    def written(self, batch: list[DeviceState], dropped: list[DeviceState]) -> None:
        """A batch is in the store."""
        now = self._clock()
        for state in batch:
            if state.taken != state.saved:
                state.owed = max(state.owed, now) + _CHANGE_SECONDS
            state.written = state.last_seen
            state.saved = state.taken
            state.address = None
        for state in dropped:
            self._drop(state)

    def again(self, batch: list[DeviceState]) -> None:
        """A batch could not be written: it stays due."""
        self._dirty.update(batch)

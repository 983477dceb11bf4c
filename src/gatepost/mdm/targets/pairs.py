"""What stands in this store for pairs of a user and a DeviceId, read for many users at once and written together.

In between it is what it will be: whoever asks sees what was decided before him in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gatepost.model import EntityState, Owner
from gatepost.operations import mobile_device_access_overrides as operations
from gatepost.operations.users import enroll_all
from gatepost.store import mdm_applied, mobile_device_access_overrides, organizations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from gatepost.model import AppliedOverride, MobileDeviceAccessOverride
    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction

Pair = tuple[str, str, str]
"""Organization id, user id, canonical DeviceId."""

N = TypeVar("N")


class Pairs:
    """For one transaction, or one snapshot; `target` is the store's name as a target."""

    def __init__(self, reader: Reader, target: str) -> None:
        self._reader = reader
        self._target = target
        self._users: set[tuple[str, str]] = set()
        self._devices: set[tuple[str, str]] = set()
        self._persons: dict[Pair, MobileDeviceAccessOverride] = {}
        self._bridges: _Rows[MobileDeviceAccessOverride] = _Rows()
        self._applied: _Rows[AppliedOverride] = _Rows()
        self._new: dict[tuple[str, str], str] = {}

    def load_users(self, organization_id: str, user_ids: Collection[str]) -> None:
        """Read what there is for these users of the organization; some hundred at most."""
        missing = {user_id for user_id in user_ids if (organization_id, user_id) not in self._users}
        if not missing:
            return
        self._users |= {(organization_id, user_id) for user_id in missing}
        for one in mobile_device_access_overrides.of_users(self._reader, organization_id, missing):
            pair = (one.organization_id, one.user_id, one.device_id)
            if one.owner is Owner.PERSON:
                self._persons[pair] = one
            else:
                self._bridges.read(pair, one)
        for written in mdm_applied.of_users(self._reader, self._target, organization_id, missing):
            self._applied.read(_pair(written), written)

    def load_devices(self, source: str, device_keys: Collection[str]) -> None:
        """Read what was written for the sake of these devices of the source; some hundred at most."""
        missing = {key for key in device_keys if (source, key) not in self._devices}
        if not missing:
            return
        self._devices |= {(source, key) for key in missing}
        for written in mdm_applied.of_devices(self._reader, self._target, source, missing):
            self._applied.read(_pair(written), written)

    def of_device(self, source: str, device_key: str) -> list[AppliedOverride]:
        """What was written for the sake of the device, by pair."""
        self.load_devices(source, [device_key])
        mine = (source, device_key)
        return sorted((one for one in self._applied.now() if (one.source, one.device_key) == mine), key=_pair)

    def applied(self, pair: Pair) -> AppliedOverride | None:
        """What was written last."""
        self.load_users(pair[0], [pair[1]])
        return self._applied.get(pair)

    def bridges(self, pair: Pair) -> MobileDeviceAccessOverride | None:
        """The bridge's override that is there."""
        self.load_users(pair[0], [pair[1]])
        return self._bridges.get(pair)

    def persons(self, pair: Pair) -> MobileDeviceAccessOverride | None:
        """A person's override that is there."""
        self.load_users(pair[0], [pair[1]])
        return self._persons.get(pair)

    def put(self, override: MobileDeviceAccessOverride, applied: AppliedOverride, address: str | None) -> None:
        """An override of the bridge's; `address` takes up a user who is not in the directory yet."""
        pair = _pair(applied)
        self.load_users(pair[0], [pair[1]])
        self._bridges.put(pair, override)
        self._applied.put(pair, applied)
        if address is not None:
            self._new[applied.organization_id, applied.user_id] = address

    def delete(self, pair: Pair) -> None:
        """The bridge's override, and what is remembered of it."""
        self.load_users(pair[0], [pair[1]])
        self._bridges.put(pair, None)
        self._applied.put(pair, None)

    def remember(self, pair: Pair, applied: AppliedOverride | None) -> None:
        """Only what is remembered; None: nothing."""
        self.load_users(pair[0], [pair[1]])
        self._applied.put(pair, applied)

    def write(self, context: Context, transaction: Transaction) -> list[AppliedOverride]:
        """Write all of it; returns what could not be, because its user cannot be taken up."""
        unwritten = [one for user in self._not_taken_up(context, transaction) for one in self._give_up(user)]
        operations.replace_in(transaction, *self._bridges.changes())
        puts, deletes = self._applied.changes()
        mdm_applied.put(transaction, *puts)
        mdm_applied.delete_many(transaction, deletes)
        return unwritten

    def _not_taken_up(self, context: Context, transaction: Transaction) -> Iterator[tuple[str, str]]:
        needed = {pair[:2] for pair in self._bridges.changed()}
        by_organization: dict[str, dict[str, str]] = {}
        for (organization_id, user_id), address in self._new.items():
            if (organization_id, user_id) in needed:
                by_organization.setdefault(organization_id, {})[address] = user_id
        for organization_id, users in by_organization.items():
            organization = organizations.get(transaction, organization_id)
            taken_up = {} if organization is None else enroll_all(context, transaction, organization, users)
            for address, user_id in users.items():
                user = taken_up.get(address)
                if user is None or user.user_id != user_id or user.state is not EntityState.ENABLED:
                    yield organization_id, user_id

    def _give_up(self, user: tuple[str, str]) -> Iterable[AppliedOverride]:
        for pair in self._bridges.changed():
            if pair[:2] == user:
                applied = self._applied.get(pair)
                self.delete(pair)
                if applied is not None:
                    yield applied


class _Rows(dict[Pair, N | None]):
    """Rows by pair as they will be, and as they were read."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[Pair, N] = {}

    def read(self, pair: Pair, row: N) -> None:
        """A row that is there, unless it has been changed since."""
        if pair not in self:
            self[pair] = self._before[pair] = row

    def put(self, pair: Pair, row: N | None) -> None:
        """What it is from now on."""
        self[pair] = row

    def now(self) -> list[N]:
        """All that are."""
        return [row for row in self.values() if row is not None]

    def changed(self) -> list[Pair]:
        """The pairs that are not as they were, in order."""
        return sorted(pair for pair, row in self.items() if row != self._before.get(pair))

    def changes(self) -> tuple[list[N], list[N]]:
        """What is to be put, and which of the rows that were read are to be deleted; by pair."""
        pairs = self.changed()
        puts = [row for pair in pairs if (row := self[pair]) is not None]
        return puts, [self._before[pair] for pair in pairs if self[pair] is None]


def _pair(applied: AppliedOverride) -> Pair:
    return applied.organization_id, applied.user_id, applied.device_id

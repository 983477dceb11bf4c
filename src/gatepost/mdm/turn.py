"""One transaction of the bridge's for several devices: what they need is read at once, what comes of them is written at once.

In between each device is judged in the light of those before it in the same turn, as if it had a transaction of its own. A
statement costs a tenth of a millisecond here, and a trip to a server on PostgreSQL; with one for each row, settling would
consist of them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gatepost.mdm.deciding import Everybody
from gatepost.mdm.guard import Guard
from gatepost.model import Posture
from gatepost.store import mdm_applied, mdm_devices, mdm_looks, mdm_sources, mdm_work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from gatepost.mdm.targets.local import LocalTarget
    from gatepost.mdm.targets.pairs import Pairs
    from gatepost.model import Claim, KnownDevice
    from gatepost.store.database import Transaction
    from gatepost.store.mdm_devices import Remembered

Key = tuple[str, str]
"""Source and device key."""


class Turn:
    """Made with the claims and what their sources answered; `write` is the last step before the commit.

    Of a device that was told of meanwhile the next look comes after a `pause`.
    """

    def __init__(
        self,
        transaction: Transaction,
        answers: Mapping[Claim, object],
        *,
        local: LocalTarget | None,
        organizations: Mapping[str, str],
        counted_at: str,
        pause: timedelta = timedelta(0),
    ) -> None:
        self.transaction = transaction
        self.pairs: Pairs | None = None if local is None else local.pairs(transaction)
        self._local = local
        # nobody else writes meanwhile, and whoever is taken up gets the id that he has here
        self.everybody = Everybody(transaction, organizations)
        self._counted_at = counted_at
        self._pause = pause
        self._claims = mdm_work.held(transaction, answers.keys())
        self._keys: dict[str, list[str]] = {}
        for claim in self._claims:
            self._keys.setdefault(claim.source, []).append(claim.device_key)
        self._before: dict[Key, Remembered] = {}
        for source, keys in self._keys.items():
            found = mdm_devices.remembered(transaction, source, keys)
            self._before |= {(source, key): one for key, one in found.items()}
        self._now = dict(self._before)
        self._others: dict[Key, KnownDevice] = {}
        self._guards: dict[str, Guard] = {}
        self._ended: dict[Claim, datetime | None] = {}
        self._marks: dict[bool, set[Key]] = {}
        self._holders: dict[str, set[Key]] = {}
        self._load([answers[claim] for claim in self._claims])

    def holds(self, claim: Claim) -> bool:
        """The fence: whether nobody has claimed the device since."""
        return claim in self._claims

    def remembered(self, source: str, device_key: str) -> Remembered | None:
        """What is known of a claimed device."""
        return self._now.get((source, device_key))

    def remember(self, device: Remembered) -> None:
        """What is known of a claimed device from now on."""
        key = (device.posture.source, device.posture.device_key)
        self._now[key] = device
        for device_id in device.known.device_ids:
            if device_id in self._holders:  # else it is read when somebody asks
                self._holders[device_id].add(key)

    def related(self, device: KnownDevice) -> list[KnownDevice]:
        """Every device that shares a DeviceId with this one; itself, as it is given, included."""
        itself = (device.posture.source, device.posture.device_key)
        missing = [one for one in device.device_ids if one not in self._holders]
        if missing:
            self._find_holders(missing)
        others = {key for one in device.device_ids for key in self._holders[one]} - {itself}
        unread = [key for key in others if key not in self._now and key not in self._others]
        for one in mdm_devices.of_keys(self.transaction, unread):
            self._others[one.posture.source, one.posture.device_key] = one
        found = (self._now[key].known if key in self._now else self._others.get(key) for key in others)
        return mdm_devices.in_order([device, *(one for one in found if one is not None)])

    def guard(self, source: str) -> Guard:
        """The mass-change guard of the source of a claimed device."""
        if source not in self._guards:
            state = mdm_sources.get(self.transaction, source)
            allowed = state.sweep_allowed
            if allowed is None:
                allowed = mdm_applied.allowed(self.transaction, self._counted_at, source)
            looks = mdm_looks.of(self.transaction, source, self._keys[source])
            self._guards[source] = Guard(state, allowed, looks, lambda: mdm_looks.counts(self.transaction, source))
        return self._guards[source]

    def take_stand(self, source: str, reason: str) -> None:
        """The guard stands from now on."""
        now = self.transaction.now
        self.guard(source).state = mdm_sources.change(self.transaction, source, guard=reason, guard_since=now)

    def end(self, claim: Claim, again: datetime | None = None) -> None:
        """The device is handled, to be looked at `again` then."""
        self._ended[claim] = again

    def mark(self, keys: Iterable[Key], *, urgent: bool) -> None:
        """Rows of targets that are elsewhere are dirty."""
        self._marks.setdefault(urgent, set()).update(keys)

    def write(self) -> None:
        """Write everything; in the order in which others lock: devices' rows before their sources'."""
        if self._local is not None and self.pairs is not None:
            self._local.write(self.transaction, self.pairs)
        changed = [(self._before.get(key), one) for key, one in self._now.items() if one is not self._before.get(key)]
        mdm_devices.keep(self.transaction, changed)
        mdm_work.finish(self.transaction, self._ended, self._claims, self._pause)
        for urgent, keys in sorted(self._marks.items()):
            mdm_work.dirty_many(self.transaction, keys, urgent=urgent)
        for source, guard in sorted(self._guards.items()):
            mdm_looks.put(self.transaction, source, guard.changed)

    def _load(self, answers: Sequence[object]) -> None:
        """What nearly every device needs."""
        device_ids: set[str] = set()
        named: dict[str, set[str]] = {source: set() for source in self._keys}
        for (source, _), one in self._before.items():
            device_ids.update(one.known.device_ids)
            named[source].update(one.known.addresses)
        for answer in answers:
            if isinstance(answer, Posture):
                device_ids.update(answer.device_ids)
                named.setdefault(answer.source, set()).update(answer.user_addresses)
        self._find_holders(device_ids)
        users: dict[str, set[str]] = {}
        for source, theirs in named.items():
            addresses = self.everybody.addresses(source)
            addresses.look_up(theirs)
            for user in filter(None, map(addresses.user_of, theirs)):
                organization_id, _, user_id = user.partition("/")
                users.setdefault(organization_id, set()).add(user_id)
        if self.pairs is not None:
            for organization_id, user_ids in users.items():
                self.pairs.load_users(organization_id, user_ids)
            for source, keys in self._keys.items():
                self.pairs.load_devices(source, keys)

    def _find_holders(self, device_ids: Iterable[str]) -> None:
        wanted = set(device_ids)
        self._holders |= {one: set() for one in wanted} | mdm_devices.holders(self.transaction, wanted)
        for key, device in self._now.items():
            for one in wanted.intersection(device.known.device_ids):
                self._holders[one].add(key)

"""From a device, as it is remembered, to what is wanted for users of this store's organizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gatepost.engine.posture import ask_again, assess, pairs_of, wanted
from gatepost.mdm.targets.base import no_longer_wanted, wish_for
from gatepost.model import Directory as Openness
from gatepost.model import Effect, OrganizationState, enrolled_user_id
from gatepost.store import devices, organizations, users

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from gatepost.engine.posture import Policy, Verdict
    from gatepost.mdm.targets.base import Wish
    from gatepost.model import AppliedOverride, Device, KnownDevice, Organization, Posture, User
    from gatepost.store.database import Reader

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Decided:
    """What is wanted for a device's users, and when that can change without news.

    `narrows` is when something that is only kept for a while ends. `stranger` is an address of a device that would be
    allowed, if anybody here had the address.
    """

    wishes: tuple[Wish, ...]
    look_again: datetime | None
    stranger: str | None = None
    narrows: datetime | None = None


class Users(Protocol):
    """Whose addresses are; a user is `<organization id>/<user id>`."""

    def of(self, source: str) -> Callable[[str], str | None]:
        """Whose an address is that the source names; None: nobody's."""

    def to_be_taken_up(self, user: str) -> str | None:
        """The address of a user who is not in the directory yet."""


class Addresses:
    """Whose an address is, in one snapshot: a user of `organization_id`, or of the organization with its mail domain."""

    def __init__(self, reader: Reader, organization_id: str | None) -> None:
        self._reader = reader
        self._organization_id = organization_id
        self._found: dict[str, str | None] = {}
        self._users: dict[str, User] = {}
        self._new: dict[str, str] = {}
        self._organizations: dict[str, Organization | None] = {}

    def user_of(self, address: str) -> str | None:
        """`<organization id>/<user id>`; of nobody yet, where an open directory will take the address up; None: nobody's."""
        if address not in self._found:
            self.look_up([address])
        return self._found[address]

    def of(self, source: str) -> Callable[[str], str | None]:  # noqa: ARG002 - all have the same
        """For `decide`, where all sources have their users here."""
        return self.user_of

    def to_be_taken_up(self, user: str) -> str | None:
        """The address of a user who is not in the directory yet."""
        return self._new.get(user)

    def user(self, user: str) -> User | None:
        """The user as the directory has him, whose address was asked for; None where he is not there yet."""
        return self._users.get(user)

    def look_up(self, addresses: Iterable[str]) -> None:
        """Whose all of these are, at once; some hundred at most."""
        by_organization: dict[str, tuple[Organization, list[str]]] = {}
        for address in dict.fromkeys(addresses):
            if address not in self._found:
                self._found[address] = None
                organization = self._organization(address)
                if organization is not None and organization.state is OrganizationState.ACTIVE:
                    by_organization.setdefault(organization.organization_id, (organization, []))[1].append(address)
        for organization, theirs in by_organization.values():
            self._look_up(organization, theirs)

    def _look_up(self, organization: Organization, addresses: list[str]) -> None:
        organization_id = organization.organization_id
        there = users.of_logins(self._reader, organization_id, addresses)
        for address, user in there.items():
            self._found[address] = key = f"{organization_id}/{user.user_id}"
            self._users[key] = user
        new = {
            address: enrolled_user_id(organization_id, address)
            for address in addresses
            if address not in there and organization.directory is Openness.OPEN and _within(organization, address)
        }
        if not new:
            return
        left = users.deleted_of(self._reader, organization_id, new)
        left |= {user.user_id for user in users.of_ids(self._reader, organization_id, set(new.values()))}
        for address, user_id in new.items():
            if address not in left and user_id not in left:
                self._found[address] = key = f"{organization_id}/{user_id}"
                self._new[key] = address

    def _organization(self, address: str) -> Organization | None:
        domain = "" if self._organization_id is not None else address.rpartition("@")[2]
        if domain not in self._organizations:
            self._organizations[domain] = (
                organizations.find_by_domain(self._reader, domain)
                if self._organization_id is None
                else organizations.get(self._reader, self._organization_id)
            )
        return self._organizations[domain]


class Everybody:
    """Whose addresses are, for each source in its own `organizations`; in one snapshot."""

    def __init__(self, reader: Reader, organizations: Mapping[str, str]) -> None:
        self._reader = reader
        self._organizations = organizations
        self._addresses: dict[str | None, Addresses] = {}

    def addresses(self, source: str) -> Addresses:
        """Of the source's organization."""
        organization_id = self._organizations.get(source)
        if organization_id not in self._addresses:
            self._addresses[organization_id] = Addresses(self._reader, organization_id)
        return self._addresses[organization_id]

    def of(self, source: str) -> Callable[[str], str | None]:
        """Whose an address is that the source names; None: nobody's."""
        return self.addresses(source).user_of

    def to_be_taken_up(self, user: str) -> str | None:
        """The address of a user who is not in the directory yet."""
        return next((found for one in self._addresses.values() if (found := one.to_be_taken_up(user))), None)

    def user(self, user: str) -> User | None:
        """The user as the directory has him, whose address was asked for; None where he is not there yet."""
        return next((found for one in self._addresses.values() if (found := one.user(user)) is not None), None)


def decide(
    related: Iterable[KnownDevice],
    known: KnownDevice,
    addresses: Users,
    policy: Policy,
    now: datetime,
    *,
    sources: Collection[str],
    written: Sequence[AppliedOverride] = (),
) -> Decided:
    """What all `sources` that speak of the device's users and DeviceIds want together; other sources do not count.

    `related` are the devices that share a DeviceId with it (`store.mdm_devices.related`), itself included. What was
    `written` for the device's sake and is not accounted for any more is to be taken away.
    """
    speaking = [one for one in related if one.posture.source in sources]
    verdicts = wanted(speaking, policy, now, by_source=addresses.of)
    # a device of nobody's has a say about whoever has its DeviceIds
    mine = pairs_of(known, addresses.of(known.posture.source)) or {
        pair for pair in verdicts if pair[1] in known.device_ids
    }
    keys = {pair: (*pair[0].split("/", 1), pair[1]) for pair in verdicts}
    accounted = {(one.organization_id, one.user_id, one.device_id) for one in written}
    pairs = [pair for pair in verdicts if pair in mine or keys[pair] in accounted]
    wishes = [_wish(pair, verdicts[pair], addresses, policy) for pair in pairs]
    left = accounted - set(keys.values())
    wishes += [no_longer_wanted(one) for one in written if (one.organization_id, one.user_id, one.device_id) in left]
    looks = [verdicts[pair].look_again for pair in pairs] + [ask_again(known, now)]
    stranger = None
    if not wishes and known.posture.device_ids and known.posture.user_addresses:
        allowed = assess(known.posture, policy, now, known.moments).effect is Effect.ALLOW
        stranger = known.posture.user_addresses[0] if allowed else None
    kept = [verdicts[pair].look_again for pair in pairs if verdicts[pair].effect is None]
    return Decided(tuple(wishes), _first(looks), stranger, _first(kept))


def claimed_ids(reader: Reader, posture: Posture, addresses: Addresses, match: Collection[str]) -> tuple[str, ...]:
    """DeviceIds of phones of the posture's users that say that they are this device; only where `match` takes their word.

    `imei`: the phone says its IMEI in DeviceInformation. `serial`: its DeviceId is `Appl` and the serial number, as
    older iPhones form it.
    """
    if not match or not (posture.imei or posture.serial):
        return ()
    of_users = [user for address in posture.user_addresses if (user := addresses.user_of(address)) is not None]
    found = {
        device.device_id
        for user in of_users
        for device in _phones(reader, *user.split("/", 1))
        if says_it_is(device, posture, match)
    }
    return tuple(sorted(found))


def says_it_is(device: Device, posture: Posture, match: Collection[str]) -> bool:
    """Whether a phone's own word makes it the device of the posture."""
    imei, said = _digits(posture.imei), _digits(device.facts.imei)
    by_imei = "imei" in match and len(imei) >= 14 and imei[:14] == said[:14]  # the 15th digit is a checksum
    serial = (posture.serial or "").strip().upper()
    return by_imei or ("serial" in match and len(serial) >= 8 and device.device_id == f"APPL{serial}")


def _wish(pair: tuple[str, str], verdict: Verdict, addresses: Users, policy: Policy) -> Wish:
    organization_id, _, user_id = pair[0].partition("/")
    return wish_for((organization_id, user_id, pair[1]), verdict, policy, addresses.to_be_taken_up(pair[0]))


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((one for one in moments if one is not None), default=None)


def _within(organization: Organization, address: str) -> bool:
    return address.rpartition("@")[2] in organization.domains


def _phones(reader: Reader, organization_id: str, user_id: str) -> Iterator[Device]:
    after: str | None = None
    while page := devices.page(reader, organization_id, after, _PAGE, user_id=user_id):
        yield from page
        after = devices.position(page[-1])


def _digits(text: str | None) -> str:
    return "".join(character for character in text or "" if character.isdecimal() and character.isascii())

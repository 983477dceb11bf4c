"""Whether one condition list of a rule matches: True, False, or None while that depends on what may still be reported.

A device's property is compared as the pair (values in lower case, whether one more value may still come). Type, model
and operating system have one value or none; user agents may be several, and a list looks at all of them. None is exact:
it is returned only if a completion that matches and one that does not both exist (Kleene's "unknown", leaf by leaf).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost.engine.access import AccessRequest, DeviceProperties
    from gatepost.model import Action

Subject = TypeVar("Subject")
Test: TypeAlias = Callable[[Subject], bool | None]

NONE: Final = "$none"
"""In a positive list: matches a device that did not report the property (written `$NONE`; lists ignore case)."""

PROPERTIES: Final = ("DeviceType", "DeviceModel", "DeviceOperatingSystem", "DeviceUserAgent")
"""The four properties by WorkMail's names, in the order of `ShownDevice`."""

Shown: TypeAlias = tuple[tuple[str, ...], bool]
ShownDevice: TypeAlias = tuple[Shown, Shown, Shown, Shown]


def shown(device: DeviceProperties) -> ShownDevice:
    """What the device has shown, ready to compare; an empty value counts as not reported."""
    more = not device.complete
    model = device.device_model
    system = device.device_operating_system
    return (
        ((device.device_type.lower(),) if device.device_type else (), False),
        ((model.lower(),), False) if model else ((), more),
        ((system.lower(),), False) if system else ((), more),
        (tuple([agent.lower() for agent in device.user_agents if agent]), more),
    )


def prefixes(listed: Iterable[str]) -> tuple[str, ...]:
    """The listed values as they are compared, without `$NONE`, which is no prefix of anything."""
    return tuple(value for value in map(str.lower, listed) if value != NONE)


def starts_with_any(index: int, listed: tuple[str, ...]) -> Test[ShownDevice]:
    """Matches if a value of property `index` starts with a listed one; `$NONE` if the property was not reported."""
    wanted = prefixes(listed)
    or_none = len(wanted) < len(listed)

    def test(device: ShownDevice) -> bool | None:
        values, more = device[index]
        for value in values:
            if value.startswith(wanted):
                return True
        if not values:
            return None if more else or_none
        return None if more and wanted else False

    return test


def starts_with_none(index: int, listed: tuple[str, ...]) -> Test[ShownDevice]:
    """Matches if property `index` was reported and none of its values starts with a listed one."""
    unwanted = prefixes(listed)

    def test(device: ShownDevice) -> bool | None:
        values, more = device[index]
        for value in values:
            if value.startswith(unwanted):
                return False
        if not values:
            return None if more else False
        return None if more and unwanted else True

    return test


class AccessSubject(NamedTuple):
    """What access control rules look at; `address` is (version, number), IPv4-mapped IPv6 as IPv4."""

    action: Action
    address: tuple[int, int] | None
    user_id: str | None
    impersonation_role_id: str | None


def access_subject(request: AccessRequest) -> AccessSubject:
    """The request as access control rules compare it: ids in lower case, the address as a number."""
    return AccessSubject(
        request.action,
        None if request.ip_address is None else address_number(request.ip_address),
        request.user_id.lower() if request.user_id else None,
        request.impersonation_role_id.lower() if request.impersonation_role_id else None,
    )


def address_number(address: IPv4Address | IPv6Address) -> tuple[int, int]:
    """The address as (version, number); an IPv4-mapped IPv6 address is the IPv4 address that it carries."""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address.version, int(address)


def address_in(ranges: tuple[str, ...], *, unknown: bool) -> Test[AccessSubject]:
    """Matches an address in one of the CIDR ranges; `unknown` when the address is not known. Raises ValueError."""
    known = AddressRanges(ranges)
    return lambda subject: unknown if subject.address is None else known.holds(*subject.address)


def address_not_in(ranges: tuple[str, ...], *, unknown: bool) -> Test[AccessSubject]:
    """Matches an address in none of the CIDR ranges; `unknown` when the address is not known. Raises ValueError."""
    known = AddressRanges(ranges)
    return lambda subject: unknown if subject.address is None else not known.holds(*subject.address)


def action_in(actions: tuple[Action, ...]) -> Test[AccessSubject]:
    """Matches one of the actions."""
    return lambda subject: subject.action in actions


def user_in(user_ids: tuple[str, ...]) -> Test[AccessSubject]:
    """Matches one of the users."""
    ids = frozenset(map(str.lower, user_ids))
    return lambda subject: subject.user_id in ids


def role_in(role_ids: tuple[str, ...]) -> Test[AccessSubject]:
    """Matches one of the impersonation roles."""
    ids = frozenset(map(str.lower, role_ids))
    return lambda subject: subject.impersonation_role_id in ids


def outside(test: Test[Subject]) -> Test[Subject]:
    """The plain complement: a request of an impersonation role is outside every list of users."""
    return lambda subject: not test(subject)


class AddressRanges:
    """A set of CIDR ranges, merged and sorted, so that a thousand of them cost no more than ten."""

    def __init__(self, ranges: Iterable[str]) -> None:
        networks = [_unmapped_network(ip_network(text, strict=False)) for text in ranges]
        four = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
        six = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
        bounds = {4: [_bounds(network) for network in four], 6: [_bounds(network) for network in six]}
        self._starts = {version: [start for start, _ in pairs] for version, pairs in bounds.items()}
        self._ends = {version: [end for _, end in pairs] for version, pairs in bounds.items()}

    def holds(self, version: int, address: int) -> bool:
        """Whether the address of that IP version lies in one of the ranges."""
        at = bisect_right(self._starts[version], address) - 1
        return at >= 0 and address <= self._ends[version][at]


def _unmapped_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
    return network


def _bounds(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)

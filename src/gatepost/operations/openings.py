"""From which addresses, and for whom, access control rules let somebody in: exact, for all addresses that there are.

Theory of operation. The ranges that rules name cut the addresses into stretches within which every rule says the same. So
the engine is asked about one address of each stretch; stretches that lie in the same ranges need only one question. Of
users, too, only those count whom a rule names, and one whom none names.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_network,
    summarize_address_range,
)
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gatepost.engine import AccessRequest, access_control_effect
from gatepost.engine.matching import AddressRanges, access_subject
from gatepost.model import AccessControlRule, Action, EntityState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatepost.engine import RuleSet

Network: TypeAlias = IPv4Network | IPv6Network
_Address: TypeAlias = IPv4Address | IPv6Address

_ANYBODY: Final = "somebody whom no rule names"
_BITS = ((4, 32), (6, 128))


@dataclass(frozen=True, slots=True)
class Opening:
    """By `action` somebody is let in from `networks`: these users, or anybody (None). `rules` are those that allow it.

    `everywhere`: the networks are all that there are, beside those that were given.
    """

    action: Action
    networks: tuple[Network, ...]
    everywhere: bool
    user_ids: tuple[str, ...] | None
    rules: tuple[str, ...]


class _Stretch(NamedTuple):
    first: _Address
    last: _Address
    named: bool  # lies in one of the networks that were given
    alike: tuple[bool | None, ...]  # which conditions on addresses it meets


class Openings:
    """What the rules let in, seen from `networks` (an organization's own, or an MDM's proxy) and from everywhere else."""

    def __init__(self, ruleset: RuleSet, networks: Iterable[str]) -> None:
        self._ruleset = ruleset
        self._stretches = tuple(_stretches(ruleset, tuple(networks)))
        self._answers: dict[tuple[Action, str, tuple[bool | None, ...]], tuple[str, ...] | None] = {}
        self._users = (_ANYBODY, *_named_users(ruleset))

    def beyond(self, action: Action) -> Opening | None:
        """From where else than the networks `action` lets somebody in."""
        return self._opening(action, named=False)

    def closed(self, action: Action, *, named: bool = True) -> tuple[Network, ...]:
        """Of the networks (or with `named=False`, of everywhere else), where `action` lets nobody in whom no rule names."""
        return _networks(
            one for one in self._stretches if one.named is named and self._ask(action, _ANYBODY, one) is None
        )

    def _opening(self, action: Action, *, named: bool) -> Opening | None:
        open_to: dict[str, list[_Stretch]] = {}
        rules: set[str] = set()
        for user_id in self._users:
            for one in self._stretches:
                allowing = self._ask(action, user_id, one) if one.named is named else None
                if allowing is not None:
                    open_to.setdefault(user_id, []).append(one)
                    rules.update(allowing)
        if not open_to:
            return None
        user_ids = None if _ANYBODY in open_to else tuple(sorted(open_to))
        stretches = open_to.get(_ANYBODY) or [one for theirs in open_to.values() for one in theirs]
        everywhere = {one for one in self._stretches if one.named is named} == set(stretches)
        return Opening(action, _networks(stretches), everywhere, user_ids, tuple(sorted(rules)))

    def _ask(self, action: Action, user_id: str, stretch: _Stretch) -> tuple[str, ...] | None:
        """The rules that let this user in from there; None when they do not."""
        key = (action, user_id, stretch.alike)
        if key not in self._answers:
            decision = access_control_effect(self._ruleset, AccessRequest(action, stretch.first, user_id))
            self._answers[key] = decision.matched_rules if decision.allowed else None
        return self._answers[key]


def _stretches(ruleset: RuleSet, networks: tuple[str, ...]) -> Iterator[_Stretch]:
    given = AddressRanges(networks)
    ranges = [network for text in (*networks, *_ranges(ruleset)) if (network := _network(text)) is not None]
    tests = [
        condition.test
        for rule in ruleset.access_control_rules
        for condition in rule.conditions
        if condition.about == "IpAddress"
    ]
    for version, bits in _BITS:
        kind = IPv4Address if version == 4 else IPv6Address
        of_version = [one for one in ranges if one.version == version]
        starts = {0, *(int(one.network_address) for one in of_version)}
        starts |= {int(one.broadcast_address) + 1 for one in of_version}
        edges = [*sorted(starts - {1 << bits}), 1 << bits]
        for start, end in pairwise(edges):
            subject = access_subject(AccessRequest(Action.ACTIVE_SYNC, kind(start)))
            alike = tuple(test(subject) for test in tests)
            yield _Stretch(kind(start), kind(end - 1), given.holds(version, start), alike)


def _ranges(ruleset: RuleSet) -> Iterator[str]:
    for rule in ruleset.access_control_rules:
        if isinstance(rule.source, AccessControlRule):
            yield from rule.source.ip_ranges
            yield from rule.source.not_ip_ranges


def _network(text: str) -> Network | None:
    # A rule whose range is none cannot be evaluated, so it denies everywhere.
    with suppress(ValueError):
        network = ip_network(text, strict=False)
        mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
        if mapped is not None and network.prefixlen >= 96:
            return IPv4Network((mapped, network.prefixlen - 96))
        return network
    return None


def _named_users(ruleset: RuleSet) -> tuple[str, ...]:
    """Those whom a rule names and who could come in."""
    named = {
        user_id
        for rule in ruleset.access_control_rules
        if isinstance(rule.source, AccessControlRule)
        for user_id in (*rule.source.user_ids, *rule.source.not_user_ids)
    }
    users = ruleset.users
    return tuple(sorted(one for one in named if one not in users or users[one].state is EntityState.ENABLED))


def _networks(stretches: Iterable[_Stretch]) -> tuple[Network, ...]:
    """The stretches as the fewest networks, IPv4 first."""
    four: list[IPv4Network] = []
    six: list[IPv6Network] = []
    for one in stretches:
        if isinstance(one.first, IPv4Address) and isinstance(one.last, IPv4Address):
            four += summarize_address_range(one.first, one.last)
        elif isinstance(one.first, IPv6Address) and isinstance(one.last, IPv6Address):
            six += summarize_address_range(one.first, one.last)
    return (*collapse_addresses(four), *collapse_addresses(six))

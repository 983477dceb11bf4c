"""Direct mode and proxy mode: what they require of an organization's rules, and the calls that bring it about.

Direct mode: ActiveSync is the only way in for devices from outside, and a device that nobody has vouched for is denied; the
MDM bridge vouches by overrides. Proxy mode: ActiveSync is let in from the addresses of an MDM's proxy only, which vouches.
Autodiscover shows no mail, and phones find their server by it, so it may stay open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from gatepost.engine import Decision, DeviceProperties, mobile_device_access_effect
from gatepost.engine.matching import prefixes
from gatepost.model import (
    AccessControlRule,
    Action,
    Change,
    DeviceConditions,
    Effect,
    Kind,
    MobileDeviceAccessRule,
)
from gatepost.operations import access_control_rules, mobile_device_access_rules
from gatepost.operations.openings import Network, Opening, Openings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gatepost.engine import RuleSet
    from gatepost.operations.context import Context

PRIVATE_NETWORKS: Final = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
"""Where nobody outside can be, so what an administrator who says nothing else means by inside."""

OTHER_WAYS: Final = tuple(one for one in Action if one not in {Action.ACTIVE_SYNC, Action.AUTO_DISCOVER})
"""The ways to mail other than ActiveSync."""

DEFAULT_DENY: Final = "DefaultDenyAll"
ACTIVE_SYNC: Final = "ActiveSync"
ACTIVE_SYNC_ONLY: Final = "ActiveSyncOnly"
FROM_PROXY_ONLY: Final = "ActiveSyncFromProxyOnly"

_FOR_PHONES = (Action.ACTIVE_SYNC.value, Action.AUTO_DISCOVER.value)
_Value: TypeAlias = str | tuple[str, ...]
Rule: TypeAlias = AccessControlRule | MobileDeviceAccessRule


@dataclass(frozen=True, slots=True)
class RuleCall:
    """One call of the WorkMail API that makes or replaces a rule; `before` is the rule that it replaces."""

    operation: str
    parameters: Mapping[str, _Value]
    before: Rule | None = None


@dataclass(frozen=True, slots=True)
class Unvouched:
    """A device without an override that is let in, or that may be once it has said all of itself."""

    device: DeviceProperties
    decision: Decision


def other_ways_in(ruleset: RuleSet, inside: Iterable[str]) -> tuple[Opening, ...]:
    """The ways to mail, beside ActiveSync, that are open to somebody outside the networks `inside`."""
    openings = Openings(ruleset, inside)
    return tuple(found for action in OTHER_WAYS if (found := openings.beyond(action)) is not None)


def phones_come_in(ruleset: RuleSet, inside: Iterable[str]) -> bool:
    """Whether access control rules let ActiveSync in from anywhere outside at all."""
    return Openings(ruleset, inside).beyond(Action.ACTIVE_SYNC) is not None


def past_the_proxy(ruleset: RuleSet, proxies: Iterable[str]) -> Opening | None:
    """From where else than the proxy ActiveSync is let in."""
    return Openings(ruleset, proxies).beyond(Action.ACTIVE_SYNC)


def proxies_kept_out(ruleset: RuleSet, proxies: Iterable[str]) -> tuple[Network, ...]:
    """Addresses of the proxy from which ActiveSync is not let in."""
    return Openings(ruleset, proxies).closed(Action.ACTIVE_SYNC)


def unvouched(ruleset: RuleSet) -> Unvouched | None:
    """A device that the device rules let in, or may let in, whatever an MDM thinks of it; None: there is none.

    Tried is a device of each listed type and user agent, and one that is like none of them, that has said nothing else
    yet: the engine answers DENY only if nothing that it may still say changes that.
    """
    for device in _strangers(ruleset):
        decision = mobile_device_access_effect(ruleset, device)
        if decision.effect is not Effect.DENY:
            return Unvouched(device, decision)
    return None


def direct_mode(ruleset: RuleSet, inside: Sequence[str] = ()) -> tuple[RuleCall, ...]:
    """The calls that are missing for direct mode; `inside` are the networks in which other ways to mail stay open."""
    judged = inside or PRIVATE_NETWORKS
    calls = []
    if other_ways_in(ruleset, judged):
        described = "Devices from outside reach mail by ActiveSync only"
        lists = {"not_actions": _FOR_PHONES, **({"not_ip_ranges": tuple(inside)} if inside else {})}
        calls.append(_access(ruleset, ACTIVE_SYNC_ONLY, Effect.DENY, described, **lists))
    if not phones_come_in(ruleset, judged):
        calls.append(_let_in(ruleset))
    if unvouched(ruleset) is not None:
        calls.append(_default_deny(ruleset))
    return tuple(calls)


def proxy_mode(ruleset: RuleSet, proxies: Sequence[str]) -> tuple[RuleCall, ...]:
    """The calls that are missing for proxy mode with a proxy that comes from these networks."""
    calls = []
    if past_the_proxy(ruleset, proxies) is not None:
        described = "ActiveSync comes from the proxy of the MDM only"
        lists = {"actions": (Action.ACTIVE_SYNC.value,), "not_ip_ranges": tuple(proxies)}
        calls.append(_access(ruleset, FROM_PROXY_ONLY, Effect.DENY, described, **lists))
    if proxies_kept_out(ruleset, proxies):
        calls.append(_let_in(ruleset))
    return tuple(calls)


def after(ruleset: RuleSet, calls: Iterable[RuleCall]) -> RuleSet:
    """The rules as they would be after the calls."""
    for call in calls:
        kind, key, rule = _rule(ruleset, call)
        change = Change(ruleset.revision + 1, rule.organization_id, kind, key, rule, ruleset.organization.date_created)
        ruleset = ruleset.apply(change)
    return ruleset


def carry_out(context: Context, organization_id: str, calls: Iterable[RuleCall]) -> None:
    """Make the calls, in order. Raises WorkMailError, `LimitExceededException` at ten rules above all."""
    for call in calls:
        _OPERATIONS[call.operation](context, organization_id=organization_id, **call.parameters)


def _strangers(ruleset: RuleSet) -> Iterator[DeviceProperties]:
    agents = [(), *((agent,) for agent in _listed(ruleset, "DeviceUserAgent"))]
    for device_type in (None, *_listed(ruleset, "DeviceType")):
        for agent in agents:
            yield DeviceProperties(device_type=device_type, user_agents=agent, complete=False)


def _listed(ruleset: RuleSet, about: str) -> tuple[str, ...]:
    """Each listed value, and one that begins like none of them."""
    listed = {
        value
        for rule in ruleset.device_rules
        for condition in rule.conditions
        if condition.about == about
        for value in prefixes(condition.listed)
    } - {""}
    firsts = {value[0] for value in listed}
    unlike = next(letter for letter in map(chr, range(ord("a"), 0x10FFFF)) if letter not in firsts)
    return (*sorted(listed), unlike)


def _access(ruleset: RuleSet, name: str, effect: Effect, description: str, **lists: tuple[str, ...]) -> RuleCall:
    known = {rule.key: rule.source for rule in ruleset.access_control_rules}.get(name)
    parameters: dict[str, _Value] = {"name": name, "effect": effect.value, "description": description, **lists}
    return RuleCall("put_access_control_rule", parameters, known)


def _let_in(ruleset: RuleSet) -> RuleCall:
    return _access(ruleset, ACTIVE_SYNC, Effect.ALLOW, "Phones come in by ActiveSync", actions=_FOR_PHONES)


def _default_deny(ruleset: RuleSet) -> RuleCall:
    parameters: dict[str, _Value] = {
        "name": DEFAULT_DENY,
        "effect": Effect.DENY.value,
        "description": "Only devices that an override allows",
    }
    for rule in ruleset.device_rules:
        if rule.source.name == DEFAULT_DENY:
            parameters["mobile_device_access_rule_id"] = rule.key
            return RuleCall("update_mobile_device_access_rule", parameters, rule.source)
    return RuleCall("create_mobile_device_access_rule", parameters)


def _rule(ruleset: RuleSet, call: RuleCall) -> tuple[Kind, tuple[str, ...], Rule]:
    organization_id, at = ruleset.organization.organization_id, ruleset.organization.date_created
    given = call.parameters
    name, effect, description = str(given["name"]), Effect(str(given["effect"])), str(given["description"])
    if call.operation == "put_access_control_rule":
        lists = {key: tuple(given.get(key, ())) for key in _LISTS}
        for key in ("actions", "not_actions"):
            lists[key] = tuple(map(Action, lists[key]))
        access = AccessControlRule(organization_id, name, effect, description, **lists, date_created=at, date_modified=at)  # type: ignore[arg-type]  # fmt: skip
        return Kind.ACCESS_CONTROL_RULE, (name,), access
    rule_id = str(given.get("mobile_device_access_rule_id", name))
    rule = MobileDeviceAccessRule(organization_id, rule_id, name, effect, description, DeviceConditions(), at, at)
    return Kind.MOBILE_DEVICE_ACCESS_RULE, (rule_id,), rule


_LISTS: Final = (
    "ip_ranges",
    "not_ip_ranges",
    "actions",
    "not_actions",
    "user_ids",
    "not_user_ids",
    "impersonation_role_ids",
    "not_impersonation_role_ids",
)

_OPERATIONS: Final[Mapping[str, Callable[..., object]]] = {
    "put_access_control_rule": access_control_rules.put,
    "create_mobile_device_access_rule": mobile_device_access_rules.create,
    "update_mobile_device_access_rule": mobile_device_access_rules.update,
}

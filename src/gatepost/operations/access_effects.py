"""What the rules would say: WorkMail's two simulations, answered by the engine from the store's present rules."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from gatepost.engine import AccessRequest, DeviceProperties, RuleSet, access_control_effect, mobile_device_access_effect
from gatepost.model import Action, Effect, EntityState
from gatepost.operations import access_control_rules, mobile_device_access_rules
from gatepost.operations.errors import EntityNotFoundException, InvalidParameterException
from gatepost.operations.impersonation_roles import require as require_role
from gatepost.operations.organizations import require_active
from gatepost.operations.users import require

if TYPE_CHECKING:
    from gatepost.operations.context import Context


@dataclass(frozen=True, slots=True)
class MatchedRule:
    """A device rule that produced the effect."""

    rule_id: str
    name: str


@dataclass(frozen=True, slots=True)
class MobileDeviceAccessEffect:
    """The answer of GetMobileDeviceAccessEffect."""

    effect: Effect
    matched_rules: tuple[MatchedRule, ...]


@dataclass(frozen=True, slots=True)
class AccessControlEffect:
    """The answer of GetAccessControlEffect; `matched_rules` are names."""

    effect: Effect
    matched_rules: tuple[str, ...]


def get_mobile_device_access_effect(
    context: Context,
    *,
    organization_id: str,
    device_type: str | None = None,
    device_model: str | None = None,
    device_operating_system: str | None = None,
    device_user_agent: str | None = None,
) -> MobileDeviceAccessEffect:
    """What the device rules say of a device that has reported exactly these properties; overrides play no part."""
    with context.store.read() as reader:
        organization = require_active(reader, organization_id)
        rules = mobile_device_access_rules.all_rules(reader, organization_id)
    agents = () if device_user_agent is None else (device_user_agent,)
    properties = DeviceProperties(device_type, device_model, device_operating_system, agents, complete=True)
    decision = mobile_device_access_effect(RuleSet.build(organization, rules=rules), properties)
    names = {rule.rule_id: rule.name for rule in rules}
    matched = tuple(MatchedRule(rule_id, names[rule_id]) for rule_id in decision.matched_rules)
    return MobileDeviceAccessEffect(decision.effect or Effect.DENY, matched)


def get_access_control_effect(
    context: Context,
    *,
    organization_id: str,
    ip_address: str,
    action: str,
    user_id: str | None = None,
    impersonation_role_id: str | None = None,
) -> AccessControlEffect:
    """What the access control rules say of this user, or impersonation role, by this protocol and from this address.

    Raises `EntityNotFoundException`, `ResourceNotFoundException` for an unknown one.
    """
    if (user_id is None) == (impersonation_role_id is None):
        raise InvalidParameterException("You must provide either the user ID or impersonation role ID.")
    asked = access_control_rules.action_of(action)
    if impersonation_role_id is not None and asked is not Action.EWS:
        raise InvalidParameterException("Impersonation role ID can only be used with Action EWS.")
    address = _address(ip_address)
    with context.store.read() as reader:
        organization = require_active(reader, organization_id)
        user = None if user_id is None else require(reader, organization, user_id)
        if impersonation_role_id is not None:
            require_role(reader, organization_id, impersonation_role_id)
        rules = access_control_rules.all_rules(reader, organization_id)
    if user is not None and user.state is EntityState.DELETED:
        raise EntityNotFoundException
    request = AccessRequest(asked, address, None if user is None else user.user_id, impersonation_role_id)
    decision = access_control_effect(RuleSet.build(organization, access_control_rules=rules), request)
    return AccessControlEffect(decision.effect or Effect.DENY, decision.matched_rules)


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidParameterException(f"{text} is not a valid IPv4 or IPv6 address.") from None

"""The decision: state of organization and user, access control rules, override, device rules, in this order.

Each step either decides or passes the request on; the last one always decides. Nothing here raises: what cannot be
evaluated is a DENY with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Final, NamedTuple, ParamSpec, TypeAlias

from gatepost.engine.access import AccessRequest, Decision, DeviceProperties, Reason
from gatepost.engine.completions import agree, waits_for
from gatepost.engine.matching import access_subject, shown
from gatepost.engine.rules import RuleError
from gatepost.engine.ruleset import RuleSet
from gatepost.model import Action, Directory, Effect, EntityState, OrganizationState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost.engine.matching import ShownDevice, Subject
    from gatepost.engine.rules import CompiledRule

_P = ParamSpec("_P")
_Step: TypeAlias = Callable[[RuleSet, AccessRequest], Decision | None]


class Step(StrEnum):
    """The steps of a decision, in order."""

    ORGANIZATION = "organization"
    USER = "user"
    ACCESS_CONTROL_RULES = "access control rules"
    OVERRIDE = "mobile device access override"
    DEVICE_RULES = "mobile device access rules"


def _fails_closed(function: Callable[_P, Decision]) -> Callable[_P, Decision]:
    @wraps(function)
    def closed(*args: _P.args, **kwargs: _P.kwargs) -> Decision:
        try:
            return function(*args, **kwargs)
        except RuleError as error:
            return Decision(Effect.DENY, Reason.ERROR, (error.rule,), _revision(args), error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the answer is no
            return Decision(Effect.DENY, Reason.ERROR, (), _revision(args), error=f"{type(error).__name__}: {error}")

    return closed


@_fails_closed
def decide(ruleset: RuleSet, request: AccessRequest) -> Decision:
    """Whether the request is let in, and why; undecided while that depends on what the device has not reported yet."""
    for _, step in STEPS:
        decision = step(ruleset, request)
        if decision is not None:
            return decision
    raise AssertionError("the last step decides")


@_fails_closed
def mobile_device_access_effect(ruleset: RuleSet, properties: DeviceProperties) -> Decision:
    """What the device rules alone say about these properties (WorkMail `GetMobileDeviceAccessEffect`)."""
    device = shown(properties)
    sorted_rules = _sort(ruleset.device_rules, device)
    if sorted_rules.open:
        if not sorted_rules.denying and not agree(sorted_rules.open, device, allowed=bool(sorted_rules.allowing)):
            missing = waits_for(sorted_rules.open, device)
            return Decision(None, Reason.DEVICE_INFORMATION_REQUIRED, (), ruleset.revision, missing)
        # Whatever may still come changes nothing, so nothing coming does not either: explained by what is known now.
        sorted_rules = _sort(ruleset.device_rules, _as_it_stands(device))
    return sorted_rules.decision(
        Reason.MOBILE_DEVICE_ACCESS_RULE, Reason.NO_MOBILE_DEVICE_ACCESS_RULE, ruleset.revision
    )


@_fails_closed
def access_control_effect(ruleset: RuleSet, request: AccessRequest) -> Decision:
    """What the access control rules alone say about the request (WorkMail `GetAccessControlEffect`)."""
    sorted_rules = _sort(ruleset.access_control_rules, access_subject(request))
    return sorted_rules.decision(Reason.ACCESS_CONTROL_RULE, Reason.NO_ACCESS_CONTROL_RULE, ruleset.revision)


class _Sorted(NamedTuple):
    """The keys of the rules that match, by effect, and the rules whose outcome is open."""

    denying: list[str]
    allowing: list[str]
    open: list[CompiledRule[ShownDevice]]

    def decision(self, matched: Reason, unmatched: Reason, revision: int) -> Decision:
        if self.denying:
            return Decision(Effect.DENY, matched, tuple(self.denying), revision)
        if self.allowing:
            return Decision(Effect.ALLOW, matched, tuple(self.allowing), revision)
        return Decision(Effect.DENY, unmatched, (), revision)


def _sort(rules: Sequence[CompiledRule[Subject]], subject: Subject) -> _Sorted:
    denying: list[str] = []
    allowing: list[str] = []
    undecided: list[CompiledRule[ShownDevice]] = []
    for rule in rules:
        matches = rule.matches(subject)
        if matches:
            (denying if rule.effect is Effect.DENY else allowing).append(rule.key)
        elif matches is None:
            undecided.append(rule)  # type: ignore[arg-type]  # only device rules are ever open
    return _Sorted(denying, allowing, undecided)


def _as_it_stands(device: ShownDevice) -> ShownDevice:
    kind, model, system, agents = device
    return (kind[0], False), (model[0], False), (system[0], False), (agents[0], False)


def _organization(ruleset: RuleSet, _: AccessRequest) -> Decision | None:
    if ruleset.organization.state is OrganizationState.ACTIVE:
        return None
    return Decision(Effect.DENY, Reason.ORGANIZATION_NOT_FOUND, (), ruleset.revision)


def _user(ruleset: RuleSet, request: AccessRequest) -> Decision | None:
    user_id = request.user_id
    if user_id is None:
        known = request.impersonation_role_id is not None
    else:
        user = ruleset.users.get(user_id)
        if user is not None:
            if user.state is EntityState.ENABLED:
                return None
            return Decision(Effect.DENY, Reason.USER_NOT_ENABLED, (), ruleset.revision)
        known = ruleset.organization.directory is Directory.OPEN and user_id not in ruleset.group_user_ids
    return None if known else Decision(Effect.DENY, Reason.USER_NOT_FOUND, (), ruleset.revision)


def _access_control_rules(ruleset: RuleSet, request: AccessRequest) -> Decision | None:
    sorted_rules = _sort(ruleset.access_control_rules, access_subject(request))
    if sorted_rules.allowing and not sorted_rules.denying and request.action is Action.ACTIVE_SYNC:
        return None
    return sorted_rules.decision(Reason.ACCESS_CONTROL_RULE, Reason.NO_ACCESS_CONTROL_RULE, ruleset.revision)


def _override(ruleset: RuleSet, request: AccessRequest) -> Decision | None:
    override = ruleset.override(request.user_id, request.device_ids) if request.user_id else None
    if override is None:
        return None
    return Decision(Effect(override.effect), Reason.MOBILE_DEVICE_ACCESS_OVERRIDE, (), ruleset.revision)


def _device_rules(ruleset: RuleSet, request: AccessRequest) -> Decision:
    return mobile_device_access_effect(ruleset, request.device)


def _revision(args: tuple[object, ...]) -> int:
    ruleset = args[0] if args else None
    return ruleset.revision if isinstance(ruleset, RuleSet) else 0


STEPS: Final[tuple[tuple[Step, _Step], ...]] = (
    (Step.ORGANIZATION, _organization),
    (Step.USER, _user),
    (Step.ACCESS_CONTROL_RULES, _access_control_rules),
    (Step.OVERRIDE, _override),
    (Step.DEVICE_RULES, _device_rules),
)
"""In which order; None passes the request on to the next one, and the last one always decides."""

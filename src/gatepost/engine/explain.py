"""Why: the decision, with every step, every rule and every condition that was looked at.

It runs the same steps and the same tests as `decide` and only writes down what they say. `because` is for people, the
rest for programs: `dataclasses.asdict` gives values that JSON can carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from gatepost.engine.access import Reason
from gatepost.engine.decide import STEPS, Step, access_control_effect, decide
from gatepost.engine.matching import NONE, AddressRanges, access_subject, address_number, shown
from gatepost.engine.rules import RuleError
from gatepost.model import Action, Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gatepost.engine.access import AccessRequest, Decision
    from gatepost.engine.matching import Subject
    from gatepost.engine.rules import CompiledRule, Condition
    from gatepost.engine.ruleset import RuleSet
    from gatepost.model import Effect


class Outcome(StrEnum):
    """What a step did."""

    PASSED = "passed"
    DECIDED = "decided"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class ConditionExplained:
    """One condition list: what it lists, what it was compared with, whether it matched (None: not known yet)."""

    name: str
    listed: tuple[str, ...]
    compared: tuple[str, ...]
    matched: bool | None
    because: str


@dataclass(frozen=True, slots=True)
class RuleExplained:
    """One rule; `produced` marks those that produced the decision, `error` says why it could not be evaluated."""

    key: str
    name: str
    effect: Effect
    matched: bool | None
    produced: bool
    conditions: tuple[ConditionExplained, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class StepExplained:
    """One step; its rules are evaluated even where it was not reached, to show what they would have said."""

    step: Step
    outcome: Outcome
    because: str
    rules: tuple[RuleExplained, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision of `decide`, and how it came about."""

    decision: Decision
    steps: tuple[StepExplained, ...]


def explain(ruleset: RuleSet, request: AccessRequest) -> Explanation:
    """The decision on this request with all its steps and rules."""
    decision = decide(ruleset, request)
    steps: list[StepExplained] = []
    decided = False
    for name, step in STEPS:
        outcome, because = Outcome.NOT_REACHED, "decided before"
        if not decided:
            decided = _decides(step, ruleset, request)
            outcome = Outcome.DECIDED if decided else Outcome.PASSED
            because = _decided(decision, ruleset, request) if decided else _passed(name, ruleset, request)
        produced = decision.matched_rules if outcome is Outcome.DECIDED else ()
        steps.append(StepExplained(name, outcome, because, _rules(name, ruleset, request, produced)))
    return Explanation(decision, tuple(steps))


def _decides(
    step: Callable[[RuleSet, AccessRequest], Decision | None], ruleset: RuleSet, request: AccessRequest
) -> bool:
    try:
        return step(ruleset, request) is not None
    except Exception:  # noqa: BLE001 - `decide` met it as well and denied: failing decides
        return True


def _passed(step: Step, ruleset: RuleSet, request: AccessRequest) -> str:
    match step:
        case Step.ORGANIZATION:
            return f"organization `{ruleset.organization.organization_id}` is active"
        case Step.USER if request.user_id is None:
            return f"impersonation role `{request.impersonation_role_id}`"
        case Step.USER if request.user_id not in ruleset.users:
            return f"user `{request.user_id}` is new, and the directory is open"
        case Step.USER:
            return f"user `{request.user_id}` is enabled"
        case Step.ACCESS_CONTROL_RULES:
            return f"allowed by {_quoted(access_control_effect(ruleset, request).matched_rules)}"
        case _:
            return f"no override for device {_quoted(request.device_ids) or '(none named)'}"


def _decided(decision: Decision, ruleset: RuleSet, request: AccessRequest) -> str:
    rules = _quoted(_name(ruleset, key) for key in decision.matched_rules)
    texts = {
        Reason.ORGANIZATION_NOT_FOUND: "the organization is deleted",
        Reason.USER_NOT_FOUND: f"no user `{request.user_id}` is known" if request.user_id else "no user is known",
        Reason.USER_NOT_ENABLED: f"user `{request.user_id}` is not enabled",
        Reason.ACCESS_CONTROL_RULE: f"matched by {rules}",
        Reason.NO_ACCESS_CONTROL_RULE: "no access control rule matches",
        Reason.MOBILE_DEVICE_ACCESS_OVERRIDE: _override(ruleset, request),
        Reason.MOBILE_DEVICE_ACCESS_RULE: f"matched by {rules}",
        Reason.NO_MOBILE_DEVICE_ACCESS_RULE: "no mobile device access rule matches",
        Reason.DEVICE_INFORMATION_REQUIRED: f"depends on {', '.join(decision.waits_for)}, not reported yet",
    }
    return texts.get(decision.reason) or decision.error or str(decision.reason)


def _override(ruleset: RuleSet, request: AccessRequest) -> str:
    override = ruleset.override(request.user_id or "", request.device_ids)
    if override is None:
        return f"an override names device {_quoted(request.device_ids)}"
    whose = "the MDM bridge's" if override.owner is Owner.BRIDGE else "a person's"
    until = "" if override.expires is None else f", until {override.expires:%Y-%m-%d %H:%M} UTC"
    why = f": {override.description}" if override.description else ""
    return f"{whose} override names device `{override.device_id}`{until}{why}"


def _rules(step: Step, ruleset: RuleSet, request: AccessRequest, produced: Sequence[str]) -> tuple[RuleExplained, ...]:
    if step is Step.ACCESS_CONTROL_RULES:
        subject = access_subject(request)
        return tuple(_rule(one, subject, request, produced) for one in ruleset.access_control_rules)
    if step is Step.DEVICE_RULES and request.action is Action.ACTIVE_SYNC:
        device = shown(request.device)
        return tuple(_rule(one, device, request, produced) for one in ruleset.device_rules)
    return ()


def _rule(
    rule: CompiledRule[Subject], subject: Subject, request: AccessRequest, produced: Sequence[str]
) -> RuleExplained:
    matched = None
    error = None
    try:
        matched = rule.matches(subject)
    except RuleError as cause:
        error = str(cause)
    conditions = tuple(_condition(one, subject, request) for one in rule.conditions)
    return RuleExplained(rule.key, rule.source.name, rule.effect, matched, rule.key in produced, conditions, error)


def _condition(condition: Condition[Subject], subject: Subject, request: AccessRequest) -> ConditionExplained:
    compared = _compared(condition.about, request)
    matched = condition.test(subject)
    because = _because(condition, compared, matched=matched)
    return ConditionExplained(condition.name, condition.listed, compared, matched, because)


def _compared(about: str, request: AccessRequest) -> tuple[str, ...]:
    device = request.device
    values: dict[str, tuple[object, ...]] = {
        "DeviceType": (device.device_type,),
        "DeviceModel": (device.device_model,),
        "DeviceOperatingSystem": (device.device_operating_system,),
        "DeviceUserAgent": device.user_agents,
        "Action": (request.action,),
        "IpAddress": (request.ip_address,),
        "UserId": (request.user_id,),
        "ImpersonationRoleId": (request.impersonation_role_id,),
    }
    return tuple(str(value) for value in values[about] if value)


def _because(condition: Condition[Subject], compared: tuple[str, ...], *, matched: bool | None) -> str:
    about = condition.about
    if matched is None:
        return f"a further {about} may still be reported" if compared else f"{about} is not reported yet"
    if not compared:
        return f"no {about}"
    hit: Callable[[str, str], bool] = _in_range if about == "IpAddress" else _equal
    verb = "is in" if about == "IpAddress" else "is"
    if about.startswith("Device"):
        hit, verb = _starts, "starts with"
    for value in compared:
        for listed in condition.listed:
            if hit(value, listed):
                return f"`{value}` {verb} `{listed}`"
    return f"{_quoted(compared)} {verb} none of those listed"


def _starts(value: str, listed: str) -> bool:
    return listed.lower() != NONE and value.lower().startswith(listed.lower())


def _in_range(value: str, listed: str) -> bool:
    return AddressRanges([listed]).holds(*address_number(ip_address(value)))


def _equal(value: str, listed: str) -> bool:
    return value.lower() == listed.lower()


def _name(ruleset: RuleSet, key: str) -> str:
    return next((rule.source.name for rule in ruleset.device_rules if rule.key == key), key)


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)

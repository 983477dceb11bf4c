import pytest
from tests.support.engine import (
    ALLOW,
    DEFAULT_ACCESS,
    DENY,
    access_rule,
    device_rule,
    organization,
    override,
    phone,
    request,
    user,
)

from gatepost.engine import Outcome, Reason, RuleSet, Step, explain
from gatepost.model import Action, Directory, EntityState, OrganizationState


def steps(asked=None, **changed):
    values = {"users": [user()], "access_control_rules": [DEFAULT_ACCESS]}
    ruleset = RuleSet.build(changed.pop("organization", organization()), **{**values, **changed})
    return {step.step: step for step in explain(ruleset, asked or request()).steps}


def test_all_steps_in_order():
    assert list(steps()) == list(Step)


@pytest.mark.parametrize(
    ("changed", "asked", "decided_by", "because"),
    [
        (
            {"organization": organization(state=OrganizationState.DELETED)},
            {},
            Step.ORGANIZATION,
            "the organization is deleted",
        ),
        ({"users": []}, {}, Step.USER, "no user `alice-id` is known"),
        ({}, {"user_id": None}, Step.USER, "no user is known"),
        ({"users": [user(state=EntityState.DISABLED)]}, {}, Step.USER, "user `alice-id` is not enabled"),
        ({"access_control_rules": []}, {}, Step.ACCESS_CONTROL_RULES, "no access control rule matches"),
        ({}, {"action": Action.EWS}, Step.ACCESS_CONTROL_RULES, "matched by `Default`"),
        (
            {"overrides": [override(DENY)]},
            {},
            Step.OVERRIDE,
            "a person's override names device `6APMEKPHCP2ND42VIJ4BR8ECDO`",
        ),
        ({}, {}, Step.DEVICE_RULES, "no mobile device access rule matches"),
        ({"rules": [device_rule("all", ALLOW)]}, {}, Step.DEVICE_RULES, "matched by `all`"),
        (
            {"rules": [device_rule("os", ALLOW, device_operating_systems=("iOS",))]},
            {"device": phone(device_operating_system=None, complete=False)},
            Step.DEVICE_RULES,
            "depends on DeviceOperatingSystem, not reported yet",
        ),
        (
            {"overrides": [override("PERHAPS")]},
            {},
            Step.OVERRIDE,
            "ValueError: 'PERHAPS' is not a valid Effect",
        ),
    ],
)
def test_the_step_that_decided(changed, asked, decided_by, because):
    explained = steps(request(**asked), **changed)
    assert (explained[decided_by].outcome, explained[decided_by].because) == (Outcome.DECIDED, because)
    after = list(Step)[list(Step).index(decided_by) + 1 :]
    assert all(explained[step].outcome is Outcome.NOT_REACHED for step in after)
    assert all(explained[step].because == "decided before" for step in after)


def test_the_steps_that_passed():
    passed = [step.because for step in steps().values() if step.outcome is Outcome.PASSED]
    assert passed == [
        "organization `m-a123b4c5de678fg9h0ij1k2lm234no56` is active",
        "user `alice-id` is enabled",
        "allowed by `Default`",
        "no override for device `6APMEKPHCP2ND42VIJ4BR8ECDO`",
    ]
    new = steps(users=[], organization=organization(directory=Directory.OPEN))
    assert new[Step.USER].because == "user `alice-id` is new, and the directory is open"
    role = steps(request(user_id=None, impersonation_role_id="role-1", device_ids=()))
    assert role[Step.USER].because == "impersonation role `role-1`"
    assert role[Step.OVERRIDE].because == "no override for device (none named)"


def conditions(step):
    return {one.name: (one.matched, one.because) for rule in step.rules for one in rule.conditions}


def test_why_each_device_condition_matched_or_not():
    rule = device_rule(
        "all",
        ALLOW,
        device_types=("iPad", "iphone"),
        not_device_types=("android",),
        device_models=("Pixel",),
        device_operating_systems=("$NONE", "iOS 14"),
        device_user_agents=("$NONE",),
        not_device_user_agents=("ios/14",),
    )
    assert conditions(steps(rules=[rule])[Step.DEVICE_RULES]) == {
        "DeviceTypes": (True, "`iPhone` starts with `iphone`"),
        "NotDeviceTypes": (True, "`iPhone` starts with none of those listed"),
        "DeviceModels": (False, "`iPhone10C1` starts with none of those listed"),
        "DeviceOperatingSystems": (True, "`iOS 14.2 18B92` starts with `iOS 14`"),
        "DeviceUserAgents": (
            False,
            "`Apple-iPhone10C1/1802.92`, `iOS/14.2 (18B92) exchangesyncd/1.0` starts with none of those listed",
        ),
        "NotDeviceUserAgents": (False, "`iOS/14.2 (18B92) exchangesyncd/1.0` starts with `ios/14`"),
    }


def test_why_a_condition_on_what_is_missing_matched_or_not():
    rule = device_rule("all", ALLOW, device_models=("$NONE",), device_user_agents=("python",))
    silent = request(device=phone(device_model=None, user_agents=()))
    assert conditions(steps(silent, rules=[rule])[Step.DEVICE_RULES]) == {
        "DeviceModels": (True, "no DeviceModel"),
        "DeviceUserAgents": (False, "no DeviceUserAgent"),
    }
    early = request(device=phone(device_model=None, user_agents=("Apple",), complete=False))
    assert conditions(steps(early, rules=[rule])[Step.DEVICE_RULES]) == {
        "DeviceModels": (None, "DeviceModel is not reported yet"),
        "DeviceUserAgents": (None, "a further DeviceUserAgent may still be reported"),
    }


def test_why_each_access_control_condition_matched_or_not():
    rule = access_rule(
        "all",
        ALLOW,
        ip_ranges=("10.0.0.0/8", "203.0.113.0/24"),
        not_ip_ranges=("192.0.2.0/24",),
        actions=(Action.ACTIVE_SYNC,),
        not_actions=(Action.EWS,),
        user_ids=("bob-id",),
        not_user_ids=("Alice-ID",),
        impersonation_role_ids=("role-1",),
    )
    assert conditions(steps(access_control_rules=[rule])[Step.ACCESS_CONTROL_RULES]) == {
        "Actions": (True, "`ActiveSync` is `ActiveSync`"),
        "NotActions": (True, "`ActiveSync` is none of those listed"),
        "IpRanges": (True, "`203.0.113.7` is in `203.0.113.0/24`"),
        "NotIpRanges": (True, "`203.0.113.7` is in none of those listed"),
        "UserIds": (False, "`alice-id` is none of those listed"),
        "NotUserIds": (False, "`alice-id` is `Alice-ID`"),
        "ImpersonationRoleIds": (False, "no ImpersonationRoleId"),
    }


def test_rules_of_steps_that_were_not_reached_are_evaluated_too():
    explained = steps(overrides=[override(ALLOW)], rules=[device_rule("all", DENY)])
    (rule,) = explained[Step.DEVICE_RULES].rules
    assert explained[Step.DEVICE_RULES].outcome is Outcome.NOT_REACHED
    assert (rule.matched, rule.produced) == (True, False)


def test_device_rules_are_not_considered_in_other_protocols():
    explained = steps(request(action=Action.IMAP), rules=[device_rule("all", DENY)])
    assert explained[Step.DEVICE_RULES].rules == ()


def test_rules_that_produced_the_decision_are_marked():
    rules = [device_rule("allow", ALLOW), device_rule("deny", DENY), device_rule("other", DENY, device_types=("x",))]
    marked = {rule.name: (rule.matched, rule.produced) for rule in steps(rules=rules)[Step.DEVICE_RULES].rules}
    assert marked == {"allow": (True, False), "deny": (True, True), "other": (False, False)}


def test_a_rule_that_cannot_be_evaluated_says_why():
    broken = [DEFAULT_ACCESS, access_rule("broken", ALLOW, ip_ranges=("10.0.0.0/99",))]
    ruleset = RuleSet.build(organization(), users=[user()], access_control_rules=broken)
    explanation = explain(ruleset, request())
    assert explanation.decision.reason is Reason.ERROR
    step = explanation.steps[2]
    assert step.outcome is Outcome.DECIDED
    assert step.because == explanation.decision.error
    default, rule = sorted(step.rules, key=lambda one: one.name)
    assert (default.name, default.error, default.produced) == ("Default", None, False)
    assert (rule.matched, rule.produced, rule.error) == (None, True, explanation.decision.error)

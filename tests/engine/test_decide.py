from dataclasses import replace

import pytest
from tests.support.engine import (
    ALLOW,
    DEFAULT_ACCESS,
    DENY,
    DEVICE_ID,
    ORGANIZATION_ID,
    access_rule,
    device_rule,
    group,
    organization,
    override,
    phone,
    request,
    user,
)

from gatepost.engine import Decision, Reason, RuleSet, access_control_effect, decide, mobile_device_access_effect
from gatepost.model import Action, Directory, EntityState, OrganizationState, enrolled_user_id


def rules(**changed) -> RuleSet:
    values = {"users": [user()], "access_control_rules": [DEFAULT_ACCESS], "revision": 7}
    return RuleSet.build(changed.pop("organization", organization()), **{**values, **changed})


def test_each_answer_carries_the_revision():
    for changed in (
        {},
        {"rules": [device_rule("all", ALLOW)]},
        {"overrides": [override(ALLOW)]},
        {"access_control_rules": []},
        {"users": []},
        {"users": [user(state=EntityState.DISABLED)]},
        {"organization": organization(state=OrganizationState.DELETED)},
        {"rules": [device_rule("model", ALLOW, device_models=("x",))]},
        {"rules": [device_rule("broken", ALLOW, device_models=(7,))]},
    ):
        before = phone(device_model=None, complete=False)
        assert decide(rules(**changed), request(device=before)).revision == 7


@pytest.mark.parametrize("state", [EntityState.DISABLED, EntityState.DELETED])
def test_a_user_who_is_not_enabled(state):
    for directory in Directory:
        decision = decide(
            rules(
                users=[user(state=state)], organization=organization(directory=directory), overrides=[override(ALLOW)]
            ),
            request(),
        )
        assert decision == Decision(DENY, Reason.USER_NOT_ENABLED, revision=7)


def test_an_unknown_user():
    everything = {"users": [], "rules": [device_rule("all", ALLOW)]}
    assert decide(rules(**everything), request()).reason is Reason.USER_NOT_FOUND
    opened = rules(**everything, organization=organization(directory=Directory.OPEN))
    assert decide(opened, request()).allowed
    assert decide(opened, request(user_id=None)).reason is Reason.USER_NOT_FOUND


def test_a_group_is_nobody_whoever_asks_under_its_address():
    """A request under way since before the address became the group's is looked at again by the id it came with."""
    rules = RuleSet.build(
        organization(directory=Directory.OPEN),
        access_control_rules=[DEFAULT_ACCESS],
        rules=[device_rule("all", ALLOW)],
        groups=[group(email="sales@example.com")],
    )
    sales, other = (enrolled_user_id(ORGANIZATION_ID, f"{name}@example.com") for name in ("sales", "carol"))
    assert decide(rules, request(user_id=sales)).reason is Reason.USER_NOT_FOUND
    assert decide(rules, request(user_id=other)).effect is ALLOW


def test_an_impersonation_role_needs_no_user():
    asked = request(action=Action.EWS, user_id=None, impersonation_role_id="role-1", device_ids=())
    assert decide(rules(), asked) == Decision(ALLOW, Reason.ACCESS_CONTROL_RULE, ("Default",), 7)


def test_a_deleted_organization():
    gone = rules(organization=organization(state=OrganizationState.DELETED), rules=[device_rule("all", ALLOW)])
    assert decide(gone, request()) == Decision(DENY, Reason.ORGANIZATION_NOT_FOUND, revision=7)


def test_two_overrides_for_two_spellings_of_one_device():
    spelled = request(device_ids=("TEXT", "HEX"))
    for first, second, effect in ((ALLOW, ALLOW, ALLOW), (ALLOW, DENY, DENY), (DENY, ALLOW, DENY), (DENY, DENY, DENY)):
        both = [override(first, device_id="TEXT"), override(second, device_id="HEX")]
        decision = decide(rules(overrides=both), spelled)
        assert decision == Decision(effect, Reason.MOBILE_DEVICE_ACCESS_OVERRIDE, revision=7)
        assert decide(rules(overrides=both[1:]), spelled).effect is second


def test_active_sync_without_a_device_id_is_still_the_device_rules_business():
    nameless = request(device_ids=())
    assert decide(rules(overrides=[override(ALLOW)]), nameless).reason is Reason.NO_MOBILE_DEVICE_ACCESS_RULE
    assert decide(rules(rules=[device_rule("all", ALLOW)]), nameless).allowed


def test_other_protocols_are_not():
    deny = {"rules": [device_rule("all", DENY)], "overrides": [override(DENY)]}
    assert decide(rules(**deny), request(action=Action.EWS)).reason is Reason.ACCESS_CONTROL_RULE


def test_undecided():
    before = request(device=phone(device_operating_system=None, complete=False))
    waiting = rules(rules=[device_rule("all", ALLOW), device_rule("old", DENY, device_operating_systems=("iOS 12",))])
    assert decide(waiting, before) == Decision(
        None, Reason.DEVICE_INFORMATION_REQUIRED, (), 7, waits_for=("DeviceOperatingSystem",)
    )


def test_an_answer_that_does_not_wait_is_explained_by_what_is_known_now():
    before = phone(device_operating_system=None, complete=False)
    agreed = rules(
        rules=[
            device_rule("everything", ALLOW),
            device_rule("iOS", ALLOW, device_operating_systems=("iOS",)),
            device_rule("silent", ALLOW, device_operating_systems=("$NONE",)),
        ]
    )
    decision = mobile_device_access_effect(agreed, before)
    assert decision == Decision(ALLOW, Reason.MOBILE_DEVICE_ACCESS_RULE, ("everything", "silent"), 7)
    assert decision == mobile_device_access_effect(agreed, replace(before, complete=True))


def test_a_denial_that_does_not_wait_names_every_rule_that_denies_as_things_stand():
    everything, nothing_known = device_rule("a", DENY), device_rule("b", DENY, device_models=("$NONE",))
    decision = decide(
        rules(rules=[everything, nothing_known]), request(device=phone(device_model=None, complete=False))
    )
    assert (decision.effect, decision.matched_rules) == (DENY, ("a", "b"))


def test_the_device_rules_alone():
    alone = rules(
        users=[],
        access_control_rules=[],
        overrides=[override(DENY)],
        rules=[device_rule("b", ALLOW), device_rule("a", ALLOW)],
    )
    assert mobile_device_access_effect(alone, phone()) == Decision(
        ALLOW, Reason.MOBILE_DEVICE_ACCESS_RULE, ("a", "b"), 7
    )


def test_the_access_control_rules_alone():
    alone = rules(users=[], access_control_rules=[access_rule("b", DENY), access_rule("a", DENY), DEFAULT_ACCESS])
    assert access_control_effect(alone, request()) == Decision(DENY, Reason.ACCESS_CONTROL_RULE, ("a", "b"), 7)
    assert access_control_effect(rules(access_control_rules=[]), request()) == Decision(
        DENY, Reason.NO_ACCESS_CONTROL_RULE, (), 7
    )


class TestFailsClosed:
    """What cannot be evaluated is a DENY that says why, whatever else would allow."""

    def test_an_access_control_rule(self):
        broken = rules(
            access_control_rules=[DEFAULT_ACCESS, access_rule("broken", ALLOW, ip_ranges=("10.0.0.0/99",))],
            overrides=[override(ALLOW)],
            rules=[device_rule("all", ALLOW)],
        )
        for decision in (decide(broken, request()), access_control_effect(broken, request())):
            assert (decision.effect, decision.reason, decision.matched_rules) == (DENY, Reason.ERROR, ("broken",))
            assert "10.0.0.0/99" in decision.error

    def test_a_device_rule(self):
        broken = rules(rules=[device_rule("all", ALLOW), device_rule("broken", ALLOW, device_types=(None,))])
        for decision in (decide(broken, request()), mobile_device_access_effect(broken, phone())):
            assert (decision.effect, decision.reason, decision.matched_rules) == (DENY, Reason.ERROR, ("broken",))

    def test_a_device_rule_that_is_not_reached_does_no_harm(self):
        broken = [device_rule("broken", ALLOW, device_types=(None,))]
        assert decide(rules(rules=broken, overrides=[override(ALLOW)]), request()).allowed

    def test_an_override(self):
        decision = decide(rules(overrides=[override("PERHAPS")], rules=[device_rule("all", ALLOW)]), request())
        assert (decision.effect, decision.reason) == (DENY, Reason.ERROR)
        assert "PERHAPS" in decision.error

    def test_a_request(self):
        decision = decide(rules(rules=[device_rule("all", ALLOW)]), request(ip_address="203.0.113.7"))
        assert (decision.effect, decision.reason, decision.revision) == (DENY, Reason.ERROR, 7)
        assert decision.error.startswith("AttributeError: ")

    def test_no_rules_at_all(self):
        assert decide(None, request()).reason is Reason.ERROR


def test_a_device_id_is_compared_whole():
    longer = request(device_ids=(DEVICE_ID + "2",))
    assert decide(rules(overrides=[override(ALLOW)]), longer).effect is DENY

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.engine import change, organization

from gatepost.engine import RuleSet, impersonation_effect
from gatepost.model import Effect, ImpersonationRole, ImpersonationRoleType, ImpersonationRule, Kind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALLOW, DENY = Effect.ALLOW, Effect.DENY


def rule(rule_id, effect, target=(), not_target=()):
    return ImpersonationRule(rule_id, None, None, effect, tuple(target), tuple(not_target))


def role(*rules):
    return ImpersonationRole("m-1", "role", "role", ImpersonationRoleType.READ_ONLY, None, rules, NOON, NOON)


def asked(user_id, *rules):
    found = impersonation_effect(role(*rules), user_id)
    return found.effect, [one.rule_id for one in found.matched_rules]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((), (DENY, [])),
        ((rule("everybody", ALLOW),), (ALLOW, ["everybody"])),
        ((rule("nobody", DENY),), (DENY, ["nobody"])),
        ((rule("a", ALLOW, ["alice"]),), (ALLOW, ["a"])),
        ((rule("a", ALLOW, ["bob"]),), (DENY, [])),
        ((rule("a", ALLOW, (), ["bob"]),), (ALLOW, ["a"])),
        ((rule("a", ALLOW, (), ["alice"]),), (DENY, [])),
        ((rule("a", ALLOW, ["alice", "bob"], ["bob"]),), (ALLOW, ["a"])),
        ((rule("a", ALLOW, ["alice", "bob"], ["alice"]),), (DENY, [])),
        ((rule("b", ALLOW), rule("a", ALLOW, ["alice"]), rule("c", ALLOW, ["bob"])), (ALLOW, ["b", "a"])),
        ((rule("b", ALLOW), rule("a", DENY, ["alice"]), rule("c", DENY)), (DENY, ["a", "c"])),
        ((rule("b", ALLOW), rule("a", DENY, ["bob"])), (ALLOW, ["b"])),
        ((rule("a", ALLOW, ["ALICE"]),), (DENY, [])),
    ],
)
def test_deny_goes_before_allow_and_nothing_matched_is_deny(rules, expected):
    assert asked("alice", *rules) == expected


_USERS = st.lists(st.sampled_from("abcd"), max_size=3)
_RULES = st.lists(st.builds(lambda effect, *users: (effect, *users), st.sampled_from(Effect), _USERS, _USERS))


@given(st.sampled_from("abcd"), _RULES)
def test_what_is_matched_is_all_that_has_the_effect(user_id, drawn):
    rules = [rule(str(number), *one) for number, one in enumerate(drawn)]
    effect, matched = asked(user_id, *rules)
    applying = [one for one in rules if set(one.target_users or [user_id]) - set(one.not_target_users) >= {user_id}]
    denied = any(one.effect is DENY for one in applying)
    assert effect is (ALLOW if applying and not denied else DENY)
    assert matched == [one.rule_id for one in applying if one.effect is effect]


def test_a_gateways_rules_are_the_same_when_a_role_has_changed():
    before = RuleSet.build(organization(), revision=1)
    after = before.apply(change(2, Kind.IMPERSONATION_ROLE, ("role",), role()))
    assert after.revision == 2
    assert replace(after, revision=1) == before

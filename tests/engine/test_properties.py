"""What holds for all rules and requests, against an evaluator that is written down sentence by sentence."""

from itertools import product
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests.support.engine import (
    ALLOW,
    DENY,
    NOW,
    ORGANIZATION_ID,
    access_rule,
    access_rules,
    conditions,
    device_rules,
    organization,
    overrides,
    patient,
    requests,
    user,
)

from gatepost.engine import AccessRequest, DeviceProperties, Reason, RuleSet, decide, explain
from gatepost.model import Action, DeviceConditions, Effect, EntityState, MobileDeviceAccessRule

USERS = [user(), user("bob-id", "bob", "bob@example.com", state=EntityState.DISABLED)]


def build(rules=(), those=(), access=(), revision=0) -> RuleSet:
    return RuleSet.build(
        organization(), users=USERS, rules=rules, overrides=those, access_control_rules=access, revision=revision
    )


def property_matches(listed, not_listed, values):
    """ "A list matches when any of its values is a case-insensitive prefix of what the device reported." """
    said = [value.casefold() for value in values if value]
    if listed:
        any_prefix = any(value.startswith(one.casefold()) for value in said for one in listed if one != "$NONE")
        # "$NONE in a positive list matches a device that did not report that property."
        if not any_prefix and not ("$NONE" in listed and not said):
            return False
    if not_listed:
        # "Not lists do not match an unreported property."
        if not said:
            return False
        if any(value.startswith(one.casefold()) for value in said for one in not_listed if one != "$NONE"):
            return False
    return True


def rule_matches(rule: MobileDeviceAccessRule, device: DeviceProperties):
    """ "A rule matches when all its conditions match. No conditions: matches everything." """
    one = rule.conditions
    return (
        property_matches(one.device_types, one.not_device_types, [device.device_type])
        and property_matches(one.device_models, one.not_device_models, [device.device_model])
        and property_matches(
            one.device_operating_systems, one.not_device_operating_systems, [device.device_operating_system]
        )
        and property_matches(one.device_user_agents, one.not_device_user_agents, device.user_agents)
    )


def effect_of(matching):
    """ "Any matching DENY: DENY; else any matching ALLOW: ALLOW; else DENY." """
    return ALLOW if ALLOW in matching and DENY not in matching else DENY


def in_ranges(address, ranges):
    """Bit by bit, as CIDR is defined; an IPv4-mapped address, or range of them, is IPv4."""

    def bits(text):
        if ":" not in text:
            return "".join(f"{int(part):08b}" for part in text.split("."))
        if text.startswith("::ffff:"):
            return bits(text.removeprefix("::ffff:"))
        left, _, right = text.partition("::")
        groups = [part for part in left.split(":") if part], [part for part in right.split(":") if part]
        missing = ["0"] * (8 - len(groups[0]) - len(groups[1]))
        return "".join(f"{int(part, 16):016b}" for part in (*groups[0], *missing, *groups[1]))

    def holds(one):
        network, _, length = one.partition("/")
        wanted = int(length) - (96 if network.startswith("::ffff:") else 0)
        known, asked = bits(network), bits(address)
        return len(known) == len(asked) and known[:wanted] == asked[:wanted]

    return any(holds(one) for one in ranges)


def access_rule_matches(rule, request: AccessRequest):
    address = (
        None
        if request.ip_address is None
        else str(getattr(request.ip_address, "ipv4_mapped", None) or request.ip_address)
    )
    hidden_denies = rule.effect is DENY
    return all(
        (
            not rule.actions or request.action in rule.actions,
            request.action not in rule.not_actions,
            not rule.ip_ranges or (hidden_denies if address is None else in_ranges(address, rule.ip_ranges)),
            not rule.not_ip_ranges
            or (hidden_denies if address is None else not in_ranges(address, rule.not_ip_ranges)),
            not rule.user_ids or request.user_id in rule.user_ids,
            request.user_id not in rule.not_user_ids,
            not rule.impersonation_role_ids or request.impersonation_role_id in rule.impersonation_role_ids,
            request.impersonation_role_id not in rule.not_impersonation_role_ids,
        )
    )


def completions(device: DeviceProperties):
    """Everything that the device may still say, as far as rules over two letters can tell it apart."""
    words = [None] if device.complete else [None, "a", "b", "aa", "ab", "ba", "bb", "c"]
    models = [device.device_model] if device.device_model else words
    systems = [device.device_operating_system] if device.device_operating_system else words
    for model, system, agent in product(models, systems, words):
        agents = (*device.user_agents, agent) if agent else device.user_agents
        yield DeviceProperties(device.device_type, model, system, agents)


def naive(rules, those, access, request: AccessRequest) -> Effect | None:
    """The whole decision, each device evaluated in every way it may turn out."""
    known = {one.user_id: one.state for one in USERS}
    if request.user_id is None and request.impersonation_role_id is None:
        return DENY
    if request.user_id is not None and known.get(request.user_id) is not EntityState.ENABLED:
        return DENY
    if effect_of([rule.effect for rule in access if access_rule_matches(rule, request)]) is DENY:
        return DENY
    if request.action is not Action.ACTIVE_SYNC:
        return ALLOW
    found = [one.effect for one in those if one.user_id == request.user_id and one.device_id in request.device_ids]
    if found:
        return effect_of(found)
    effects = {
        effect_of([rule.effect for rule in rules if rule_matches(rule, device)])
        for device in completions(request.device)
    }
    return effects.pop() if len(effects) == 1 else None


@patient
@given(device_rules(), overrides, access_rules(), requests)
def test_the_engine_decides_as_the_sentences_say(rules, those, access, request):
    decision = decide(build(rules, those, access), request)
    assert decision.effect is naive(rules, those, access, request)
    assert decision.reason is not Reason.ERROR
    assert (decision.effect is None) is (decision.reason is Reason.DEVICE_INFORMATION_REQUIRED)
    assert (decision.effect is None) is bool(decision.waits_for)


@patient
@given(device_rules(most=3), requests)
def test_device_rules_decide_as_the_sentences_say(rules, request):
    """The same without what may decide before them, so that they are reached each time."""
    asked = AccessRequest(Action.ACTIVE_SYNC, None, "alice-id", device=request.device)
    everyone = [access_rule("Default", ALLOW)]
    decision = decide(build(rules, access=everyone), asked)
    assert decision.effect is naive(rules, [], everyone, asked)
    if decision.effect is not None:
        now = next(completions(request.device))
        produced = [rule.rule_id for rule in rules if rule_matches(rule, now) and rule.effect is decision.effect]
        assert decision.matched_rules == tuple(sorted(produced))


@patient
@given(device_rules(), overrides, access_rules(), requests, conditions)
def test_one_more_device_rule_that_denies_lets_nobody_in(rules, those, access, request, more):
    added = MobileDeviceAccessRule(ORGANIZATION_ID, "more", "more", DENY, None, more, NOW, NOW)
    before = decide(build(rules, those, access), request)
    after = decide(build([*rules, added], those, access), request)
    assert after.effect in {DENY, before.effect} | ({None} if before.effect is ALLOW else set())


@patient
@given(device_rules(), overrides, access_rules(), requests, st.data())
def test_one_more_access_control_rule_that_denies_lets_nobody_in(rules, those, access, request, data):
    drawn = data.draw(access_rules(most=1))
    added = [access_rule("more", DENY, **_lists(one)) for one in drawn]
    before = decide(build(rules, those, access), request)
    after = decide(build(rules, those, [*access, *added]), request)
    assert after.effect in {DENY, before.effect}


@patient
@given(device_rules(), overrides, access_rules(), requests, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(rules, those, access, request, random: Random):
    straight = build(rules, those, access)
    for nouns in (rules, those, access):
        random.shuffle(nouns)
    shuffled = build(rules, those, access)
    assert decide(straight, request) == decide(shuffled, request)
    assert explain(straight, request) == explain(shuffled, request)


@patient
@given(device_rules(), overrides, access_rules(), requests)
def test_explain_decides_as_decide(rules, those, access, request):
    ruleset = build(rules, those, access)
    assert explain(ruleset, request).decision == decide(ruleset, request)


@patient
@given(device_rules(), requests)
def test_a_device_that_reports_gets_an_answer(rules, request):
    complete = next(completions(request.device))
    asked = AccessRequest(Action.ACTIVE_SYNC, None, "alice-id", device=complete)
    assert decide(build(rules, access=[access_rule("Default", ALLOW)]), asked).effect is not None


@patient
@given(device_rules(), requests)
def test_an_answer_that_did_not_wait_stays_whatever_is_reported(rules, request):
    ruleset = build(rules, access=[access_rule("Default", ALLOW)])
    early = decide(ruleset, AccessRequest(Action.ACTIVE_SYNC, None, "alice-id", device=request.device))
    if early.effect is None:
        return
    for device in completions(request.device):
        asked = AccessRequest(Action.ACTIVE_SYNC, None, "alice-id", device=device)
        assert decide(ruleset, asked).effect is early.effect


def _lists(rule):
    names = {
        f"{negation}{name}" for name in ("actions", "user_ids", "impersonation_role_ids") for negation in ("", "not_")
    }
    return {name: getattr(rule, name) for name in sorted(names | {"ip_ranges", "not_ip_ranges"})}


def test_the_naive_evaluator_knows_every_list():
    assert len(DeviceConditions.__slots__) == 8

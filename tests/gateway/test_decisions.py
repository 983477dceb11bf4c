"""The decider remembers; what it remembers must never be seen."""

from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.engine import (
    ALLOW,
    DEFAULT_ACCESS,
    DENY,
    NOW,
    ORGANIZATION_ID,
    WORDS,
    access_rules,
    change,
    device_rule,
    device_rules,
    organization,
    override,
    patient,
    user,
)

from gatepost.engine import AccessRequest, DeviceProperties, Reason, RuleSet, decide
from gatepost.gateway import decisions
from gatepost.gateway.decisions import Decider
from gatepost.gateway.devices import Devices
from gatepost.gateway.identify import Identity
from gatepost.model import Action, Device, DeviceFacts, Kind
from gatepost.wire.eas.request import parse_query

ALICE = Identity(ORGANIZATION_ID, "alice-id")
HERE, THERE = ip_address("10.0.0.1"), ip_address("192.0.2.200")


def ruleset(*rules, **changed):
    values = {"users": [user()], "rules": rules, "access_control_rules": [DEFAULT_ACCESS], **changed}
    return RuleSet.build(organization(), **values)


def eas(device_type="iPhone", version="14.1", device_id="PHONE1"):
    query = f"Cmd=FolderSync&User=alice&DeviceId={device_id}&DeviceType={device_type}"
    return parse_query(query.encode(), version.encode(), None)


def replica(rules=None, age=0.0):
    return SimpleNamespace(rulesets={} if rules is None else {ORGANIZATION_ID: rules}, age=age)


def known():
    return Devices(None, lambda *_: "")


def test_who_is_nobody_is_told_so():
    decision = Decider(replica(ruleset()), 10.0).decide(None, eas(), None, HERE, None)
    assert (decision.effect, decision.reason) == (DENY, Reason.USER_NOT_FOUND)


def test_an_organization_that_is_gone():
    decision = Decider(replica(), 10.0).decide(ALICE, eas(), None, HERE, None)
    assert (decision.effect, decision.reason) == (DENY, Reason.ORGANIZATION_NOT_FOUND)


@pytest.mark.parametrize(("age", "too_old"), [(9.9, False), (10.0, False), (10.1, True), (float("inf"), True)])
def test_rules_that_are_too_old_deny(age, too_old):
    rules = replica(ruleset(device_rule("all", ALLOW)))
    decider = Decider(rules, 10.0)
    assert decider.decide(ALICE, eas(), None, HERE, None).allowed
    rules.age = age
    decider.look()
    decision = decider.decide(ALICE, eas(), None, HERE, None)
    assert decision.allowed is not too_old
    assert (decision.reason is Reason.RULES_TOO_OLD) is too_old
    rules.age = 0.0
    decider.look()
    assert decider.decide(ALICE, eas(), None, HERE, None).allowed


def test_whatever_goes_wrong_is_a_denial(monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(decisions, "decide", broken)
    decision = Decider(replica(ruleset(device_rule("all", ALLOW))), 10.0).decide(ALICE, eas(), None, HERE, None)
    assert (decision.effect, decision.reason) == (DENY, Reason.ERROR)


@pytest.mark.parametrize(
    ("version", "facts", "effect"),
    [
        ("2.5", DeviceFacts(), DENY),
        ("12.0", DeviceFacts(), DENY),
        ("12.1", DeviceFacts(), None),
        ("14.1", DeviceFacts(), None),
        ("14.1", DeviceFacts(reported=True), DENY),
        ("14.1", DeviceFacts(reported=True, operating_system="iOS 18.1"), ALLOW),
    ],
)
def test_what_a_device_has_not_said_is_unknown_only_where_it_could_still_say_it(version, facts, effect):
    decider = Decider(replica(ruleset(device_rule("new", ALLOW, device_operating_systems=("iOS 18",)))), 10.0)
    devices = known()
    state = devices.seen(ALICE, eas(version=version), None, HERE, 0.0)
    devices.report(state, facts)
    assert decider.decide(ALICE, eas(version=version), None, HERE, state).effect is effect


def test_both_user_agents_count():
    decider = Decider(replica(ruleset(device_rule("two", ALLOW, device_user_agents=("first", "second")))), 10.0)
    devices = known()
    state = devices.seen(ALICE, eas(), "third", HERE, 0.0)
    assert decider.decide(ALICE, eas(), "first/1", HERE, state).allowed
    assert decider.decide(ALICE, eas(), "third", HERE, state).effect is None
    devices.report(state, DeviceFacts(reported=True, user_agent="second/2"))
    assert decider.decide(ALICE, eas(), "third", HERE, state).allowed


def test_the_same_request_is_decided_once(monkeypatch):
    asked = []

    def counting(*arguments):
        asked.append(arguments)
        return decide(*arguments)

    monkeypatch.setattr(decisions, "decide", counting)
    rules = replica(ruleset(device_rule("all", ALLOW)))
    decider, devices = Decider(rules, 10.0), known()
    state = devices.seen(ALICE, eas(), "agent", HERE, 0.0)
    first = decider.decide(ALICE, eas(), "agent", HERE, state)
    assert decider.decide(ALICE, eas(), "agent", HERE, state) is first
    assert len(asked) == 1
    rules.rulesets[ORGANIZATION_ID] = ruleset(device_rule("all", DENY))
    assert decider.decide(ALICE, eas(), "agent", HERE, state).effect is DENY
    assert len(asked) == 2


def test_an_answer_for_one_user_agent_is_not_given_to_another_that_the_device_showed_in_between():
    decider = Decider(replica(ruleset(device_rule("mail", ALLOW, device_user_agents=("mail",)))), 10.0)
    devices = known()
    state = devices.seen(ALICE, eas(), "mail/1", HERE, 0.0)
    devices.report(state, DeviceFacts(reported=True))
    assert decider.decide(ALICE, eas(), "mail/1", HERE, state).allowed
    devices.seen(ALICE, eas(), "calendar/1", HERE, 1.0)
    assert decider.decide(ALICE, eas(), "calendar/1", HERE, state).effect is DENY


class Whole:
    """A decider with its memory, and next to it the facts in a form that nobody remembers anything about."""

    def __init__(self, rules):
        self.devices = known()
        self.replica = replica(rules)
        self.decider = Decider(self.replica, 10.0)
        self.facts = {}
        self.revision = 0

    def move(self, kind, key, noun):
        self.revision += 1
        rules = self.replica.rulesets
        rules[ORGANIZATION_ID] = rules[ORGANIZATION_ID].apply(change(self.revision, kind, key, noun))

    def ask(self, device_type, version, agent, address):
        request = eas(device_type, version)
        state = self.devices.get("alice-id", "PHONE1")
        facts = DeviceFacts() if state is None else state.facts
        expected = decide(
            self.replica.rulesets[ORGANIZATION_ID],
            AccessRequest(
                Action.ACTIVE_SYNC,
                address,
                "alice-id",
                device_ids=request.device_ids,
                device=DeviceProperties(
                    device_type,
                    facts.model,
                    facts.operating_system,
                    tuple(one for one in (agent, facts.user_agent) if one),
                    complete=facts.reported or version == "12.0",
                ),
            ),
        )
        assert self.decider.decide(ALICE, request, agent, address, state) == expected


agents = st.sampled_from([None, "a", "bb"])
shown = st.tuples(st.sampled_from(["a", "ab", "b"]), st.sampled_from(["14.1", "12.0"]), agents)
facts = st.builds(
    DeviceFacts,
    reported=st.booleans(),
    model=st.sampled_from([None, *WORDS]),
    operating_system=st.sampled_from([None, *WORDS]),
    user_agent=st.sampled_from([None, *WORDS]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), shown, st.sampled_from([HERE, THERE, None])),
        st.tuples(st.just("seen"), shown),
        st.tuples(st.just("learn"), shown, facts),
        st.tuples(st.just("report"), facts),
        st.tuples(st.just("written")),
        st.tuples(st.just("rules"), device_rules(most=2)),
        st.tuples(st.just("access"), access_rules(most=2)),
        st.tuples(st.just("override"), st.sampled_from([None, ALLOW, DENY])),
    ),
    min_size=2,
    max_size=20,
)
by_user_agent = st.tuples(st.sampled_from([ALLOW, DENY]), st.sampled_from(["a", "b", "$NONE"])).map(
    lambda drawn: device_rule("agent", drawn[0], device_user_agents=(drawn[1],))
)


@given(st.one_of(device_rules(), st.lists(by_user_agent, min_size=1, max_size=1)), shown, steps)
@settings(patient, max_examples=300)
def test_whatever_happened_before_the_answer_is_that_of_the_engine_on_the_facts_of_now(rules, first, steps):
    whole = Whole(ruleset(*rules))
    whole.devices.seen(ALICE, eas(*first[:2]), first[2], HERE, 0.0)
    asked = {(*first, HERE)}
    for name, *arguments in steps:
        state = whole.devices.get("alice-id", "PHONE1")
        match name, arguments:
            case "ask", (those, address):
                asked.add((*those, address))
            case "seen", (those,):
                asked.add((*those, HERE))
                whole.devices.seen(ALICE, eas(*those[:2]), those[2], HERE, 1.0)
            case "learn", ((device_type, version, agent), said):
                asked.add((device_type, version, agent, HERE))
                whole.devices.learn(
                    Device(ORGANIZATION_ID, "alice-id", "PHONE1", device_type, agent, version, None, NOW, NOW, said)
                )
            case "report", (said,):
                whole.devices.report(state, said)
            case "written", _:
                whole.devices.written(whole.devices.take(), [])
            case "rules", (new,):
                for rule in new:
                    whole.move(Kind.MOBILE_DEVICE_ACCESS_RULE, (rule.rule_id,), rule)
            case "access", (new,):
                for rule in new:
                    whole.move(Kind.ACCESS_CONTROL_RULE, (rule.name,), rule)
            case "override", (effect,):
                noun = None if effect is None else override(effect, device_id="PHONE1")
                whole.move(Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("alice-id", "PHONE1", "person"), noun)
        for one in sorted(asked, key=repr):
            whole.ask(*one)
            whole.ask(*one)

"""The corpus through the engine: `decide` and `explain`."""

import dataclasses
import json

import pytest
from tests.support.conformance import Case, load_cases

from gatepost.engine import Outcome, access_control_effect, decide, explain, mobile_device_access_effect
from gatepost.model import Action


def _each(door: str):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in load_cases(door)])


@_each("engine")
def test_decide(case: Case):
    decision = decide(case.ruleset, case.request)
    assert case.answered(decision) == case.expected
    assert decision.revision == case.ruleset.revision
    assert bool(decision.waits_for) == (decision.effect is None)


@_each("explain")
def test_explain(case: Case):
    explanation = explain(case.ruleset, case.request)
    assert case.answered(explanation.decision) == case.expected
    outcomes = [step.outcome for step in explanation.steps]
    at = outcomes.index(Outcome.DECIDED)
    assert outcomes == [Outcome.PASSED] * at + [Outcome.DECIDED] + [Outcome.NOT_REACHED] * (len(outcomes) - at - 1)
    produced = tuple(sorted(rule.name for step in explanation.steps for rule in step.rules if rule.produced))
    assert produced == case.expected.matched_rules
    assert json.loads(json.dumps(dataclasses.asdict(explanation)))


@_each("explain")
def test_what_explain_says_of_conditions_is_what_it_says_of_their_rule(case: Case):
    for step in explain(case.ruleset, case.request).steps:
        for rule in step.rules:
            outcomes = [condition.matched for condition in rule.conditions]
            kleene = False if False in outcomes else None if None in outcomes else True
            assert rule.matched is kleene


@_each("engine")
def test_a_login_means_whom_the_corpus_says(case: Case):
    login = case.raw["request"]["login"]
    if login:
        assert case.ruleset.identify(login) == case.user_id_of(login)


@_each("GetMobileDeviceAccessEffect")
def test_device_rules_alone(case: Case):
    assert case.answered(mobile_device_access_effect(case.ruleset, case.request.device)) == case.expected


@_each("GetAccessControlEffect")
def test_access_control_rules_alone(case: Case):
    assert case.answered(access_control_effect(case.ruleset, case.request)) == case.expected


@_each("gateway")
def test_the_gateway_gets_what_a_phone_can_send(case: Case):
    request = case.raw["request"]
    assert case.request.action is Action.ACTIVE_SYNC
    for key in ("login", "ip_address", "protocol_version", "device_type"):
        assert request[key], key
    assert bool(request["device_id"]) != bool(request["device_id_bytes"])
    if not request["reported"]:
        assert not request["settings_user_agent"]
        assert not request["device_model"]
        assert not request["device_operating_system"]
    if request["query"] == "base64":
        assert request["protocol_version"] not in ("2.5", "12.0")

from itertools import product

from hypothesis import given
from tests.support.engine import ALLOW, DENY, device_rule, device_rules, devices, patient, phone

from gatepost.engine import completions
from gatepost.engine.completions import agree, waits_for
from gatepost.engine.matching import shown
from gatepost.engine.rules import compile_device_rule

BEFORE = shown(phone(device_model=None, device_operating_system=None, user_agents=("Apple-iPhone",), complete=False))
ENDLESS = ["", "a", "b", "aa", "ab", "ba", "bb", "c"]
"""Each class of values for rules over `WORDS`; the empty one is "not reported"."""


def compiled(*rules):
    return [compile_device_rule(rule) for rule in rules]


def test_a_list_its_opposite_and_nothing():
    rules = compiled(
        device_rule("is", ALLOW, device_models=("iPhone",)),
        device_rule("is not", ALLOW, not_device_models=("iPhone",)),
        device_rule("is nothing", ALLOW, device_models=("$NONE",)),
    )
    assert agree(rules, BEFORE, allowed=False)
    assert not agree(rules[:2], BEFORE, allowed=False)


def test_nothing_that_may_come_can_deny_or_can_allow():
    maybe_allow = compiled(device_rule("is", ALLOW, device_models=("iPhone",)))
    maybe_deny = compiled(device_rule("is", DENY, device_models=("iPhone",)))
    assert agree(maybe_allow, BEFORE, allowed=True)
    assert agree(maybe_deny, BEFORE, allowed=False)
    assert not agree(maybe_allow, BEFORE, allowed=False)
    assert not agree(maybe_deny, BEFORE, allowed=True)


def test_prefixes_of_prefixes():
    rules = compiled(
        device_rule("new", ALLOW, device_operating_systems=("iOS 17",)),
        device_rule("all", DENY, device_operating_systems=("iOS",)),
    )
    assert agree(rules, BEFORE, allowed=False)


def test_an_empty_prefix_matches_whatever_is_reported():
    rules = compiled(
        device_rule("something", ALLOW, device_models=("",)), device_rule("nothing", ALLOW, device_models=("$NONE",))
    )
    assert agree(rules, BEFORE, allowed=False)


def test_too_many_to_look_at_are_not_agreed_on(monkeypatch):
    rules = compiled(
        device_rule("is", ALLOW, device_models=("iPhone",)),
        device_rule("is not", ALLOW, not_device_models=("iPhone",)),
        device_rule("is nothing", ALLOW, device_models=("$NONE",)),
    )
    monkeypatch.setattr(completions, "LIMIT", 2)
    assert not agree(rules, BEFORE, allowed=False)
    assert agree(rules, BEFORE, allowed=True), "rules that only allow need no looking"


def test_what_it_waits_for():
    rules = compiled(
        device_rule("1", ALLOW, device_types=("iPhone",), device_operating_systems=("iOS",)),
        device_rule("2", DENY, device_user_agents=("python",), not_device_operating_systems=("iOS 17",)),
    )
    assert waits_for(rules, BEFORE) == ("DeviceOperatingSystem", "DeviceUserAgent")
    assert waits_for(rules[:1], BEFORE) == ("DeviceOperatingSystem",)


@patient
@given(device_rules(), devices)
def test_agrees_exactly_when_every_completion_does(rules, device):
    """The same rules, but each completion is evaluated on its own instead of as bits."""
    begun = shown(device)
    sorted_rules = [(rule, rule.matches(begun)) for rule in compiled(*rules)]
    if any(matches and rule.effect is DENY for rule, matches in sorted_rules):
        return
    choices = [
        [values if not said else (*values, said) for said in (ENDLESS if more else [""])] for values, more in begun
    ]
    effects = set()
    for completion in product(*choices):
        matching = [rule.effect for rule in compiled(*rules) if rule.matches(tuple((one, False) for one in completion))]
        effects.add(ALLOW in matching and DENY not in matching)
    allowed = any(matches and rule.effect is ALLOW for rule, matches in sorted_rules)
    still_open = [rule for rule, matches in sorted_rules if matches is None]
    assert agree(still_open, begun, allowed=allowed) is (len(effects) == 1)

import pytest
from tests.support.engine import ALLOW, DEFAULT_ACCESS, DENY, access_rule, device_rule, organization

from gatepost.engine import RuleSet
from gatepost.model import Action
from gatepost.operations import access_control_rules, mobile_device_access_rules, modes
from gatepost.operations.errors import LimitExceededException
from gatepost.operations.openings import Openings

OFFICE = ("198.51.100.0/24",)
PROXY = ("203.0.113.0/28",)
DEFAULT = device_rule("Default", ALLOW)


def rules(*device_rules, access=(DEFAULT_ACCESS,)):
    return RuleSet.build(organization(), rules=device_rules, access_control_rules=access)


def stored(context, organization_id):
    return rules(
        *mobile_device_access_rules.list(context, organization_id=organization_id),
        access=access_control_rules.list(context, organization_id=organization_id),
    )


@pytest.mark.parametrize(
    "device_rules",
    [
        (),
        (device_rule("DefaultDenyAll", DENY),),
        (DEFAULT, device_rule("DefaultDenyAll", DENY)),
        (DEFAULT, device_rule("apple", DENY, device_types=("iphone",)), device_rule("else", DENY, not_device_types=("iphone",)),
         device_rule("silent", DENY, device_types=("$NONE",))),
    ],
)  # fmt: skip
def test_an_unknown_device_is_denied_by(device_rules):
    assert modes.unvouched(rules(*device_rules)) is None


@pytest.mark.parametrize(
    ("device_rules", "device_type"),
    [
        ((DEFAULT,), None),
        ((device_rule("apple", ALLOW, device_types=("iPhone",)),), "iphone"),
        ((DEFAULT, device_rule("apple", DENY, device_types=("iPhone", "$NONE"))), "a"),
        ((DEFAULT, device_rule("apple", DENY, device_types=("a", "$NONE"))), "b"),
        ((device_rule("model", ALLOW, device_models=("Pixel",)),), None),
        # neither agent alone is let in, both together are
        ((device_rule("one", ALLOW, device_user_agents=("Outlook",)), device_rule("two", DENY, not_device_user_agents=("Apple",))), None),
    ],
)  # fmt: skip
def test_an_unknown_device_may_come_in_by(device_rules, device_type):
    assert modes.unvouched(rules(*device_rules)).device.device_type == device_type


def test_direct_mode_from_what_a_new_organization_has(context, organization_id):
    before = stored(context, organization_id)
    calls = modes.direct_mode(before, OFFICE)
    assert [(one.operation, one.before) for one in calls] == [
        ("put_access_control_rule", None),
        ("create_mobile_device_access_rule", None),
    ]
    expected = modes.after(before, calls)
    modes.carry_out(context, organization_id, calls)
    made = stored(context, organization_id)
    for ruleset in (expected, made):
        assert modes.direct_mode(ruleset, OFFICE) == ()
        assert modes.other_ways_in(ruleset, OFFICE) == ()
        assert modes.phones_come_in(ruleset, OFFICE)
        assert modes.unvouched(ruleset) is None
    openings = Openings(made, OFFICE)
    assert openings.beyond(Action.AUTO_DISCOVER).everywhere
    assert openings.closed(Action.IMAP) == ()


def test_rules_of_those_names_that_are_not_right_are_replaced(context, organization_id):
    mobile_device_access_rules.create(
        context, organization_id=organization_id, name="DefaultDenyAll", effect="DENY", device_types=["iPhone"]
    )
    access_control_rules.put(
        context, organization_id=organization_id, name="ActiveSyncOnly", effect="DENY", description="", actions=["IMAP"]
    )
    calls = modes.direct_mode(stored(context, organization_id))
    assert [one.before.name for one in calls] == ["ActiveSyncOnly", "DefaultDenyAll"]
    modes.carry_out(context, organization_id, calls)
    made = stored(context, organization_id)
    assert modes.direct_mode(made) == ()
    assert len(made.device_rules) == len(made.access_control_rules) == 2


def test_phones_that_nothing_lets_in_are_let_in(context, organization_id):
    access_control_rules.delete(context, organization_id=organization_id, name="default")
    modes.carry_out(context, organization_id, modes.direct_mode(stored(context, organization_id)))
    made = stored(context, organization_id)
    assert modes.phones_come_in(made, ())
    assert modes.other_ways_in(made, ()) == ()


def test_a_rule_that_denies_active_sync_is_left_alone():
    ruleset = rules(DEFAULT, access=(DEFAULT_ACCESS, access_rule("No", DENY, actions=(Action.ACTIVE_SYNC,))))
    assert not modes.phones_come_in(modes.after(ruleset, modes.direct_mode(ruleset)), ())


def test_what_is_open_on_private_networks_only_is_no_way_in_from_outside():
    ruleset = rules(
        access=(
            access_rule("Phones", ALLOW, actions=(Action.ACTIVE_SYNC,)),
            access_rule("Office", ALLOW, ip_ranges=("10.0.0.0/8", "fd00::/8")),
        )
    )
    assert modes.direct_mode(ruleset) == ()
    assert [one.parameters["not_ip_ranges"] for one in modes.direct_mode(ruleset, OFFICE)] == [OFFICE]


def test_proxy_mode(context, organization_id):
    before = stored(context, organization_id)
    assert modes.past_the_proxy(before, PROXY).everywhere
    calls = modes.proxy_mode(before, PROXY)
    modes.carry_out(context, organization_id, calls)
    for ruleset in (modes.after(before, calls), stored(context, organization_id)):
        assert modes.past_the_proxy(ruleset, PROXY) is None
        assert modes.proxies_kept_out(ruleset, PROXY) == ()
        assert modes.proxy_mode(ruleset, PROXY) == ()


def test_a_proxy_that_nothing_lets_in_is_let_in():
    ruleset = rules(access=(access_rule("Office", ALLOW, ip_ranges=OFFICE),))
    assert list(map(str, modes.proxies_kept_out(ruleset, PROXY))) == list(PROXY)
    then = modes.after(ruleset, modes.proxy_mode(ruleset, PROXY))
    assert modes.past_the_proxy(then, PROXY) is None
    assert modes.proxies_kept_out(then, PROXY) == ()


def test_an_eleventh_rule_is_refused(context, organization_id):
    for number in range(9):
        mobile_device_access_rules.create(context, organization_id=organization_id, name=str(number), effect="ALLOW")
    with pytest.raises(LimitExceededException):
        modes.carry_out(context, organization_id, modes.direct_mode(stored(context, organization_id)))

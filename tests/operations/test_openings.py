from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.engine import ALLOW, DEFAULT_ACCESS, DENY, access_rule, organization, patient, user

from gatepost.engine import AccessRequest, RuleSet, access_control_effect
from gatepost.model import Action, EntityState
from gatepost.operations.openings import Openings

OFFICE = "198.51.100.0/24"


def openings(*rules, networks=(OFFICE,), users=()):
    return Openings(RuleSet.build(organization(), access_control_rules=rules, users=users), networks)


def shown(found):
    return None if found is None else (*map(str, found.networks),)


def test_a_rule_without_conditions_opens_everything():
    found = openings(DEFAULT_ACCESS, networks=()).beyond(Action.IMAP)
    assert (shown(found), found.everywhere, found.user_ids, found.rules) == (
        ("0.0.0.0/0", "::/0"), True, None, ("Default",),
    )  # fmt: skip
    beyond = openings(DEFAULT_ACCESS).beyond(Action.IMAP)
    assert beyond.everywhere
    assert not any(ip_network(OFFICE).overlaps(one) for one in beyond.networks if one.version == 4)


def test_what_is_closed_outside_may_be_open_inside():
    rules = (DEFAULT_ACCESS, access_rule("Office", DENY, not_actions=(Action.ACTIVE_SYNC,), not_ip_ranges=(OFFICE,)))
    assert openings(*rules).beyond(Action.IMAP) is None
    assert openings(*rules).beyond(Action.ACTIVE_SYNC).everywhere
    assert openings(*rules).closed(Action.IMAP) == ()
    assert openings(*rules).closed(Action.IMAP, named=False)


def test_a_hole_of_one_address_is_found():
    rules = (
        access_rule("Office", ALLOW, ip_ranges=(OFFICE,)),
        access_rule("Printer", ALLOW, actions=(Action.SMTP,), ip_ranges=("203.0.113.9/32", "2001:db8::9/128")),
    )
    found = openings(*rules).beyond(Action.SMTP)
    assert (shown(found), found.everywhere) == (("203.0.113.9/32", "2001:db8::9/128"), False)
    assert openings(*rules).beyond(Action.IMAP) is None


def test_a_rule_for_some_users_names_them_unless_they_are_gone():
    rules = (access_rule("Some", ALLOW, user_ids=("alice-id", "bob-id")),)
    users = (user(), user("bob-id", "bob", None, state=EntityState.DISABLED))
    assert openings(*rules, users=users).beyond(Action.EWS).user_ids == ("alice-id",)
    everybody_else = (DEFAULT_ACCESS, access_rule("NotAlice", DENY, user_ids=("alice-id",)))
    assert openings(*everybody_else).beyond(Action.EWS).user_ids is None


def test_without_rules_everything_is_closed():
    assert openings().beyond(Action.WEB_MAIL) is None
    assert shown_networks(openings().closed(Action.WEB_MAIL)) == (OFFICE,)


def test_a_mapped_range_is_the_ipv4_range():
    rules = (access_rule("Mapped", ALLOW, ip_ranges=("::ffff:198.51.100.0/120",)),)
    assert openings(*rules).beyond(Action.IMAP) is None
    assert shown(openings(*rules, networks=()).beyond(Action.IMAP)) == (OFFICE,)


def test_a_rule_that_cannot_be_evaluated_opens_nothing():
    assert openings(DEFAULT_ACCESS, access_rule("Broken", ALLOW, ip_ranges=("nonsense",))).beyond(Action.IMAP) is None


def shown_networks(networks):
    return (*map(str, networks),)


RANGES = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", OFFICE, "0.0.0.0/1", "2001:db8::/32", "2001:db8::1/128"]
ADDRESSES = [
    "10.1.2.3",
    "10.1.2.4",
    "10.2.0.0",
    "198.51.100.7",
    "9.9.9.9",
    "200.0.0.1",
    "2001:db8::1",
    "2001:db8::2",
    "::9",
]
range_lists = st.lists(st.sampled_from(RANGES), max_size=2, unique=True).map(tuple)
rules = st.lists(
    st.tuples(
        st.sampled_from([ALLOW, DENY]), range_lists, range_lists,
        st.sampled_from([(), ("alice-id",)]), st.sampled_from([(), ("alice-id",), ("bob-id",)]),
    ),
    max_size=3,
)  # fmt: skip


@patient
@given(rules, range_lists)
def test_it_agrees_with_the_engine_at_every_address(drawn, given_networks):
    nouns = [
        access_rule(str(number), effect, ip_ranges=one, not_ip_ranges=other, user_ids=users, not_user_ids=not_users)
        for number, (effect, one, other, users, not_users) in enumerate(drawn)
    ]
    ruleset = RuleSet.build(organization(), access_control_rules=nouns)
    found = Openings(ruleset, given_networks).beyond(Action.IMAP)
    for text in ADDRESSES:
        address = ip_address(text)
        inside = any(address in ip_network(one) for one in given_networks)
        if inside:
            assert found is None or not any(address in one for one in found.networks)
            continue
        let_in = {
            user_id
            for user_id in ("alice-id", "bob-id", "carol-id")
            if access_control_effect(ruleset, AccessRequest(Action.IMAP, address, user_id)).allowed
        }
        shows = found is not None and any(address in one for one in found.networks)
        if "carol-id" in let_in:
            assert shows
            assert found.user_ids is None
        elif let_in:
            assert found is not None
            assert found.user_ids is None or let_in <= set(found.user_ids)


@pytest.mark.parametrize("action", Action)
def test_every_action_can_be_asked_about(action):
    assert openings(access_rule("One", ALLOW, actions=(action,))).beyond(action).action is action

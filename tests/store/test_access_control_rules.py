from __future__ import annotations

import pytest
from tests.store.nouns import ORGANIZATION, an_access_control_rule, an_organization, minutes

from gatepost.model import Action, Effect, Kind
from gatepost.store import access_control_rules, feed, organizations

OTHER = "m-ffffffffffffffffffffffffffffffff"


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        organizations.put(transaction, an_organization(OTHER))


def put(store, *rules):
    with store.begin() as transaction:
        return [access_control_rules.put(transaction, rule) for rule in rules]


def test_what_was_put_is_got_replaced_and_deleted(store):
    rule = an_access_control_rule(not_ip_ranges=("2001:db8::/32",), not_actions=tuple(Action), user_ids=("a", "b"))
    (first,) = put(store, rule)
    changed = an_access_control_rule(effect=Effect.DENY, actions=(), date_modified=minutes(1))
    put(store, changed)
    with store.read() as reader:
        assert access_control_rules.get(reader, ORGANIZATION, "office") == changed
        assert access_control_rules.get(reader, ORGANIZATION, "Office") is None
        assert access_control_rules.get(reader, OTHER, "office") is None
    with store.begin() as transaction:
        assert access_control_rules.delete(transaction, ORGANIZATION, "office") is True
        assert access_control_rules.delete(transaction, ORGANIZATION, "office") is False
    told = feed.changes_after(store, store.epoch, first - 1)
    assert [(one.kind, one.key, one.noun) for one in told] == [
        (Kind.ACCESS_CONTROL_RULE, ("office",), rule),
        (Kind.ACCESS_CONTROL_RULE, ("office",), changed),
        (Kind.ACCESS_CONTROL_RULE, ("office",), None),
    ]


def test_counted_and_paged_within_the_organization(store):
    rules = [an_access_control_rule(name) for name in ("c", "a b", "B")]
    put(store, *rules, an_access_control_rule("d", organization_id=OTHER))
    with store.read() as reader:
        assert access_control_rules.count(reader, ORGANIZATION) == 3
        assert [rule.name for rule in access_control_rules.page(reader, ORGANIZATION, None, 2)] == ["B", "a b"]
        assert [rule.name for rule in access_control_rules.page(reader, ORGANIZATION, "a b", 2)] == ["c"]

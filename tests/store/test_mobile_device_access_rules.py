from __future__ import annotations

import pytest
from tests.store.nouns import ORGANIZATION, a_rule, an_organization, minutes

from gatepost.model import DeviceConditions, Effect, Kind
from gatepost.store import feed, mobile_device_access_rules, organizations

OTHER = "m-ffffffffffffffffffffffffffffffff"


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        organizations.put(transaction, an_organization(OTHER))


def put(store, *rules):
    with store.begin() as transaction:
        return [mobile_device_access_rules.put(transaction, rule) for rule in rules]


def test_what_was_put_is_got_replaced_and_deleted(store):
    rule = a_rule(conditions=DeviceConditions(*[(f"{number}", "$NONE") for number in range(8)]), description="Ω")
    (first,) = put(store, rule)
    changed = a_rule(effect=Effect.DENY, name="other", date_modified=minutes(1))
    put(store, changed)
    with store.read() as reader:
        assert mobile_device_access_rules.get(reader, ORGANIZATION, "rule-1") == changed
        assert mobile_device_access_rules.get(reader, ORGANIZATION, "rule-2") is None
        assert mobile_device_access_rules.get(reader, OTHER, "rule-1") is None
    with store.begin() as transaction:
        assert mobile_device_access_rules.delete(transaction, ORGANIZATION, "rule-1") is True
        assert mobile_device_access_rules.delete(transaction, ORGANIZATION, "rule-1") is False
        assert mobile_device_access_rules.get(transaction, ORGANIZATION, "rule-1") is None
    told = feed.changes_after(store, store.epoch, first - 1)
    assert [(one.kind, one.key, one.noun) for one in told] == [
        (Kind.MOBILE_DEVICE_ACCESS_RULE, ("rule-1",), rule),
        (Kind.MOBILE_DEVICE_ACCESS_RULE, ("rule-1",), changed),
        (Kind.MOBILE_DEVICE_ACCESS_RULE, ("rule-1",), None),
    ]


def test_counted_and_paged_within_the_organization(store):
    put(store, a_rule("c"), a_rule("a"), a_rule("b"), a_rule("d", organization_id=OTHER))
    with store.read() as reader:
        assert mobile_device_access_rules.count(reader, ORGANIZATION) == 3
        assert mobile_device_access_rules.count(reader, "m-unknown") == 0
        assert [rule.rule_id for rule in mobile_device_access_rules.page(reader, ORGANIZATION, None, 2)] == ["a", "b"]
        assert [rule.rule_id for rule in mobile_device_access_rules.page(reader, ORGANIZATION, "b", 2)] == ["c"]

import pytest

from gatepost.model import DeviceConditions, Effect
from gatepost.operations import mobile_device_access_rules as rules
from gatepost.operations.errors import EntityNotFoundException, InvalidParameterException, LimitExceededException


@pytest.fixture
def empty_id(context, organization_id):
    """The organization without its default rule."""
    (default,) = rules.list(context, organization_id=organization_id)
    rules.delete(context, organization_id=organization_id, mobile_device_access_rule_id=default.rule_id)
    return organization_id


def test_a_rule_keeps_what_it_was_created_with(context, empty_id):
    rule_id = rules.create(
        context,
        organization_id=empty_id,
        name="Block Android 4",
        effect="DENY",
        description="too old",
        device_types=["android"],
        not_device_user_agents=["$NONE", "Outlook"],
    )
    (rule,) = rules.list(context, organization_id=empty_id)
    assert (rule.rule_id, rule.name, rule.effect, rule.description) == (
        rule_id,
        "Block Android 4",
        Effect.DENY,
        "too old",
    )
    assert rule.conditions == DeviceConditions(device_types=("android",), not_device_user_agents=("$NONE", "Outlook"))
    assert rule.date_created == rule.date_modified


def test_rules_are_listed_oldest_first(context, empty_id):
    ids = [rules.create(context, organization_id=empty_id, name="same", effect="ALLOW") for _ in range(5)]
    assert [rule.rule_id for rule in rules.list(context, organization_id=empty_id)] == ids


def test_an_update_replaces_the_whole_rule(context, empty_id):
    rule_id = rules.create(
        context, organization_id=empty_id, name="old", effect="DENY", description="old", device_types=["a"]
    )
    (before,) = rules.list(context, organization_id=empty_id)
    rules.update(
        context,
        organization_id=empty_id,
        mobile_device_access_rule_id=rule_id,
        name="new",
        effect="ALLOW",
        device_models=["b"],
    )
    (after,) = rules.list(context, organization_id=empty_id)
    assert (after.name, after.effect, after.description) == ("new", Effect.ALLOW, None)
    assert after.conditions == DeviceConditions(device_models=("b",))
    assert after.date_created == before.date_created
    assert after.date_modified > before.date_modified


def test_ten_rules_are_the_limit_and_updates_go_on(context, empty_id):
    for _ in range(rules.MAX_RULES):
        last = rules.create(context, organization_id=empty_id, name="one", effect="DENY")
    with pytest.raises(LimitExceededException):
        rules.create(context, organization_id=empty_id, name="eleventh", effect="DENY")
    rules.update(context, organization_id=empty_id, mobile_device_access_rule_id=last, name="x", effect="ALLOW")
    rules.delete(context, organization_id=empty_id, mobile_device_access_rule_id=last)
    rules.create(context, organization_id=empty_id, name="tenth", effect="DENY")


def test_an_unknown_rule_is_not_updated_and_its_deletion_is_a_success(context, empty_id, revision):
    with pytest.raises(EntityNotFoundException):
        rules.update(context, organization_id=empty_id, mobile_device_access_rule_id="x", name="n", effect="DENY")
    before = revision()
    rules.delete(context, organization_id=empty_id, mobile_device_access_rule_id="x")
    assert revision() == before


def test_a_client_token_makes_one_rule(context, empty_id):
    def create(name="one"):
        return rules.create(context, organization_id=empty_id, name=name, effect="DENY", client_token="token")

    assert create() == create()
    assert len(rules.list(context, organization_id=empty_id)) == 1
    with pytest.raises(InvalidParameterException):
        create(name="two")


def test_a_rule_belongs_to_its_organization(context, empty_id, closed_id):
    rule_id = rules.create(context, organization_id=empty_id, name="mine", effect="DENY")
    with pytest.raises(EntityNotFoundException):
        rules.update(context, organization_id=closed_id, mobile_device_access_rule_id=rule_id, name="n", effect="DENY")
    rules.delete(context, organization_id=closed_id, mobile_device_access_rule_id=rule_id)
    assert len(rules.list(context, organization_id=empty_id)) == 1

import pytest

from gatepost.model import Action, Effect
from gatepost.operations import access_control_rules as rules
from gatepost.operations import impersonation_roles, registrations, users
from gatepost.operations.errors import (
    EntityNotFoundException,
    InvalidParameterException,
    LimitExceededException,
    ResourceNotFoundException,
)


def put(context, organization_id, name="rule", effect="DENY", description="a rule", **more):
    rules.put(context, organization_id=organization_id, name=name, effect=effect, description=description, **more)


def get(context, organization_id, name="rule"):
    (found,) = [rule for rule in rules.list(context, organization_id=organization_id) if rule.name == name]
    return found


def role(context, organization_id, name="role"):
    return impersonation_roles.create(context, organization_id=organization_id, name=name, type="READ_ONLY", rules=())


def test_a_rule_keeps_what_it_was_put_with(context, organization_id, alice):
    one, other = role(context, organization_id), role(context, organization_id)
    put(
        context,
        organization_id,
        ip_ranges=["10.0.0.0/8", "2001:db8::/32"],
        not_ip_ranges=["10.1.2.3/16"],
        actions=["ActiveSync", "EWS"],
        not_actions=["IMAP"],
        user_ids=[alice],
        not_user_ids=["alice@example.com"],
        impersonation_role_ids=[one],
        not_impersonation_role_ids=[other, one],
    )
    rule = get(context, organization_id)
    assert (rule.effect, rule.description) == (Effect.DENY, "a rule")
    assert rule.ip_ranges == ("10.0.0.0/8", "2001:db8::/32")
    assert rule.not_ip_ranges == ("10.1.2.3/16",)
    assert rule.actions == (Action.ACTIVE_SYNC, Action.EWS)
    assert rule.not_actions == (Action.IMAP,)
    assert rule.user_ids == rule.not_user_ids == (alice,)
    assert (rule.impersonation_role_ids, rule.not_impersonation_role_ids) == ((one,), (other, one))


def test_the_same_name_replaces_the_whole_rule(context, organization_id):
    put(context, organization_id, actions=["IMAP"])
    first = get(context, organization_id)
    put(context, organization_id, effect="ALLOW", description="")
    second = get(context, organization_id)
    assert (second.effect, second.description, second.actions) == (Effect.ALLOW, "", ())
    assert second.date_created == first.date_created
    assert second.date_modified > first.date_modified


def test_ten_rules_are_the_limit_and_replacing_goes_on(context, organization_id):
    for number in range(rules.MAX_RULES - 1):
        put(context, organization_id, name=f"rule{number}")
    with pytest.raises(LimitExceededException):
        put(context, organization_id, name="eleventh")
    put(context, organization_id, name="default", effect="DENY")
    assert get(context, organization_id, "default").effect is Effect.DENY


@pytest.mark.parametrize(
    "parameters",
    [
        {"actions": ["activesync"]},
        {"not_actions": ["Outlook"]},
        {"ip_ranges": ["10.0.0.0"]},
        {"ip_ranges": ["10.0.0.0/33"]},
        {"not_ip_ranges": ["10.0.0/8"]},
        {"ip_ranges": ["2001:db8::/129"]},
        {"ip_ranges": ["example.com/8"]},
        {"ip_ranges": [""]},
    ],
)
def test_values_that_mean_nothing_are_refused(context, organization_id, parameters):
    with pytest.raises(InvalidParameterException):
        put(context, organization_id, **parameters)


def test_users_must_exist_and_may_be_disabled(context, organization_id, alice):
    with pytest.raises(EntityNotFoundException):
        put(context, organization_id, user_ids=["12345678-1234-1234-1234-123456789012"])
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    put(context, organization_id, user_ids=[alice])
    users.delete(context, organization_id=organization_id, user_id=alice)
    with pytest.raises(EntityNotFoundException):
        put(context, organization_id, not_user_ids=[alice])


def test_impersonation_roles_must_exist(context, organization_id, closed_id):
    elsewhere, known = role(context, closed_id), role(context, organization_id)
    for unknown in ("none", elsewhere):
        with pytest.raises(ResourceNotFoundException, match=f"impersonation role {unknown} "):
            put(context, organization_id, impersonation_role_ids=[known, unknown])
        with pytest.raises(ResourceNotFoundException):
            put(context, organization_id, not_impersonation_role_ids=[unknown])
    put(context, organization_id, impersonation_role_ids=[known])
    impersonation_roles.delete(context, organization_id=organization_id, impersonation_role_id=known)
    with pytest.raises(ResourceNotFoundException):
        put(context, organization_id, impersonation_role_ids=[known])


def test_deleting_what_is_not_there_is_a_success(context, organization_id, revision):
    rules.delete(context, organization_id=organization_id, name="default")
    before = revision()
    rules.delete(context, organization_id=organization_id, name="default")
    assert revision() == before
    assert rules.list(context, organization_id=organization_id) == ()

import pytest

from gatepost.model import Effect, ImpersonationRoleType, ImpersonationRule
from gatepost.operations import access_control_rules, access_effects, organizations, registrations, users
from gatepost.operations import impersonation_roles as roles
from gatepost.operations.errors import (
    EntityNotFoundException,
    EntityStateException,
    InvalidParameterException,
    LimitExceededException,
    OrganizationStateException,
    ResourceNotFoundException,
)

UNKNOWN_USER = "12345678-1234-1234-1234-123456789012"


def rule(rule_id="all", effect="ALLOW", **more):
    return {"ImpersonationRuleId": rule_id, "Effect": effect, **more}


def create(context, organization_id, *rules, **more):
    parameters = {"name": "migration", "type": "FULL_ACCESS", "rules": rules, **more}
    return roles.create(context, organization_id=organization_id, **parameters)


def update(context, organization_id, role_id, *rules, **more):
    parameters = {"name": "migration", "type": "FULL_ACCESS", "rules": rules, **more}
    roles.update(context, organization_id=organization_id, impersonation_role_id=role_id, **parameters)


def get(context, organization_id, role_id):
    return roles.get(context, organization_id=organization_id, impersonation_role_id=role_id)


def delete(context, organization_id, role_id):
    roles.delete(context, organization_id=organization_id, impersonation_role_id=role_id)


def effect(context, organization_id, role_id, target_user):
    found = roles.get_effect(
        context, organization_id=organization_id, impersonation_role_id=role_id, target_user=target_user
    )
    return found.effect, [one.rule_id for one in found.matched_rules]


@pytest.fixture
def bob(context, organization_id):
    """The id of another enabled user."""
    return users.enroll(context, organization_id, "bob@example.net").user_id


def test_a_role_keeps_what_it_was_created_with(context, organization_id, alice, bob):
    role_id = create(
        context,
        organization_id,
        rule("b", "DENY", Name="not Alice", TargetUsers=["alice", "Alice@Example.com"]),
        rule("a", Description="the others", NotTargetUsers=[alice, "bob@example.net"]),
        description="moves the mail",
        type="READ_ONLY",
    )
    role = get(context, organization_id, role_id)
    assert (role.name, role.type, role.description) == (
        "migration",
        ImpersonationRoleType.READ_ONLY,
        "moves the mail",
    )
    assert role.rules == (
        ImpersonationRule("b", "not Alice", None, Effect.DENY, (alice, alice), ()),
        ImpersonationRule("a", None, "the others", Effect.ALLOW, (), (alice, bob)),
    )
    assert role.date_created == role.date_modified


def test_update_replaces_the_whole_role(context, organization_id):
    role_id = create(context, organization_id, rule(), description="old")
    first = get(context, organization_id, role_id)
    update(context, organization_id, role_id, name="new", type="READ_ONLY")
    second = get(context, organization_id, role_id)
    assert (second.name, second.type, second.description, second.rules) == (
        "new",
        ImpersonationRoleType.READ_ONLY,
        None,
        (),
    )
    assert second.date_created == first.date_created
    assert second.date_modified > first.date_modified


def test_a_client_token_creates_one_role(context, organization_id):
    first = create(context, organization_id, rule(), client_token="token")
    assert create(context, organization_id, rule(), client_token="token") == first
    with pytest.raises(InvalidParameterException, match="ClientToken"):
        create(context, organization_id, rule("other"), client_token="token")
    assert len(roles.list(context, organization_id=organization_id).items) == 1


def test_twenty_roles_are_the_limit_and_come_in_pages(context, organization_id):
    made = [create(context, organization_id) for _ in range(roles.MAX_ROLES)]
    with pytest.raises(LimitExceededException):
        create(context, organization_id)
    first = roles.list(context, organization_id=organization_id, max_results=15)
    rest = roles.list(context, organization_id=organization_id, next_token=first.next_token)
    assert [role.role_id for role in first.items + rest.items] == sorted(made)
    assert rest.next_token is None
    update(context, organization_id, made[0], name="new")
    delete(context, organization_id, made[0])
    create(context, organization_id)


def test_a_rule_id_is_there_once(context, organization_id):
    role_id = create(context, organization_id)
    for attempt in (
        lambda: create(context, organization_id, rule("a"), rule("b"), rule("a", "DENY")),
        lambda: update(context, organization_id, role_id, rule("a"), rule("a")),
    ):
        with pytest.raises(InvalidParameterException, match="ImpersonationRuleId"):
            attempt()
    create(context, organization_id, rule("a"), rule("A"))


@pytest.mark.parametrize("member", ["TargetUsers", "NotTargetUsers"])
def test_users_must_exist_and_may_be_disabled(context, organization_id, alice, member):
    role_id = create(context, organization_id)
    for one in (
        lambda *rules: create(context, organization_id, *rules),
        lambda *rules: update(context, organization_id, role_id, *rules),
    ):
        with pytest.raises(EntityNotFoundException):
            one(rule(**{member: [alice, UNKNOWN_USER]}))
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    create(context, organization_id, rule(**{member: [alice]}))
    users.delete(context, organization_id=organization_id, user_id=alice)
    for one in (
        lambda *rules: create(context, organization_id, *rules),
        lambda *rules: update(context, organization_id, role_id, *rules),
    ):
        with pytest.raises(EntityStateException):
            one(rule(**{member: [alice]}))


def test_an_unknown_role_is_not_found_and_deleting_it_is_a_success(
    context, organization_id, closed_id, alice, revision
):
    elsewhere = create(context, closed_id)
    for role_id in ("unknown", elsewhere, elsewhere.upper()):
        with pytest.raises(ResourceNotFoundException, match=role_id):
            get(context, organization_id, role_id)
        with pytest.raises(ResourceNotFoundException):
            update(context, organization_id, role_id)
        with pytest.raises(ResourceNotFoundException):
            effect(context, organization_id, role_id, alice)
        before = revision()
        delete(context, organization_id, role_id)
        assert revision() == before
    assert get(context, closed_id, elsewhere).role_id == elsewhere


def test_the_effect_follows_from_the_rules_in_their_order(context, organization_id, alice, bob):
    role_id = create(
        context,
        organization_id,
        rule("z"),
        rule("none", "DENY", TargetUsers=[bob]),
        rule("alice", TargetUsers=[alice]),
    )
    for target in (alice, "alice", "ALICE", "alice@example.com"):
        assert effect(context, organization_id, role_id, target) == (Effect.ALLOW, ["z", "alice"])
    assert effect(context, organization_id, role_id, "bob@example.net") == (Effect.DENY, ["none"])
    update(context, organization_id, role_id, rule("but", NotTargetUsers=["alice"]))
    assert effect(context, organization_id, role_id, alice) == (Effect.DENY, [])
    assert effect(context, organization_id, role_id, bob) == (Effect.ALLOW, ["but"])
    update(context, organization_id, role_id)
    assert effect(context, organization_id, role_id, bob) == (Effect.DENY, [])


def test_the_answer_has_the_type_of_the_role(context, organization_id, alice):
    role_id = create(context, organization_id, rule(Name="everybody"), type="READ_ONLY")
    found = roles.get_effect(
        context, organization_id=organization_id, impersonation_role_id=role_id, target_user="alice"
    )
    assert (found.type, found.matched_rules[0].name) == (ImpersonationRoleType.READ_ONLY, "everybody")


def test_only_an_enabled_user_can_be_impersonated(context, organization_id, alice):
    role_id = create(context, organization_id, rule())
    with pytest.raises(EntityNotFoundException):
        effect(context, organization_id, role_id, "nobody")
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    with pytest.raises(EntityStateException):
        effect(context, organization_id, role_id, alice)
    users.delete(context, organization_id=organization_id, user_id=alice)
    with pytest.raises(EntityStateException):
        effect(context, organization_id, role_id, alice)


def test_a_deleted_role_leaves_the_rules_that_name_it_as_they_are(context, organization_id, alice):
    """The rule's list would otherwise be empty, and match everybody."""
    role_id, other = create(context, organization_id), create(context, organization_id)
    put = {"organization_id": organization_id, "name": "role", "effect": "ALLOW", "description": ""}
    access_control_rules.put(context, **put, impersonation_role_ids=[role_id])
    access_control_rules.delete(context, organization_id=organization_id, name="default")
    ask = {"organization_id": organization_id, "ip_address": "192.0.2.1", "action": "EWS"}

    def asked(**who):
        return access_effects.get_access_control_effect(context, **ask, **who).effect

    assert (asked(impersonation_role_id=role_id), asked(impersonation_role_id=other)) == (Effect.ALLOW, Effect.DENY)
    delete(context, organization_id, role_id)
    (kept,) = access_control_rules.list(context, organization_id=organization_id)
    assert kept.impersonation_role_ids == (role_id,)
    assert (asked(impersonation_role_id=other), asked(user_id=alice)) == (Effect.DENY, Effect.DENY)
    with pytest.raises(ResourceNotFoundException):
        asked(impersonation_role_id=role_id)


def test_roles_go_with_their_organization(context, organization_id):
    role_id = create(context, organization_id)
    organizations.delete(context, organization_id=organization_id, delete_directory=True)
    for operation in (get, delete, update):
        with pytest.raises(OrganizationStateException):
            operation(context, organization_id, role_id)
    with context.store.read() as reader:
        assert roles.impersonation_roles.count(reader, organization_id) == 0

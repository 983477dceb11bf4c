import re

import pytest

from gatepost.model import Directory, Effect, EntityState, OrganizationState
from gatepost.operations import (
    access_control_rules,
    group_members,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    registrations,
    users,
)
from gatepost.operations.errors import (
    DirectoryUnavailableException,
    InvalidParameterException,
    NameAvailabilityException,
    OrganizationNotFoundException,
    OrganizationStateException,
)
from gatepost.store import group_members as member_rows
from gatepost.store import groups as group_rows
from gatepost.store import users as user_rows


def test_a_new_organization_has_workmails_two_default_rules(context):
    organization_id = organizations.create(context, alias="acme")
    assert re.fullmatch(r"m-[0-9a-f]{32}", organization_id)
    (device_rule,) = mobile_device_access_rules.list(context, organization_id=organization_id)
    assert device_rule.effect is Effect.ALLOW
    assert device_rule.conditions == type(device_rule.conditions)()
    (access_rule,) = access_control_rules.list(context, organization_id=organization_id)
    assert (access_rule.name, access_rule.effect, access_rule.description) == (
        "default",
        Effect.ALLOW,
        "Default WorkMail Rule",
    )
    nothing_said = (access_rule.actions, access_rule.not_actions, access_rule.ip_ranges, access_rule.user_ids)
    assert nothing_said == ((), (), (), ())


def test_the_first_domain_is_the_default_and_without_any_it_follows_from_the_alias(context):
    given = organizations.create(
        context, alias="one", domains=[{"DomainName": "One.Example"}, {"DomainName": "two.example"}]
    )
    described = organizations.describe(context, organization_id=given)
    assert described.domains == ("one.example", "two.example")
    assert described.default_domain == "one.example"
    derived = organizations.create(context, alias="Other")
    assert organizations.describe(context, organization_id=derived).default_domain == "other.gatepost.internal"


def test_an_organization_is_open_unless_it_is_created_closed(context):
    opened = organizations.create(context, alias="opened")
    closed = organizations.create(context, alias="closed", directory=Directory.CLOSED)
    assert organizations.describe(context, organization_id=opened).directory is Directory.OPEN
    assert organizations.describe(context, organization_id=closed).directory is Directory.CLOSED


def test_the_id_can_be_chosen_once(context):
    chosen = "m-a123b4c5de678fg9h0ij1k2lm234no56"
    assert organizations.create(context, alias="guide", organization_id=chosen) == chosen
    organizations.delete(context, organization_id=chosen, delete_directory=True)
    with pytest.raises(NameAvailabilityException):
        organizations.create(context, alias="guide", organization_id=chosen)


def test_alias_and_domains_are_unique_until_the_organization_is_deleted(context):
    first = organizations.create(context, alias="acme", domains=["acme.example"])
    for alias, domains in (("acme", ["other.example"]), ("other", ["new.example", "ACME.example"])):
        with pytest.raises(NameAvailabilityException):
            organizations.create(context, alias=alias, domains=domains)
    organizations.delete(context, organization_id=first, delete_directory=True)
    assert organizations.create(context, alias="acme", domains=["acme.example"]) != first


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"directory_id": "d-0123456789"}, DirectoryUnavailableException),
        ({"directory_id": "d-0123456789", "enable_interoperability": True}, DirectoryUnavailableException),
        ({"enable_interoperability": True}, InvalidParameterException),
        ({"kms_key_arn": "arn:aws:kms:eu-west-1:111122223333:key/x"}, InvalidParameterException),
        ({"domains": ["nodots"]}, InvalidParameterException),
        ({"domains": ["-a.example"]}, InvalidParameterException),
        ({"domains": ["a..example"]}, InvalidParameterException),
    ],
)
def test_what_cannot_be_done_is_refused_and_not_ignored(context, revision, parameters, refused):
    before = revision()
    with pytest.raises(refused):
        organizations.create(context, alias="acme", **parameters)
    assert revision() == before


def test_a_client_token_creates_one_organization(context):
    first = organizations.create(context, alias="acme", client_token="token")
    assert organizations.create(context, alias="acme", client_token="token") == first
    assert len(organizations.list(context).items) == 1
    with pytest.raises(InvalidParameterException, match="other parameters"):
        organizations.create(context, alias="other", client_token="token")


def test_organizations_are_listed_in_pages(context):
    created = {organizations.create(context, alias=f"a{number}") for number in range(5)}
    first = organizations.list(context, max_results=3)
    second = organizations.list(context, max_results=3, next_token=first.next_token)
    assert {one.organization_id for one in first.items + second.items} == created
    assert second.next_token is None


def test_delete_takes_users_rules_and_overrides_along(context, store, organization_id, alice):
    mobile_device_access_overrides.put(
        context, organization_id=organization_id, user_id=alice, device_id="A1", effect="DENY"
    )
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    deleted = organizations.delete(context, organization_id=organization_id, delete_directory=False)
    assert deleted == organizations.DeletedOrganization(organization_id, OrganizationState.DELETED)
    described = organizations.describe(context, organization_id=organization_id)
    assert described.state is OrganizationState.DELETED
    assert described.date_deleted is not None
    with store.read() as reader:
        assert {user.state for user in user_rows.page(reader, organization_id, None, 10)} == {EntityState.DELETED}
    for ask in (mobile_device_access_rules.list, access_control_rules.list, users.list):
        with pytest.raises(OrganizationStateException):
            ask(context, organization_id=organization_id)


def test_delete_takes_groups_along(context, store, organization_id, alice, sales):
    group_members.associate_member_to_group(context, organization_id=organization_id, group_id=sales, member_id=alice)
    organizations.delete(context, organization_id=organization_id, delete_directory=True, force_delete=True)
    with store.read() as reader:
        assert [group.state for group in group_rows.page(reader, organization_id, None, 10)] == [EntityState.DELETED]
        assert member_rows.page(reader, organization_id, sales, None, 10) == []


def test_an_enabled_group_is_not_in_the_way(context, organization_id, sales):
    organizations.delete(context, organization_id=organization_id, delete_directory=True)
    assert organizations.describe(context, organization_id=organization_id).state is OrganizationState.DELETED


def test_enabled_users_are_in_the_way_unless_it_is_forced(context, organization_id, alice):
    with pytest.raises(OrganizationStateException):
        organizations.delete(context, organization_id=organization_id, delete_directory=True)
    organizations.delete(context, organization_id=organization_id, delete_directory=True, force_delete=True)
    assert organizations.describe(context, organization_id=organization_id).state is OrganizationState.DELETED


def test_deleting_twice_needs_the_same_client_token(context, organization_id):
    deleted = organizations.delete(context, organization_id=organization_id, delete_directory=True, client_token="once")
    assert deleted == organizations.delete(
        context, organization_id=organization_id, delete_directory=True, client_token="once"
    )
    with pytest.raises(OrganizationStateException):
        organizations.delete(context, organization_id=organization_id, delete_directory=True)


def test_an_unknown_organization_is_not_found(context):
    unknown = "m-" + "0" * 32
    with pytest.raises(OrganizationNotFoundException):
        organizations.describe(context, organization_id=unknown)
    with pytest.raises(OrganizationNotFoundException):
        organizations.delete(context, organization_id=unknown, delete_directory=True)

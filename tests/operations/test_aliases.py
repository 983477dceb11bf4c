import pytest

from gatepost.operations import aliases, registrations, users
from gatepost.operations.errors import (
    EmailAddressInUseException,
    EntityNotFoundException,
    EntityStateException,
    InvalidParameterException,
    LimitExceededException,
    MailDomainNotFoundException,
)


def create(context, organization_id, entity_id, alias):
    aliases.create(context, organization_id=organization_id, entity_id=entity_id, alias=alias)


def listed(context, organization_id, entity_id, **more):
    return aliases.list(context, organization_id=organization_id, entity_id=entity_id, **more)


def test_aliases_are_given_and_taken(context, organization_id, alice, revision):
    for alias in ("B@example.com", "a@example.net"):
        create(context, organization_id, alice, alias)
    assert listed(context, organization_id, alice).items == ("a@example.net", "B@example.com")
    before = revision()
    create(context, organization_id, alice, "b@EXAMPLE.com")
    create(context, organization_id, alice, "alice@example.com")
    aliases.delete(context, organization_id=organization_id, entity_id=alice, alias="never@example.com")
    assert revision() == before
    aliases.delete(context, organization_id=organization_id, entity_id=alice, alias="b@example.com")
    assert listed(context, organization_id, alice).items == ("a@example.net",)


def test_aliases_come_in_pages_that_survive_changes(context, organization_id, alice):
    for letter in "bdfh":
        create(context, organization_id, alice, f"{letter}@example.com")
    first = listed(context, organization_id, alice, max_results=2)
    create(context, organization_id, alice, "a@example.com")
    create(context, organization_id, alice, "g@example.com")
    aliases.delete(context, organization_id=organization_id, entity_id=alice, alias="d@example.com")
    rest = listed(context, organization_id, alice, next_token=first.next_token)
    assert [alias[0] for alias in first.items + rest.items] == ["b", "d", "f", "g", "h"]


def test_an_alias_belongs_to_one_user_and_to_a_domain_of_the_organization(context, organization_id, alice):
    users.enroll(context, organization_id, "bob@example.com")
    with pytest.raises(EmailAddressInUseException):
        create(context, organization_id, alice, "BOB@example.com")
    with pytest.raises(MailDomainNotFoundException):
        create(context, organization_id, alice, "alice@elsewhere.example")


def test_a_hundred_aliases_are_the_limit(context, organization_id, alice):
    for number in range(aliases.MAX_ALIASES):
        create(context, organization_id, alice, f"alias{number}@example.com")
    with pytest.raises(LimitExceededException):
        create(context, organization_id, alice, "one.more@example.com")


def test_the_primary_address_is_no_alias(context, organization_id, alice):
    with pytest.raises(InvalidParameterException, match="primary"):
        aliases.delete(context, organization_id=organization_id, entity_id=alice, alias="Alice@example.com")


def test_the_user_must_be_there_and_in_the_right_state(context, organization_id, alice):
    with pytest.raises(EntityNotFoundException):
        listed(context, organization_id, "12345678-1234-1234-1234-123456789012")
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    with pytest.raises(EntityStateException):
        create(context, organization_id, alice, "a@example.com")
    assert listed(context, organization_id, alice).items == ()
    users.delete(context, organization_id=organization_id, user_id=alice)
    with pytest.raises(EntityStateException):
        listed(context, organization_id, alice)
    with pytest.raises(EntityStateException):
        aliases.delete(context, organization_id=organization_id, entity_id=alice, alias="a@example.com")


def test_a_group_has_aliases_too(context, organization_id, alice, sales):
    create(context, organization_id, sales, "team@example.com")
    assert listed(context, organization_id, sales).items == ("team@example.com",)
    with pytest.raises(EmailAddressInUseException):
        create(context, organization_id, alice, "TEAM@example.com")
    with pytest.raises(EmailAddressInUseException):
        create(context, organization_id, sales, "alice@example.com")
    with pytest.raises(InvalidParameterException, match="primary"):
        aliases.delete(context, organization_id=organization_id, entity_id=sales, alias="sales@example.com")
    aliases.delete(context, organization_id=organization_id, entity_id=sales, alias="Team@example.com")
    assert listed(context, organization_id, sales).items == ()
    create(context, organization_id, alice, "team@example.com")

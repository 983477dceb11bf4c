import pytest

from gatepost.model import EntityState
from gatepost.operations import aliases, groups, registrations, users
from gatepost.operations.errors import (
    EmailAddressInUseException,
    EntityAlreadyRegisteredException,
    EntityNotFoundException,
    EntityStateException,
    MailDomainNotFoundException,
)


def register(context, organization_id, entity_id, email):
    registrations.register_to_work_mail(context, organization_id=organization_id, entity_id=entity_id, email=email)


def deregister(context, organization_id, entity_id):
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=entity_id)


def describe(context, organization_id, user_id):
    return users.describe(context, organization_id=organization_id, user_id=user_id)


@pytest.fixture
def bob(context, organization_id):
    return users.create(context, organization_id=organization_id, name="bob", display_name="Bob")


def test_registering_enables(context, organization_id, bob):
    register(context, organization_id, "bob", "Bob@Example.com")
    user = describe(context, organization_id, "bob@example.com")
    assert (user.user_id, user.email, user.state) == (bob, "Bob@Example.com", EntityState.ENABLED)
    assert user.date_enabled is not None


def test_registering_again_under_the_same_address_changes_nothing(context, organization_id, alice, revision):
    before = revision()
    register(context, organization_id, alice, "ALICE@example.com")
    assert revision() == before
    with pytest.raises(EntityAlreadyRegisteredException):
        register(context, organization_id, alice, "other@example.com")


def test_deregistering_disables_and_keeps_the_addresses(context, organization_id, alice, bob):
    deregister(context, organization_id, "alice@example.com")
    user = describe(context, organization_id, "alice@example.com")
    assert (user.user_id, user.state) == (alice, EntityState.DISABLED)
    assert user.date_disabled is not None
    with pytest.raises(EmailAddressInUseException):
        register(context, organization_id, bob, "alice@example.com")


def test_a_former_address_becomes_an_alias(context, organization_id, alice):
    deregister(context, organization_id, alice)
    register(context, organization_id, alice, "alicia@example.com")
    user = describe(context, organization_id, "alice@example.com")
    assert (user.user_id, user.email, user.aliases, user.state, user.date_disabled) == (
        alice,
        "alicia@example.com",
        ("alice@example.com",),
        EntityState.ENABLED,
        None,
    )
    deregister(context, organization_id, alice)
    register(context, organization_id, alice, "alice@example.com")
    assert describe(context, organization_id, alice).aliases == ("alicia@example.com",)


def test_addresses_of_others_and_of_foreign_domains_are_refused(context, organization_id, alice, bob):
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="ally@example.net")
    for address in ("alice@example.com", "ALLY@example.net"):
        with pytest.raises(EmailAddressInUseException):
            register(context, organization_id, bob, address)
    with pytest.raises(MailDomainNotFoundException):
        register(context, organization_id, bob, "bob@elsewhere.example")


def test_only_an_enabled_user_is_deregistered(context, organization_id, bob):
    with pytest.raises(EntityStateException):
        deregister(context, organization_id, bob)
    with pytest.raises(EntityNotFoundException):
        deregister(context, organization_id, "nobody")


def test_a_deleted_user_stays_deleted(context, organization_id, bob):
    users.delete(context, organization_id=organization_id, user_id=bob)
    with pytest.raises(EntityStateException):
        register(context, organization_id, bob, "bob@example.com")
    with pytest.raises(EntityStateException):
        deregister(context, organization_id, bob)
    with pytest.raises(EntityNotFoundException):
        register(context, organization_id, "bob", "bob@example.com")


def test_a_group_is_enabled_and_disabled_like_a_user(context, organization_id, bob):
    group_id = groups.create(context, organization_id=organization_id, name="sales")
    register(context, organization_id, "sales", "Sales@Example.com")
    group = groups.describe(context, organization_id=organization_id, group_id="sales@example.com")
    assert (group.group_id, group.email, group.state) == (group_id, "Sales@Example.com", EntityState.ENABLED)
    assert group.date_enabled is not None
    register(context, organization_id, group_id, "sales@example.com")
    with pytest.raises(EntityAlreadyRegisteredException):
        register(context, organization_id, group_id, "other@example.com")
    with pytest.raises(EmailAddressInUseException):
        register(context, organization_id, bob, "sales@example.com")
    deregister(context, organization_id, "sales@example.com")
    group = groups.describe(context, organization_id=organization_id, group_id=group_id)
    assert (group.state, group.email) == (EntityState.DISABLED, "Sales@Example.com")
    assert group.date_disabled is not None
    with pytest.raises(EntityStateException):
        deregister(context, organization_id, group_id)
    register(context, organization_id, group_id, "team@example.com")
    group = groups.describe(context, organization_id=organization_id, group_id=group_id)
    assert (group.email, group.aliases, group.date_disabled) == ("team@example.com", ("Sales@Example.com",), None)
    deregister(context, organization_id, group_id)
    groups.delete(context, organization_id=organization_id, group_id=group_id)
    with pytest.raises(EntityStateException):
        register(context, organization_id, group_id, "team@example.com")

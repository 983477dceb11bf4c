import pytest

from gatepost.engine import RuleSet
from gatepost.model import EntityState, EntityType, enrolled_user_id
from gatepost.operations import (
    aliases,
    entities,
    groups,
    mobile_device_access_overrides,
    organizations,
    registrations,
    users,
)
from gatepost.operations.errors import (
    EmailAddressInUseException,
    EntityNotFoundException,
    EntityStateException,
    InvalidParameterException,
    MailDomainNotFoundException,
)
from gatepost.store import users as user_rows


@pytest.fixture
def described(context, organization_id):
    return lambda email: entities.describe(context, organization_id=organization_id, email=email)


@pytest.fixture
def move(context, organization_id):
    def run(entity_id, email):
        entities.update_primary_email_address(
            context, organization_id=organization_id, entity_id=entity_id, email=email
        )

    return run


def addresses(entity):
    return entity.email, set(entity.aliases)


def test_whose_address_it_is(context, organization_id, described, alice, sales):
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="al@example.com")
    aliases.create(context, organization_id=organization_id, entity_id=sales, alias="team@example.net")
    for email in ("alice@example.com", "AL@example.com"):
        assert (entities.id_of(described(email)), entities.type_of(described(email))) == (alice, EntityType.USER)
    for email in ("Sales@example.com", "team@EXAMPLE.net"):
        assert (entities.id_of(described(email)), entities.type_of(described(email))) == (sales, EntityType.GROUP)
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    assert entities.id_of(described("alice@example.com")) == alice
    users.delete(context, organization_id=organization_id, user_id=alice)
    for email in ("alice@example.com", "nobody@example.com", "alice@elsewhere.example"):
        with pytest.raises(EntityNotFoundException):
            described(email)


def test_a_name_that_looks_like_an_address_is_none(context, organization_id, described):
    users.create(context, organization_id=organization_id, name="bob@example.com", display_name="Bob")
    with pytest.raises(EntityNotFoundException):
        described("bob@example.com")


@pytest.mark.parametrize("identity", ["alice", "alice@example.com", "AL@example.com"])
def test_the_former_address_becomes_an_alias(context, organization_id, described, move, alice, identity):
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="al@example.com")
    mobile_device_access_overrides.put(
        context, organization_id=organization_id, user_id=alice, device_id="phone1", effect="DENY"
    )
    before = users.describe(context, organization_id=organization_id, user_id=alice)
    move(identity, "Alicia@example.net")
    after = described("alice@example.com")
    assert addresses(after) == ("Alicia@example.net", {"alice@example.com", "al@example.com"})
    assert (after.user_id, after.name, after.state, after.attributes, after.date_enabled) == (
        before.user_id,
        before.name,
        before.state,
        before.attributes,
        before.date_enabled,
    )
    found = mobile_device_access_overrides.get(
        context, organization_id=organization_id, user_id="alicia@example.net", device_id="phone1"
    )
    assert found.user_id == alice


def test_an_alias_changes_places_with_the_primary_address(context, organization_id, described, move, alice):
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="Al@example.com")
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="a@example.com")
    move(alice, "al@example.com")
    assert addresses(described("alice@example.com")) == ("al@example.com", {"alice@example.com", "a@example.com"})
    move(alice, "alice@example.com")
    assert addresses(described("alice@example.com")) == ("alice@example.com", {"al@example.com", "a@example.com"})


def test_another_spelling_of_it_is_no_alias(described, move, alice, revision):
    move(alice, "Alice@example.com")
    assert addresses(described("alice@example.com")) == ("Alice@example.com", set())
    before = revision()
    move(alice, "Alice@example.com")
    assert revision() == before


def test_a_group_s_address_moves_as_well(described, move, sales):
    move("sales", "team@example.com")
    assert addresses(described("sales@example.com")) == ("team@example.com", {"sales@example.com"})
    assert entities.id_of(described("team@example.com")) == sales


def test_an_address_is_one_s_own_and_in_a_mail_domain(context, organization_id, described, move, alice, sales):
    aliases.create(context, organization_id=organization_id, entity_id=sales, alias="team@example.com")
    users.enroll(context, organization_id, "bob@example.com")
    for taken in ("BOB@example.com", "sales@example.com", "Team@example.com"):
        with pytest.raises(EmailAddressInUseException):
            move(alice, taken)
    with pytest.raises(EmailAddressInUseException):
        move(sales, "alice@example.com")
    with pytest.raises(MailDomainNotFoundException):
        move(alice, "alice@elsewhere.example")
    assert addresses(described("alice@example.com")) == ("alice@example.com", set())


def test_the_entity_must_be_there_and_enabled(context, organization_id, move, alice):
    with pytest.raises(EntityNotFoundException):
        move("new@example.com", "newer@example.com")  # not taken up by this
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    with pytest.raises(EntityStateException):
        move(alice, "alicia@example.com")
    users.delete(context, organization_id=organization_id, user_id=alice)
    with pytest.raises(EntityStateException):
        move(alice, "alicia@example.com")
    group_id = groups.create(context, organization_id=organization_id, name="board")
    with pytest.raises(EntityStateException):
        move(group_id, "board@example.com")


def test_moving_on_and_on_ends_at_a_hundred_aliases(context, organization_id, described, move, alice):
    for number in range(entities.MAX_ALIASES):
        move(alice, f"alice{number}@example.com")
    with pytest.raises(InvalidParameterException, match="100"):
        move(alice, "one.more@example.com")
    move(alice, "alice7@example.com")  # an alias of its own makes no further one
    assert len(described("alice@example.com").aliases) == entities.MAX_ALIASES


def test_who_was_taken_up_stays_who_it_is(context, store, organization_id, move):
    """The id follows from the first address; the addresses change, and engine and store go on meaning the same user."""
    carol = users.enroll(context, organization_id, "carol@example.com").user_id
    assert carol == enrolled_user_id(organization_id, "carol@example.com")
    move("carol", "carla@example.net")
    with store.read() as reader:
        known = user_rows.page(reader, organization_id, None, 100)
    ruleset = RuleSet.build(organizations.describe(context, organization_id=organization_id), users=known)
    for login in ("carol", "carol@example.com", "carla@example.net", "EXAMPLE\\Carol@example.com"):
        assert ruleset.identify(login) == carol
    assert users.enroll(context, organization_id, "carol@example.com").user_id == carol
    assert users.enroll(context, organization_id, "carla@example.net").user_id == carol
    assert ruleset.users[carol].state is EntityState.ENABLED


def test_a_name_goes_before_an_address_in_the_default_domain(context, store, organization_id):
    group_id = groups.create(context, organization_id=organization_id, name="bob")
    user_id = users.create(context, organization_id=organization_id, name="robert", display_name="Robert")
    registrations.register_to_work_mail(
        context, organization_id=organization_id, entity_id=user_id, email="bob@example.com"
    )
    organization = organizations.describe(context, organization_id=organization_id)
    with store.read() as reader:
        assert entities.id_of(entities.require(reader, organization, "Bob")) == group_id
        assert entities.id_of(entities.require(reader, organization, "bob@example.com")) == user_id
        assert entities.id_of(entities.require(reader, organization, "EXAMPLE\\bob")) == group_id
        assert entities.find(reader, organization, "nobody") is None
        assert entities.id_of(entities.find(reader, organization, f" {user_id} ")) == user_id

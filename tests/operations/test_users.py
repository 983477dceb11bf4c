import random
import threading
from contextlib import suppress

import pytest
from sqlalchemy import event
from tests.support.secrets import password

from gatepost.engine import RuleSet
from gatepost.model import Directory, EntityState, enrolled_user_id
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
    EntityNotFoundException,
    EntityStateException,
    InvalidParameterException,
    NameAvailabilityException,
    ReservedNameException,
)
from gatepost.store import organizations as organization_rows
from gatepost.store import users as user_rows

PASSWORD = password("a new user's")


def create(context, organization_id, name, **more):
    return users.create(context, organization_id=organization_id, name=name, display_name=name.title(), **more)


def test_a_new_user_is_disabled_and_has_no_address(context, organization_id):
    user_id = create(context, organization_id, "bob", first_name="Bob", hidden_from_global_address_list=True)
    user = users.describe(context, organization_id=organization_id, user_id="bob")
    assert (user.user_id, user.name, user.email, user.state) == (user_id, "bob", None, EntityState.DISABLED)
    assert dict(user.attributes) == {
        "DisplayName": "Bob",
        "FirstName": "Bob",
        "HiddenFromGlobalAddressList": "true",
        "UserRole": "USER",
    }


def test_passwords_are_not_kept(context, store, organization_id):
    create(context, organization_id, "bob", password=PASSWORD)
    with store.read() as reader:
        assert PASSWORD not in repr(user_rows.page(reader, organization_id, None, 10))


@pytest.mark.parametrize(
    "name", ["12345678-1234-1234-1234-123456789012", "S-1-1-12-1234567890-123456789-123456789-1234"]
)
def test_a_name_that_looks_like_an_id_is_reserved(context, organization_id, name):
    with pytest.raises(ReservedNameException):
        create(context, organization_id, name)


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.com", "ally@example.net"])
def test_a_login_of_another_user_is_no_free_name(context, organization_id, alice, name):
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="ally@example.net")
    with pytest.raises(NameAvailabilityException):
        create(context, organization_id, name)


@pytest.mark.parametrize("role", ["SYSTEM_USER", "RESOURCE"])
def test_two_roles_cannot_be_passed(context, organization_id, role):
    with pytest.raises(InvalidParameterException):
        create(context, organization_id, "bob", role=role)
    user_id = create(context, organization_id, "bob", role="REMOTE_USER")
    with pytest.raises(InvalidParameterException):
        users.update(context, organization_id=organization_id, user_id=user_id, role=role)
    described = users.describe(context, organization_id=organization_id, user_id=user_id)
    assert dict(described.attributes)["UserRole"] == "REMOTE_USER"


@pytest.mark.parametrize("identity", ["alice", "Alice@Example.COM", "alice@example.com", "ally@example.net"])
def test_a_user_is_found_by_each_of_its_logins(context, organization_id, alice, identity):
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="Ally@example.net")
    assert users.describe(context, organization_id=organization_id, user_id=identity).user_id == alice
    with pytest.raises(EntityNotFoundException):
        users.describe(context, organization_id=organization_id, user_id="x" + identity)


def test_update_changes_what_is_given_and_clears_what_is_empty(context, organization_id, alice):
    users.update(context, organization_id=organization_id, user_id=alice, first_name="Alice", city="Lisbon")
    users.update(
        context,
        organization_id=organization_id,
        user_id=alice,
        city="",
        office="7",
        hidden_from_global_address_list=False,
    )
    assert dict(users.describe(context, organization_id=organization_id, user_id=alice).attributes) == {
        "DisplayName": "Alice",
        "FirstName": "Alice",
        "HiddenFromGlobalAddressList": "false",
        "Office": "7",
        "UserRole": "USER",
    }


def test_users_are_listed_in_pages_with_one_filter(context, organization_id, alice):
    for name in ("anna", "bob", "bert"):
        create(context, organization_id, name, identity_provider_user_id="0a" * 4 + "-0000-0000-0000-" + "0" * 12)

    def names(**filters):
        found, token = [], None
        while True:
            page = users.list(
                context, organization_id=organization_id, filters=filters, max_results=1, next_token=token
            )
            found += [user.name for user in page.items]
            token = page.next_token
            if token is None:
                return sorted(found)

    assert names() == ["alice", "anna", "bert", "bob"]
    assert names(UsernamePrefix="B") == ["bert", "bob"]
    assert names(DisplayNamePrefix="an") == ["anna"]
    assert names(PrimaryEmailPrefix="ALICE@") == ["alice"]
    assert names(State="ENABLED") == ["alice"]
    assert names(IdentityProviderUserIdPrefix="0A0A") == ["anna", "bert", "bob"]
    assert names(UsernamePrefix="%") == []
    with pytest.raises(InvalidParameterException, match="one filter"):
        names(UsernamePrefix="a", State="ENABLED")


def test_a_token_of_one_filter_does_not_serve_another(context, organization_id, alice):
    create(context, organization_id, "anna")
    page = users.list(context, organization_id=organization_id, filters={"UsernamePrefix": "a"}, max_results=1)
    with pytest.raises(InvalidParameterException):
        users.list(
            context, organization_id=organization_id, filters={"UsernamePrefix": "b"}, next_token=page.next_token
        )


def test_only_a_disabled_user_is_deleted_and_its_overrides_go_along(context, organization_id, alice):
    mobile_device_access_overrides.put(
        context, organization_id=organization_id, user_id=alice, device_id="A1", effect="DENY"
    )
    with pytest.raises(EntityStateException):
        users.delete(context, organization_id=organization_id, user_id=alice)
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    users.delete(context, organization_id=organization_id, user_id=alice)
    assert not mobile_device_access_overrides.list(context, organization_id=organization_id).items
    assert users.describe(context, organization_id=organization_id, user_id=alice).state is EntityState.DELETED
    with pytest.raises(EntityNotFoundException):
        users.describe(context, organization_id=organization_id, user_id="alice")
    with pytest.raises(EntityStateException):
        users.update(context, organization_id=organization_id, user_id=alice, city="Lisbon")


def test_deleting_who_is_not_there_is_a_success_and_no_change(context, organization_id, revision):
    bob = create(context, organization_id, "bob")
    users.delete(context, organization_id=organization_id, user_id=bob)
    before = revision()
    users.delete(context, organization_id=organization_id, user_id=bob)
    users.delete(context, organization_id=organization_id, user_id="nobody")
    assert revision() == before


def test_the_name_of_a_deleted_user_is_free_for_another_one(context, organization_id):
    first = create(context, organization_id, "bob")
    users.delete(context, organization_id=organization_id, user_id=first)
    second = create(context, organization_id, "bob")
    assert second != first
    assert users.describe(context, organization_id=organization_id, user_id="bob").user_id == second


class TestEnroll:
    def test_an_address_of_the_organization_becomes_an_enabled_user(self, context, organization_id, revision):
        before = revision()
        user = users.enroll(context, organization_id, "Carol@Example.com")
        assert user.user_id == enrolled_user_id(organization_id, "carol@example.com")
        assert (user.name, user.email, user.state) == ("carol", "carol@example.com", EntityState.ENABLED)
        assert revision() == before + 1

    def test_it_is_idempotent(self, context, organization_id, revision):
        user = users.enroll(context, organization_id, "carol@example.com")
        before = revision()
        assert users.enroll(context, organization_id, "CAROL@example.com") == user
        assert users.enroll(context, organization_id, "EXAMPLE\\carol@example.com") == user
        assert revision() == before

    def test_eight_gateways_at_once_make_one_user(self, context, organization_id, revision):
        before, found, start = revision(), [], threading.Barrier(8)

        def enroll():
            start.wait()
            found.append(users.enroll(context, organization_id, "carol@example.com"))

        threads = [threading.Thread(target=enroll) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1
        assert revision() == before + 1

    def test_the_name_is_the_whole_address_outside_the_default_domain_or_where_the_name_is_taken(
        self, context, organization_id, alice
    ):
        assert users.enroll(context, organization_id, "carol@example.net").name == "carol@example.net"
        create(context, organization_id, "carol")
        registrations.register_to_work_mail(
            context, organization_id=organization_id, entity_id="carol", email="c@example.com"
        )
        assert users.enroll(context, organization_id, "carol@example.com").name == "carol@example.com"

    @pytest.mark.parametrize("login", ["alice", "alice@example.com", "ally@example.net"])
    def test_who_is_known_is_answered(self, context, organization_id, alice, login):
        aliases.create(context, organization_id=organization_id, entity_id=alice, alias="ally@example.net")
        assert users.enroll(context, organization_id, login).user_id == alice

    @pytest.mark.parametrize("address", ["carol@elsewhere.example", "carol", "@example.com", "", "carol@"])
    def test_no_other_address_is_taken_up(self, context, organization_id, address):
        with pytest.raises(EntityNotFoundException):
            users.enroll(context, organization_id, address)

    def test_a_closed_directory_takes_nobody_up(self, context, closed_id):
        with pytest.raises(EntityNotFoundException):
            users.enroll(context, closed_id, "carol@closed.example")
        carol = create(context, closed_id, "carol@closed.example")
        assert users.enroll(context, closed_id, "carol@closed.example").user_id == carol

    def test_who_was_deleted_is_not_taken_up_again(self, context, organization_id):
        carol = users.enroll(context, organization_id, "carol@example.com")
        registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=carol.user_id)
        users.delete(context, organization_id=organization_id, user_id=carol.user_id)
        found = users.enroll(context, organization_id, "carol@example.com")
        assert (found.user_id, found.state) == (carol.user_id, EntityState.DELETED)

    @pytest.mark.parametrize("address", ["alice@example.com", "ally@example.net"])
    def test_nor_who_was_created_and_deleted(self, context, organization_id, alice, address):
        aliases.create(context, organization_id=organization_id, entity_id=alice, alias="ally@example.net")
        registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
        users.delete(context, organization_id=organization_id, user_id=alice)
        found = users.enroll(context, organization_id, address)
        assert (found.user_id, found.state) == (alice, EntityState.DELETED)

    def test_nor_a_user_who_has_a_name_only(self, context, organization_id):
        bob = create(context, organization_id, "bob")
        assert users.enroll(context, organization_id, "bob@example.com").user_id == bob
        users.delete(context, organization_id=organization_id, user_id=bob)
        assert users.enroll(context, organization_id, "bob@example.com").state is EntityState.DELETED

    def test_an_administrator_can_create_who_was_deleted(self, context, organization_id):
        carol = users.enroll(context, organization_id, "carol@example.com")
        registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=carol.user_id)
        users.delete(context, organization_id=organization_id, user_id=carol.user_id)
        second = create(context, organization_id, "carol")
        registrations.register_to_work_mail(
            context, organization_id=organization_id, entity_id=second, email="carol@example.com"
        )
        assert users.enroll(context, organization_id, "carol@example.com").user_id == second

    @pytest.mark.parametrize(
        "address", ["sales@example.com", "SALES@example.com", "team@example.net", "board@example.com"]
    )
    def test_nor_an_address_that_a_group_has_or_would_have(self, context, store, organization_id, sales, address):
        aliases.create(context, organization_id=organization_id, entity_id=sales, alias="team@example.net")
        groups.create(context, organization_id=organization_id, name="Board")
        with pytest.raises(EntityNotFoundException):
            users.enroll(context, organization_id, address)
        assert users.list(context, organization_id=organization_id).items == ()

    def test_not_even_by_who_once_had_the_address(self, context, organization_id, sales):
        """The id that follows from an address can be a user's who has another address now."""
        carol = users.enroll(context, organization_id, "carol@example.com")
        entities.update_primary_email_address(
            context, organization_id=organization_id, entity_id=carol.user_id, email="carla@example.com"
        )
        aliases.delete(context, organization_id=organization_id, entity_id=carol.user_id, alias="carol@example.com")
        entities.update_primary_email_address(
            context, organization_id=organization_id, entity_id=sales, email="carol@example.com"
        )
        with pytest.raises(EntityNotFoundException):
            users.enroll(context, organization_id, "carol@example.com")

    def test_the_address_from_which_an_id_follows_means_its_user_until_somebody_gets_it(
        self, context, organization_id, alice
    ):
        carol = users.enroll(context, organization_id, "carol@example.com").user_id
        where = {"organization_id": organization_id, "entity_id": carol}
        entities.update_primary_email_address(context, **where, email="carla@example.com")
        aliases.delete(context, **where, alias="carol@example.com")
        assert users.enroll(context, organization_id, "carol@example.com").user_id == carol
        aliases.create(context, organization_id=organization_id, entity_id=alice, alias="carol@example.com")
        assert users.enroll(context, organization_id, "carol@example.com").user_id == alice

    def test_the_name_of_a_group_is_left_to_it(self, context, organization_id, sales):
        entities.update_primary_email_address(
            context, organization_id=organization_id, entity_id=sales, email="team@example.com"
        )
        aliases.delete(context, organization_id=organization_id, entity_id=sales, alias="sales@example.com")
        assert users.enroll(context, organization_id, "sales@example.com").name == "sales@example.com"

    def test_who_was_deleted_is_looked_up_and_not_searched_for(self, context, organization_id, monkeypatch):
        gone = create(context, organization_id, "gone")
        users.delete(context, organization_id=organization_id, user_id=gone)

        def page(*_arguments, **_filters):
            raise AssertionError("enrolling reads page after page of users")

        monkeypatch.setattr(user_rows, "page", page)
        assert users.enroll(context, organization_id, "gone@example.com").user_id == gone
        assert users.enroll(context, organization_id, "new@example.com").state is EntityState.ENABLED

    def test_store_and_engine_mean_the_same_user(self, context, store, organization_id, alice):
        """Whom the engine decides about before a row exists is who is taken up."""
        create(context, organization_id, "bob")
        gone = create(context, organization_id, "gone")
        users.delete(context, organization_id=organization_id, user_id=gone)
        with store.read() as reader:
            known = user_rows.page(reader, organization_id, None, 100)
        ruleset = RuleSet.build(organizations.describe(context, organization_id=organization_id), users=known)
        for login in ("alice@example.com", "bob@example.com", "gone@example.com", "new@example.com", "new@example.net"):
            assert users.enroll(context, organization_id, login).user_id == ruleset.identify(login)


class TestEnrollAll:
    """Many at once are taken up as they are one by one."""

    ADDRESSES = (
        "new@example.com",
        "new@example.net",
        "Other@Example.com",
        "bob@example.com",
        "bob@example.net",
        "carol@example.com",
        "dave@example.com",
        "dave@example.net",
        "all@example.com",
        "staff@example.com",
        "staff@example.net",
        "x@elsewhere.example",
        "@example.com",
        "nobody",
        "12345678-1234-1234-1234-123456789012@example.com",
        "nick@example.net",
    )

    @pytest.fixture
    def directories(self, context):
        """Two organizations with the same people; the second is for comparison. They share no domain."""

        def directory(alias, *domains):
            organization_id = organizations.create(context, alias=alias, domains=domains)

            def registered(name, email, make=create):
                entity_id = make(context, organization_id, name)
                registrations.register_to_work_mail(
                    context, organization_id=organization_id, entity_id=entity_id, email=email
                )
                return entity_id

            default, other = domains
            bob = registered("bob", f"bob@{default}")
            aliases.create(context, organization_id=organization_id, entity_id=bob, alias=f"nick@{other}")
            create(context, organization_id, "carol")
            dave = registered("dave", f"dave@{default}")
            registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=dave)
            users.delete(context, organization_id=organization_id, user_id=dave)
            registered(
                "staff",
                f"all@{default}",
                lambda context, id_, name: groups.create(context, organization_id=id_, name=name),
            )
            return organization_id

        return directory("one", "example.com", "example.net"), directory("two", "2.example.com", "2.example.net")

    def outcome(self, context, organization_id, found):
        page = users.list(context, organization_id=organization_id).items
        everybody = sorted((one.name, one.email or "", one.state) for one in page)
        return {key: (one.name, one.email, one.state) for key, one in found.items()}, everybody

    @pytest.mark.parametrize("seed", range(8))
    def test_as_one_by_one(self, context, store, directories, seed):
        some = random.Random(seed).sample(self.ADDRESSES, len(self.ADDRESSES) - seed)
        together, singly = directories

        def there(address):
            return address.replace("@", "@2.") if "elsewhere" not in address else address

        def back(value):
            return repr(value).replace("2.", "").replace("2.example", "example")

        with store.begin() as transaction:
            organization = organization_rows.get(transaction, together)
            found = users.enroll_all(context, transaction, organization, some)
        expected = {}
        for address in some:
            with suppress(EntityNotFoundException):
                expected[address] = users.enroll(context, singly, there(address).lower())
        names, everybody = self.outcome(context, together, found)
        other_names, others = self.outcome(context, singly, expected)
        assert {key: back(value) for key, value in names.items()} == {
            key: back(value) for key, value in other_names.items()
        }
        assert back(everybody) == back(others)
        with store.begin() as transaction:  # and once more: they are there
            again = users.enroll_all(context, transaction, organization, some)
        assert {key: one.user_id for key, one in again.items()} == {key: one.user_id for key, one in found.items()}

    def test_a_name_that_is_an_address_of_another_is_looked_at_by_itself(self, context, store, directories):
        odd = ["x@example.net", "x@example.net@example.com"]
        with store.begin() as transaction:
            organization = organization_rows.get(transaction, directories[0])
            found = users.enroll_all(context, transaction, organization, odd)
        logins = [login for one in found.values() for login in {one.name, one.email}]
        assert len(logins) == len(set(logins))

    def test_in_a_closed_directory_nobody_is_taken_up(self, context, store):
        organization_id = organizations.create(context, alias="c", domains=["c.example"], directory=Directory.CLOSED)
        with store.begin() as transaction:
            organization = organization_rows.get(transaction, organization_id)
            assert users.enroll_all(context, transaction, organization, ["new@c.example"]) == {}

    def test_many_take_as_many_statements_as_one(self, context, store, directories):
        statements = []
        with store.begin() as transaction:
            organization = organization_rows.get(transaction, directories[0])
            event.listen(store.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
            found = users.enroll_all(context, transaction, organization, [f"u{n}@example.com" for n in range(100)])
        assert len(found) == 100
        assert len(statements) <= 9

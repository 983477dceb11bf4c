from __future__ import annotations

from dataclasses import replace

import pytest
from tests.store.nouns import NOON, ORGANIZATION, a_user, an_organization, minutes

from gatepost.model import EntityState, Kind
from gatepost.store import feed, organizations, users
from gatepost.store.errors import StoreError, UniqueViolation

OTHER = "m-ffffffffffffffffffffffffffffffff"


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization(domains=("example.com",), default_domain="example.com"))
        organizations.put(transaction, an_organization(OTHER))


def put(store, *given):
    with store.begin() as transaction:
        return [users.put(transaction, user) for user in given]


def find(store, login):
    with store.read() as reader:
        found = users.find(reader, ORGANIZATION, login)
        return None if found is None else found.user_id


def page(store, *arguments, **filters):
    with store.read() as reader:
        return [user.user_id for user in users.page(reader, ORGANIZATION, *arguments, **filters)]


def test_what_was_put_is_got(store):
    user = a_user(email="zoe@example.com", aliases=("z@example.com",), date_enabled=NOON, date_disabled=minutes(1))
    (revision,) = put(store, user)
    with store.read() as reader:
        assert users.get(reader, ORGANIZATION, user.user_id) == user
        assert users.get(reader, ORGANIZATION, "user-2") is None
        assert users.get(reader, OTHER, user.user_id) is None
    (change,) = feed.changes_after(store, store.epoch, revision - 1)
    assert (change.kind, change.key, change.noun) == (Kind.USER, (user.user_id,), user)


@pytest.mark.parametrize(
    "login",
    [
        "id-1",
        "Alice",
        "ALICE",
        " alice ",
        "EXAMPLE\\alice",
        "alice@example.com",
        "Alice@Example.COM",
        "EXAMPLE\\alice@example.com",
        "al@example.com",
        "al",
        "boss@elsewhere.example",
    ],
)
def test_every_login_form_is_the_one_user(store, login):
    put(
        store,
        a_user("id-1", name="Alice", email="Alice@example.com", aliases=("AL@example.com", "boss@elsewhere.example")),
        a_user("id-2", name="bob", email="bob@example.com"),
    )
    assert find(store, login) == "id-1"


@pytest.mark.parametrize("login", ["", "carol", "alice@elsewhere.example", "boss", "%", "id", "\\"])
def test_other_logins_are_nobody(store, login):
    put(store, a_user("id-1", name="alice", email="alice@example.com", aliases=("boss@elsewhere.example",)))
    assert find(store, login) is None


def test_a_name_goes_before_an_address_in_the_default_domain(store):
    put(
        store, a_user("id-1", name="alice", email="a1@example.com"), a_user("id-2", name="x", email="alice@example.com")
    )
    assert find(store, "alice") == "id-1"
    assert find(store, "alice@example.com") == "id-2"


def test_logins_are_of_their_organization(store):
    put(store, a_user("id-1", name="alice"), a_user("id-1", name="alice", organization_id=OTHER))
    with store.read() as reader:
        assert users.find(reader, OTHER, "alice").organization_id == OTHER


@pytest.mark.parametrize(
    "changes",
    [{"name": "ALICE"}, {"name": "x", "email": "Alice@example.com"}, {"name": "x", "aliases": ("AL@example.com",)}],
)
def test_a_login_belongs_to_one_user(store, changes):
    put(store, a_user("id-1", name="alice", email="alice@example.com", aliases=("al@example.com",)))
    before = feed.load(store)
    with pytest.raises(UniqueViolation) as caught:
        put(store, a_user("id-2", **changes))
    assert (caught.value.what, caught.value.owner) == ("login", "id-1")
    assert feed.load(store) == before


def test_a_user_may_have_the_same_login_twice(store):
    put(store, a_user("id-1", name="alice@example.com", email="alice@example.com", aliases=("ALICE@example.com",)))
    assert find(store, "alice") == "id-1"


def test_a_login_that_is_given_up_is_free(store):
    put(store, a_user("id-1", name="alice", aliases=("al@example.com",)))
    put(store, a_user("id-1", name="alice"))
    assert find(store, "al@example.com") is None
    put(store, a_user("id-2", name="al", email="al@example.com"))
    assert find(store, "al@example.com") == "id-2"


def test_a_deleted_user_stays_under_its_id_and_gives_back_its_logins(store):
    alice = a_user("id-1", name="alice", email="alice@example.com")
    put(store, alice)
    put(store, replace(alice, state=EntityState.DELETED))
    assert find(store, "alice") is None
    assert find(store, "id-1") == "id-1"
    put(store, a_user("id-2", name="alice", email="alice@example.com"))
    assert find(store, "alice") == "id-2"
    with pytest.raises(UniqueViolation):
        put(store, alice)


def test_found_by_the_domain_of_an_address(store):
    def found(domain, organization_id=ORGANIZATION):
        with store.read() as reader:
            user = users.find_by_domain(reader, organization_id, domain)
            return None if user is None else user.user_id

    put(
        store,
        a_user("1", name="a@named.example", email="One@Mail.example"),
        a_user("2", name="two", aliases=("x@mail.example.org", "y@sub.other.example")),
        a_user("3", name="b@mail.example", email=None),
        a_user("4", name="four", email="four@gone.example", state=EntityState.DELETED),
    )
    assert (found("mail.example"), found("mail.example.org"), found("sub.other.example")) == ("1", "2", "2")
    for domain in ("named.example", "gone.example", "other.example", "example", "ail.example", "mail%", ""):
        assert found(domain) is None
    assert found("mail.example", OTHER) is None


def test_the_logins_of_deleted_users_lead_to_them(store):
    def deleted(*logins):
        with store.read() as reader:
            return [user.user_id for user in users.deleted(reader, ORGANIZATION, logins)]

    alice = a_user("id-1", name="Alice", email="alice@example.com", aliases=("Al@example.com",))
    put(store, alice)
    assert deleted("alice", "al@example.com") == []
    put(store, replace(alice, state=EntityState.DELETED))
    put(store, a_user("id-0", name="alice", state=EntityState.DELETED))
    put(store, a_user("id-2", name="alice", organization_id=OTHER, state=EntityState.DELETED))
    assert deleted("ALICE") == ["id-0", "id-1"]
    assert deleted("al@example.com", "alice@example.com", "nobody") == ["id-1"]
    assert deleted() == deleted("nobody") == []
    put(store, alice)
    assert deleted("alice", "al@example.com") == ["id-0"]


def test_exactly_a_name(store):
    put(store, a_user("id-1", name="alice", email="a@example.com"), a_user("id-2", name="bob"))

    def named(login):
        with store.read() as reader:
            found = users.named(reader, ORGANIZATION, login)
            return None if found is None else found.user_id

    assert [named(login) for login in ("Alice ", "A@example.com", "a", "id-1", "nobody")] == [
        "id-1",
        "id-1",
        *[None] * 3,
    ]


def test_some_by_their_ids(store):
    put(store, *[a_user(f"id-{number}", state=EntityState.DELETED) for number in range(4)])
    with store.read() as reader:
        assert [user.user_id for user in users.of_ids(reader, ORGANIZATION, ["id-3", "x", "id-1"])] == ["id-1", "id-3"]
        assert users.of_ids(reader, ORGANIZATION, []) == []


def test_a_user_needs_its_organization(store):
    with pytest.raises(StoreError):
        put(store, a_user(organization_id="m-unknown"))


def test_pages_come_by_id(store):
    put(store, *[a_user(f"id-{number}") for number in (3, 1, 5, 2, 4)], a_user("id-0", organization_id=OTHER))
    assert page(store, None, 2) == ["id-1", "id-2"]
    assert page(store, "id-2", 2) == ["id-3", "id-4"]
    assert page(store, "id-4", 2) == ["id-5"]
    assert page(store, "id-2x", 9) == ["id-3", "id-4", "id-5"]


def test_ids_sort_by_code_point_on_every_database(store):
    names = ["B", "a", "Z", "_", "-", "é", "10", "9"]
    put(store, *[a_user(name, name=f"name {number}") for number, name in enumerate(names)])
    assert page(store, None, 9) == sorted(names)


def test_filters(store):
    put(
        store,
        a_user("id-1", name="Alice", email="Alice@example.com", attributes=(("DisplayName", "Élise A."),)),
        a_user("id-2", name="alina", email=None, attributes=(), state=EntityState.DISABLED),
        a_user("id-3", name="a%b", email="x_y@example.com", attributes=(("DisplayName", "ÉLISE B."), ("City", "Ulm"))),
        a_user("id-4", name="zoe", state=EntityState.DELETED),
    )
    assert page(store, None, 9, name_prefix="ALI") == ["id-1", "id-2"]
    assert page(store, None, 9, name_prefix="a%") == ["id-3"]
    assert page(store, None, 9, name_prefix="") == ["id-1", "id-2", "id-3", "id-4"]
    assert page(store, None, 9, email_prefix="alice@e") == ["id-1"]
    assert page(store, None, 9, email_prefix="x_") == ["id-3"]
    assert page(store, None, 9, display_name_prefix="élise") == ["id-1", "id-3"]
    assert page(store, None, 9, state=EntityState.DISABLED) == ["id-2"]
    assert page(store, None, 9, state=EntityState.DELETED) == ["id-4"]
    assert page(store, None, 9, state=EntityState.ENABLED, name_prefix="a") == ["id-1", "id-3"]
    assert page(store, "id-1", 1, state=EntityState.ENABLED, name_prefix="a") == ["id-3"]

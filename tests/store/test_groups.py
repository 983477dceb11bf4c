from __future__ import annotations

from dataclasses import replace

import pytest
from tests.store.nouns import NOON, ORGANIZATION, a_group, a_user, an_organization, minutes

from gatepost.model import EntityState, Kind
from gatepost.store import feed, groups, organizations, users
from gatepost.store.errors import StoreError, UniqueViolation

OTHER = "m-ffffffffffffffffffffffffffffffff"


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization(domains=("example.com",), default_domain="example.com"))
        organizations.put(transaction, an_organization(OTHER))


def put(store, *given):
    with store.begin() as transaction:
        return [groups.put(transaction, group) for group in given]


def named(store, name):
    with store.read() as reader:
        found = groups.named(reader, ORGANIZATION, name)
        return None if found is None else found.group_id


def page(store, *arguments, **filters):
    with store.read() as reader:
        return [group.group_id for group in groups.page(reader, ORGANIZATION, *arguments, **filters)]


def test_what_was_put_is_got(store):
    group = a_group(
        email="sales@example.com",
        aliases=("s@example.com",),
        hidden_from_global_address_list=True,
        date_enabled=NOON,
        date_disabled=minutes(1),
    )
    (revision,) = put(store, group)
    with store.read() as reader:
        assert groups.get(reader, ORGANIZATION, group.group_id) == group
        assert groups.get(reader, ORGANIZATION, "group-2") is None
        assert groups.get(reader, OTHER, group.group_id) is None
    (change,) = feed.changes_after(store, store.epoch, revision - 1)
    assert (change.kind, change.key, change.noun) == (Kind.GROUP, (group.group_id,), group)


def test_a_group_is_found_by_exactly_its_names(store):
    put(store, a_group("id-1", name="Sales Team", email="Sales@example.com", aliases=("s@example.com",)))
    put(store, a_group("id-1", name="Sales Team", organization_id=OTHER))
    for name in ("sales team", " SALES TEAM", "sales@EXAMPLE.com", "s@example.com"):
        assert named(store, name) == "id-1"
    for name in ("sales", "s", "id-1", "", "EXAMPLE\\sales team"):
        assert named(store, name) is None


@pytest.mark.parametrize(
    "changes",
    [{"name": "ALICE"}, {"name": "x", "email": "Alice@example.com"}, {"name": "x", "aliases": ("AL@example.com",)}],
)
def test_a_name_belongs_to_one_user_or_group(store, changes):
    names = {"name": "alice", "email": "alice@example.com", "aliases": ("al@example.com",)}
    with store.begin() as transaction:
        users.put(transaction, a_user("id-1", **names))
    before = feed.load(store)
    with pytest.raises(UniqueViolation) as caught:
        put(store, a_group("id-2", **changes))
    assert (caught.value.what, caught.value.owner) == ("login", "id-1")
    with store.begin() as transaction:
        users.put(transaction, a_user("id-1", name="somebody"))
    put(store, a_group("id-2", **names))
    for write in (
        lambda transaction: groups.put(transaction, a_group("id-3", **changes)),
        lambda transaction: users.put(transaction, a_user("id-3", **changes)),
    ):
        with pytest.raises(UniqueViolation) as caught, store.begin() as transaction:
            write(transaction)
        assert (caught.value.what, caught.value.owner) == ("login", "id-2")
    assert feed.load(store).revision == before.revision + 2


def test_a_deleted_group_stays_under_its_id_and_gives_back_its_names(store):
    sales = a_group("id-1", name="sales", email="sales@example.com")
    put(store, sales)
    put(store, replace(sales, state=EntityState.DELETED))
    assert named(store, "sales") is None
    with store.read() as reader:
        assert groups.get(reader, ORGANIZATION, "id-1").state is EntityState.DELETED
    with store.begin() as transaction:
        users.put(transaction, a_user("id-2", name="sales", email="sales@example.com"))
    with pytest.raises(UniqueViolation):
        put(store, sales)


def test_a_group_needs_its_organization(store):
    with pytest.raises(StoreError):
        put(store, a_group(organization_id="m-unknown"))


def test_somebody_in_a_mail_domain(store):
    put(store, a_group("id-1", name="x@example.org", email="s@example.com", aliases=("s@example.net",)))
    put(store, a_group("id-2", email="d@example.de", state=EntityState.DELETED))

    def found(domain, organization_id=ORGANIZATION):
        with store.read() as reader:
            group = groups.find_by_domain(reader, organization_id, domain)
            return None if group is None else group.group_id

    assert [found(domain) for domain in ("example.com", "example.net")] == ["id-1", "id-1"]
    assert [found(domain) for domain in ("example.org", "example.de", "xample.com", "com")] == [None] * 4
    assert found("example.com", OTHER) is None


def test_some_by_their_ids(store):
    put(store, *[a_group(f"id-{number}", state=EntityState.DELETED) for number in range(4)])
    with store.read() as reader:
        assert [group.group_id for group in groups.of_ids(reader, ORGANIZATION, ["id-3", "x", "id-1"])] == [
            "id-1",
            "id-3",
        ]
        assert groups.of_ids(reader, ORGANIZATION, []) == []


def test_pages_come_by_id(store):
    put(store, *[a_group(f"id-{number}") for number in (3, 1, 5, 2, 4)], a_group("id-0", organization_id=OTHER))
    assert page(store, None, 2) == ["id-1", "id-2"]
    assert page(store, "id-2", 2) == ["id-3", "id-4"]
    assert page(store, "id-2x", 9) == ["id-3", "id-4", "id-5"]


def test_filters(store):
    put(
        store,
        a_group("id-1", name="Élan", email="Elan@example.com"),
        a_group("id-2", name="éla%n", state=EntityState.DISABLED),
        a_group("id-3", name="zoo", email="el_n@example.com", state=EntityState.DELETED),
    )
    assert page(store, None, 9, name_prefix="ÉLA") == ["id-1", "id-2"]
    assert page(store, None, 9, name_prefix="éla%") == ["id-2"]
    assert page(store, None, 9, name_prefix="") == ["id-1", "id-2", "id-3"]
    assert page(store, None, 9, email_prefix="eL") == ["id-1", "id-3"]
    assert page(store, None, 9, email_prefix="el_") == ["id-3"]
    assert page(store, None, 9, state=EntityState.DISABLED) == ["id-2"]
    assert page(store, None, 9, state=EntityState.ENABLED, name_prefix="z") == []

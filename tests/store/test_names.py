from __future__ import annotations

import re

import pytest
from sqlalchemy import event
from tests.store.nouns import ORGANIZATION, a_group, a_member, a_user, an_organization

from gatepost.model import EntityState
from gatepost.store import group_members, groups, names, organizations, users
from gatepost.store.database import Store
from gatepost.store.errors import UniqueViolation


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        users.put(transaction, a_user("id-1", name="Alice", email="a@example.com", aliases=("z@example.com",)))
        groups.put(transaction, a_group("id-2", name="Sales", email="sales@example.com"))
        users.put(transaction, a_user("id-3", name="alice", state=EntityState.DELETED))


def test_keys_and_addresses():
    user = a_user("id-1", name="Al@example.com", email="A@example.com", aliases=("a@Example.com", "B@example.com"))
    assert names.keys(user) == ("al@example.com", "a@example.com", "b@example.com")
    assert names.addresses(user) == {"a@example.com", "b@example.com"}
    assert names.keys(a_group(name="Sales")) == ("sales",)
    assert names.addresses(a_group(name="Sales")) == frozenset()
    assert names.has_address_in(user, "example.com")
    assert not names.has_address_in(a_group(name="sales@example.com"), "example.com")


def test_who_has_a_name(store):
    with store.read() as reader:
        wanted = ("alice", "z@example.com", "sales", "nobody")
        assert names.LOGINS.owners(reader, ORGANIZATION, wanted) == ["id-1"]
        assert names.GROUP_NAMES.owners(reader, ORGANIZATION, wanted) == ["id-2"]
        assert names.DELETED_LOGINS.owners(reader, ORGANIZATION, wanted) == ["id-3"]
        assert names.LOGINS.owners(reader, "m-other", wanted) == names.LOGINS.owners(reader, ORGANIZATION, ()) == []
        assert names.LOGINS.owners_in_domain(reader, ORGANIZATION, "example.com") == ["id-1"]
        assert names.LOGINS.another(reader, ORGANIZATION, "id-2", wanted) == ("alice", "id-1")
        assert names.LOGINS.another(reader, ORGANIZATION, "id-1", wanted) is None


def test_what_is_free(store):
    with store.begin() as transaction:
        names.require_free(transaction, a_user("id-1", name="ALICE"), "id-1")
        names.require_free(transaction, a_user("id-4", name="bob"), "id-4")
        for taken in ("alice", "sales", "SALES@example.com"):
            with pytest.raises(UniqueViolation):
                names.require_free(transaction, a_user("id-4", name=taken), "id-4")


def test_names_are_replaced(store):
    with store.begin() as transaction:
        names.LOGINS.replace(transaction, ORGANIZATION, "id-1", ("one", "two"))
        assert names.LOGINS.owners(transaction, ORGANIZATION, ("alice",)) == []
        assert names.LOGINS.owners(transaction, ORGANIZATION, ("two", "one")) == ["id-1"]
        names.LOGINS.replace(transaction, ORGANIZATION, "id-1", ())
        assert names.LOGINS.owners(transaction, ORGANIZATION, ("two", "one")) == []


# Whose name something is: asked at every login of somebody new, among however many users there are and were.


@pytest.fixture
def plans(tmp_path):
    """A store of SQLite's, and how it looked for what was asked for there."""
    found = []
    store = Store.open(f"sqlite:///{tmp_path / 'plans.db'}", create=True)
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        groups.put(transaction, a_group())

    @event.listens_for(store.engine, "before_cursor_execute")
    def explain(_connection, cursor, statement, parameters, *_):
        if statement.startswith(("SELECT", "DELETE")):
            found.extend(row[-1] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    yield store, found
    store.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: users.named(reader, ORGANIZATION, "alice"),
        lambda reader: users.deleted(reader, ORGANIZATION, ["alice", "a@example.com"]),
        lambda reader: groups.having(reader, ORGANIZATION, ["alice", "a@example.com"]),
        lambda transaction: users.put(transaction, a_user()),
        lambda transaction: groups.put(transaction, a_group()),
        lambda transaction: group_members.put(transaction, a_member()),
        lambda reader: group_members.page(reader, ORGANIZATION, "group-1", None, 9),
        lambda reader: group_members.groups_of(reader, ORGANIZATION, "user-1", "group-1", 9),
        lambda transaction: group_members.delete_all_of(transaction, ORGANIZATION, "user-1"),
    ],
)
def test_nothing_is_searched_for_in_a_whole_organization(plans, ask):
    store, found = plans
    with store.begin() as transaction:
        found.clear()
        ask(transaction)
    assert [line for line in found if not re.search(r"SEARCH .* \(organization_id=\? AND ", line)] == []

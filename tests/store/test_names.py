from __future__ import annotations

import pytest
from tests.store.nouns import ORGANIZATION, a_group, a_user, an_organization

from gatepost.model import EntityState
from gatepost.store import groups, names, organizations, users
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

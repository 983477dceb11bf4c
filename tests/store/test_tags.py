from __future__ import annotations

import pytest
from tests.store.nouns import ORGANIZATION, an_organization

from gatepost.store import organizations, tags
from gatepost.store.errors import StoreError

OTHER = "m-ffffffffffffffffffffffffffffffff"


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        organizations.put(transaction, an_organization(OTHER))


def put(store, given, organization_id=ORGANIZATION):
    with store.begin() as transaction:
        tags.put(transaction, organization_id, given)


def delete(store, *keys):
    with store.begin() as transaction:
        tags.delete(transaction, ORGANIZATION, keys)


def of(store, organization_id=ORGANIZATION):
    with store.read() as reader:
        return tags.of(reader, organization_id)


def test_tags_are_added_replaced_and_removed(store):
    put(store, {"b": "1", "B": "2", "é": ""})
    put(store, {"a": "3", "b": "4"})
    assert list(of(store).items()) == [("B", "2"), ("a", "3"), ("b", "4"), ("é", "")]
    delete(store, "b", "never", "é")
    assert of(store) == {"B": "2", "a": "3"}


def test_nothing_may_be_added_and_nothing_removed(store):
    put(store, {})
    put(store, {"a": "1"})
    delete(store)
    assert of(store) == {"a": "1"}


def test_tags_are_of_their_organization_and_make_no_change(store):
    with store.begin() as transaction:
        before = transaction.revision
    put(store, {"a": "1"})
    put(store, {"a": "2"}, OTHER)
    delete(store, "a")
    assert (of(store), of(store, OTHER)) == ({}, {"a": "2"})
    with store.begin() as transaction:
        assert transaction.revision == before


def test_tags_need_their_organization(store):
    with pytest.raises(StoreError):
        put(store, {"a": "1"}, "m-" + "0" * 31 + "x")

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.store.nouns import an_organization, minutes

from gatepost.model import Kind, OrganizationState
from gatepost.store import feed, organizations
from gatepost.store.errors import UniqueViolation

A, B, C = (f"m-{letter * 32}" for letter in "abc")


def put(store, *given):
    with store.begin() as transaction:
        return [organizations.put(transaction, organization) for organization in given]


def deleted(organization):
    return replace(organization, state=OrganizationState.DELETED, date_deleted=minutes(1))


def test_what_was_put_is_got(store):
    organization = an_organization(domains=("a.example", "b.example"), default_domain="b.example")
    assert put(store, organization) == [1]
    with store.read() as reader:
        assert organizations.get(reader, organization.organization_id) == organization
        assert organizations.get(reader, "m-other") is None
    (change,) = feed.changes_after(store, store.epoch, 0)
    assert (change.kind, change.key, change.noun) == (Kind.ORGANIZATION, (), organization)


def test_put_replaces(store):
    put(store, an_organization(A, domains=("old.example",)))
    put(store, an_organization(A, domains=("new.example",)))
    with store.read() as reader:
        assert organizations.get(reader, A).domains == ("new.example",)
        assert organizations.find_by_domain(reader, "old.example") is None
        assert organizations.find_by_domain(reader, "new.example").organization_id == A


def test_found_by_domain_in_any_case_and_by_alias(store):
    put(store, an_organization(A, alias="first", domains=("A.example",)), an_organization(B, alias="second"))
    with store.read() as reader:
        assert organizations.find_by_domain(reader, "a.EXAMPLE").organization_id == A
        assert organizations.find_by_domain(reader, "example") is None
        assert organizations.find_by_alias(reader, "second").organization_id == B
        assert organizations.find_by_alias(reader, "third") is None


def test_a_domain_belongs_to_one_organization(store):
    put(store, an_organization(A, domains=("a.example",)))
    with pytest.raises(UniqueViolation, match=r"the domain `A\.example` is already used") as caught:
        put(store, an_organization(B, domains=("b.example", "A.example")))
    assert (caught.value.what, caught.value.value, caught.value.owner) == ("domain", "A.example", A)
    with store.read() as reader:
        assert organizations.get(reader, B) is None
    assert len(feed.changes_after(store, store.epoch, 0)) == 1


def test_an_alias_belongs_to_one_organization(store):
    put(store, an_organization(A, alias="first"))
    with pytest.raises(UniqueViolation) as caught:
        put(store, an_organization(B, alias="first"))
    assert (caught.value.what, caught.value.value, caught.value.owner) == ("alias", "first", A)


def test_a_deleted_organization_stays_and_gives_back_its_alias_and_domains(store):
    first = an_organization(A, alias="first", domains=("a.example",))
    put(store, first)
    put(store, deleted(first))
    put(store, an_organization(B, alias="first", domains=("a.example",)))
    with store.read() as reader:
        assert organizations.get(reader, A) == deleted(first)
        assert organizations.find_by_alias(reader, "first").organization_id == B
        assert organizations.find_by_domain(reader, "a.example").organization_id == B
    with pytest.raises(UniqueViolation):
        put(store, first)


def test_pages_come_by_id(store):
    put(store, an_organization(C), an_organization(A), deleted(an_organization(B)))
    with store.read() as reader:
        assert [one.organization_id for one in organizations.page(reader, None, 2)] == [A, B]
        assert [one.organization_id for one in organizations.page(reader, B, 2)] == [C]
        assert organizations.page(reader, C, 2) == []

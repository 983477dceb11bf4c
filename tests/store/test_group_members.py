from __future__ import annotations

import pytest
from tests.store.nouns import ORGANIZATION, a_group, a_member, an_organization

from gatepost.model import EntityType, Kind
from gatepost.store import feed, group_members, groups, organizations
from gatepost.store.errors import StoreError

OTHER = "m-ffffffffffffffffffffffffffffffff"


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        for organization_id in (ORGANIZATION, OTHER):
            organizations.put(transaction, an_organization(organization_id))
            for number, name in ((1, "Sales North"), (2, "sales south"), (3, "board")):
                group = a_group(f"group-{number}", organization_id=organization_id, name=name)
                groups.put(transaction, group)


def put(store, *given):
    with store.begin() as transaction:
        return [group_members.put(transaction, member) for member in given]


def members(store, *arguments, **filters):
    with store.read() as reader:
        return [member.member_id for member in group_members.page(reader, ORGANIZATION, *arguments, **filters)]


def groups_of(store, *arguments, **filters):
    with store.read() as reader:
        return group_members.groups_of(reader, ORGANIZATION, *arguments, **filters)


def test_what_was_put_is_got_and_goes_again(store):
    (revision,) = put(store, a_member())
    with store.read() as reader:
        assert group_members.get(reader, ORGANIZATION, "group-1", "user-1") == a_member()
        assert group_members.get(reader, OTHER, "group-1", "user-1") is None
        assert group_members.get(reader, ORGANIZATION, "group-2", "user-1") is None
    with store.begin() as transaction:
        assert group_members.delete(transaction, ORGANIZATION, "group-1", "user-1")
        assert not group_members.delete(transaction, ORGANIZATION, "group-1", "user-1")
    told = feed.changes_after(store, store.epoch, revision - 1)
    assert [(change.kind, change.key, change.noun) for change in told] == [
        (Kind.GROUP_MEMBER, ("group-1", "user-1"), a_member()),
        (Kind.GROUP_MEMBER, ("group-1", "user-1"), None),
    ]


def test_the_group_must_be_there(store):
    with pytest.raises(StoreError):
        put(store, a_member("group-4"))


def test_members_come_by_id_and_by_type(store):
    put(store, *[a_member("group-1", f"user-{number}") for number in (3, 1, 2)])
    put(store, a_member("group-1", "group-2", member_type=EntityType.GROUP), a_member("group-2", "user-9"))
    assert members(store, "group-1", None, 2) == ["group-2", "user-1"]
    assert members(store, "group-1", "user-1", 2) == ["user-2", "user-3"]
    assert members(store, "group-1", None, 9, member_type=EntityType.GROUP) == ["group-2"]
    assert members(store, "group-3", None, 9) == []


def test_groups_come_by_id_and_by_name(store):
    put(store, *[a_member(f"group-{number}") for number in (3, 1, 2)], a_member("group-1", "user-2"))
    put(store, a_member("group-1", organization_id=OTHER))
    assert groups_of(store, "user-1", None, 2) == ["group-1", "group-2"]
    assert groups_of(store, "user-1", "group-2", 2) == ["group-3"]
    assert groups_of(store, "user-1", None, 9, name_prefix="SALES") == ["group-1", "group-2"]
    assert groups_of(store, "user-1", None, 9, name_prefix="sales s") == ["group-2"]
    assert groups_of(store, "user-2", None, 9) == ["group-1"]
    assert groups_of(store, "user-3", None, 9) == []


def test_whoever_goes_leaves_every_group_and_its_own_is_empty(store):
    nested = a_member("group-2", "group-1", member_type=EntityType.GROUP)
    put(store, a_member("group-1"), nested, a_member("group-2"), a_member("group-1", organization_id=OTHER))
    with store.begin() as transaction:
        group_members.delete_all_of(transaction, ORGANIZATION, "group-1")
        group_members.delete_all_of(transaction, ORGANIZATION, "nobody")
    assert members(store, "group-1", None, 9) == []
    assert members(store, "group-2", None, 9) == ["user-1"]
    with store.read() as reader:
        assert group_members.get(reader, OTHER, "group-1", "user-1") is not None
    with store.begin() as transaction:
        group_members.delete_all_of(transaction, ORGANIZATION, "user-1")
    assert members(store, "group-2", None, 9) == []

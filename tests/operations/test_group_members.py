from itertools import pairwise

import pytest

from gatepost.model import EntityState, User
from gatepost.operations import group_members, groups, registrations, users
from gatepost.operations.entities import id_of
from gatepost.operations.errors import (
    EntityNotFoundException,
    EntityStateException,
    InvalidParameterException,
    OrganizationNotFoundException,
)

UNKNOWN_ORGANIZATION = "m-" + "0" * 32


@pytest.fixture
def associate(context, organization_id):
    def run(group_id, member_id):
        group_members.associate_member_to_group(
            context, organization_id=organization_id, group_id=group_id, member_id=member_id
        )

    return run


@pytest.fixture
def disassociate(context, organization_id):
    def run(group_id, member_id):
        group_members.disassociate_member_from_group(
            context, organization_id=organization_id, group_id=group_id, member_id=member_id
        )

    return run


@pytest.fixture
def members(context, organization_id):
    def run(group_id, **more):
        return group_members.list_group_members(context, organization_id=organization_id, group_id=group_id, **more)

    return run


@pytest.fixture
def groups_of(context, organization_id):
    def run(entity_id, **more):
        return group_members.list_groups_for_entity(
            context, organization_id=organization_id, entity_id=entity_id, **more
        )

    return run


@pytest.fixture
def group(context, organization_id):
    return lambda name: groups.create(context, organization_id=organization_id, name=name)


def names(page):
    return sorted(one.name for one in page.items)


def test_members_come_and_go(associate, disassociate, members, groups_of, group, alice, sales, revision):
    board = group("board")
    associate("sales@example.com", "alice@example.com")
    associate("board", "sales")
    associate(board, alice)
    assert names(members("sales")) == ["alice"]
    assert names(members(board)) == ["Sales", "alice"]
    assert names(groups_of("alice")) == ["Sales", "board"]
    assert names(groups_of(sales)) == ["board"]
    before = revision()
    associate(board, "ALICE")
    disassociate(sales, board)  # was never in it
    assert revision() == before
    disassociate("board", "alice@example.com")
    disassociate("board", alice)
    assert names(members(board)) == ["Sales"]
    assert names(groups_of("alice")) == ["Sales"]


def test_members_are_users_and_groups_as_they_are(context, organization_id, associate, members, group, alice, sales):
    board = group("board")
    associate(sales, alice)
    associate(sales, board)
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    found = {one.name: one for one in members(sales).items}
    assert isinstance(found["alice"], User)
    assert (found["alice"].state, found["board"].state) == (EntityState.DISABLED, EntityState.DISABLED)
    assert (id_of(found["alice"]), id_of(found["board"])) == (alice, board)


def test_a_group_is_never_in_itself(associate, disassociate, group):
    made = [group(f"group {number}") for number in range(4)]
    for outer, inner in pairwise(made):
        associate(outer, inner)
    for member in made:
        with pytest.raises(InvalidParameterException, match="member of itself"):
            associate(made[-1], member)
    associate(made[0], made[2])  # by two ways is not in a circle
    associate(made[1], made[3])
    disassociate(made[1], made[2])
    disassociate(made[1], made[3])
    associate(made[3], made[1])
    with pytest.raises(InvalidParameterException):
        associate(made[3], made[0])


def test_a_circle_is_found_however_many_there_are(context, organization_id, associate, group, monkeypatch):
    monkeypatch.setattr(group_members, "_BATCH", 2)
    outer, last = group("outer"), group("last")
    for number in range(5):
        inner = group(f"inner {number}")
        associate(outer, inner)
        associate(inner, last)
    with pytest.raises(InvalidParameterException):
        associate(last, outer)


def test_pages_come_by_id(context, organization_id, associate, members, groups_of, group, sales, alice):
    for name in ("bob", "carol", "dave"):
        user_id = users.create(context, organization_id=organization_id, name=name, display_name=name)
        associate(sales, user_id)
    associate(sales, alice)
    associate(sales, group("board"))
    first = members(sales, max_results=2)
    rest = members(sales, next_token=first.next_token)
    ids = [id_of(one) for one in (*first.items, *rest.items)]
    assert ids == sorted(ids)
    assert names(first) != names(rest)
    assert rest.next_token is None
    assert len(ids) == 5
    for name in ("one", "two"):
        associate(group(name), alice)
    first = groups_of(alice, max_results=2)
    rest = groups_of(alice, next_token=first.next_token)
    assert sorted(names(first) + names(rest)) == ["Sales", "one", "two"]
    with pytest.raises(InvalidParameterException):
        members(sales, next_token=first.next_token)


def test_groups_are_filtered_by_name(associate, groups_of, group, alice, sales):
    associate(sales, alice)
    for name in ("SAP", "board"):
        associate(group(name), alice)
    assert names(groups_of(alice, filters={"GroupNamePrefix": "sA"})) == ["SAP", "Sales"]
    assert names(groups_of(alice, filters={"GroupNamePrefix": "_"})) == []
    token = groups_of(alice, filters={"GroupNamePrefix": "s"}, max_results=1).next_token
    with pytest.raises(InvalidParameterException):
        groups_of(alice, next_token=token)


def test_deleted_members_vanish(context, organization_id, associate, members, alice, sales):
    associate(sales, alice)
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    assert names(members(sales)) == ["alice"]
    users.delete(context, organization_id=organization_id, user_id=alice)
    assert members(sales).items == ()


def test_whoever_is_deleted_is_in_another_state(
    context, organization_id, associate, disassociate, members, groups_of, group, alice, sales
):
    gone = group("gone")
    groups.delete(context, organization_id=organization_id, group_id=gone)
    bob = users.create(context, organization_id=organization_id, name="bob", display_name="Bob")
    users.delete(context, organization_id=organization_id, user_id=bob)
    for run in (associate, disassociate):
        for group_id, member_id in ((gone, alice), (sales, gone), (sales, bob)):
            with pytest.raises(EntityStateException):
                run(group_id, member_id)
    for run in (members, groups_of):
        with pytest.raises(EntityStateException):
            run(gone)
    with pytest.raises(EntityStateException):
        groups_of(bob)


def test_whoever_is_not_there_is_not_found(
    context, organization_id, associate, disassociate, members, groups_of, alice, sales
):
    for run in (associate, disassociate):
        for group_id, member_id in (("nobody", alice), (sales, "nobody"), (alice, sales)):
            with pytest.raises(EntityNotFoundException):
                run(group_id, member_id)
    with pytest.raises(EntityNotFoundException):
        members(alice)
    with pytest.raises(EntityNotFoundException):
        groups_of("new@example.com")  # a question takes nobody up
    with pytest.raises(OrganizationNotFoundException):
        group_members.list_group_members(context, organization_id=UNKNOWN_ORGANIZATION, group_id=sales)

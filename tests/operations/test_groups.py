import pytest

from gatepost.model import EntityState
from gatepost.operations import aliases, group_members, groups, registrations, users
from gatepost.operations.errors import (
    EntityNotFoundException,
    EntityStateException,
    InvalidParameterException,
    NameAvailabilityException,
    ReservedNameException,
)


def create(context, organization_id, name, **more):
    return groups.create(context, organization_id=organization_id, name=name, **more)


def describe(context, organization_id, group_id):
    return groups.describe(context, organization_id=organization_id, group_id=group_id)


def delete(context, organization_id, group_id):
    groups.delete(context, organization_id=organization_id, group_id=group_id)


def deregister(context, organization_id, entity_id):
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=entity_id)


def test_a_new_group_is_disabled_and_has_no_address(context, organization_id):
    group_id = create(context, organization_id, "Sales Team", hidden_from_global_address_list=True)
    group = describe(context, organization_id, group_id)
    assert (group.group_id, group.name, group.email, group.state) == (
        group_id,
        "Sales Team",
        None,
        EntityState.DISABLED,
    )
    assert group.hidden_from_global_address_list
    assert describe(context, organization_id, "sales team") == group
    assert not describe(
        context, organization_id, create(context, organization_id, "Board")
    ).hidden_from_global_address_list


@pytest.mark.parametrize(
    "name", ["12345678-1234-1234-1234-123456789012", "S-1-1-12-1234567890-123456789-123456789-1234"]
)
def test_a_name_that_looks_like_an_id_is_reserved(context, organization_id, name):
    with pytest.raises(ReservedNameException):
        create(context, organization_id, name)


@pytest.mark.parametrize("name", ["alice", "ALICE", "al", "Al@Example.com", "alice@example.com"])
def test_what_a_user_has_is_no_free_name(context, organization_id, alice, name):
    aliases.create(context, organization_id=organization_id, entity_id=alice, alias="al@example.com")
    with pytest.raises(NameAvailabilityException):
        create(context, organization_id, name)


@pytest.mark.parametrize("name", ["sales", "SALES", "sales@example.com", "team", "team@example.com"])
def test_what_a_group_has_is_no_free_name(context, organization_id, sales, name):
    aliases.create(context, organization_id=organization_id, entity_id=sales, alias="team@example.com")
    with pytest.raises(NameAvailabilityException):
        create(context, organization_id, name)
    with pytest.raises(NameAvailabilityException):
        users.create(context, organization_id=organization_id, name=name, display_name="Somebody")


@pytest.mark.parametrize("name", [" ", "\u00a0"])
def test_a_name_is_more_than_space(context, organization_id, name):
    with pytest.raises(InvalidParameterException):
        create(context, organization_id, name)


@pytest.mark.parametrize("name", ["a\\b", "100%", "Æther & Söhne", "*"])
def test_any_other_name_will_do_once(context, organization_id, name):
    create(context, organization_id, name)
    with pytest.raises(NameAvailabilityException):
        create(context, organization_id, name)


def test_a_group_is_no_user_and_a_user_no_group(context, organization_id, alice, sales):
    for identity in (alice, "alice", "alice@example.com", "nobody"):
        with pytest.raises(EntityNotFoundException):
            describe(context, organization_id, identity)
    for identity in (sales, "sales", "sales@example.com"):
        assert describe(context, organization_id, identity).group_id == sales
        with pytest.raises(EntityNotFoundException):
            users.describe(context, organization_id=organization_id, user_id=identity)


def test_updating_changes_what_is_given(context, organization_id, sales, revision):
    def update(**given):
        groups.update(context, organization_id=organization_id, group_id="sales", **given)
        return describe(context, organization_id, sales).hidden_from_global_address_list

    assert update(hidden_from_global_address_list=True)
    before = revision()
    assert update()
    assert update(hidden_from_global_address_list=True)
    assert revision() == before
    assert not update(hidden_from_global_address_list=False)


def test_groups_are_listed_in_pages_with_one_filter(context, organization_id, sales):
    for name in ("Élan", "support", "board"):
        create(context, organization_id, name)

    def names(**filters):
        found, token = [], None
        while True:
            page = groups.list(
                context, organization_id=organization_id, filters=filters, max_results=1, next_token=token
            )
            found += [group.name for group in page.items]
            token = page.next_token
            if token is None:
                return sorted(found)

    assert names() == ["Sales", "board", "support", "Élan"]
    assert names(NamePrefix="S") == ["Sales", "support"]
    assert names(NamePrefix="éL") == ["Élan"]
    assert names(NamePrefix="%") == []
    assert names(PrimaryEmailPrefix="SALES@") == ["Sales"]
    assert names(State="ENABLED") == ["Sales"]
    assert names(State="DISABLED") == ["board", "support", "Élan"]
    with pytest.raises(InvalidParameterException, match="one filter"):
        names(NamePrefix="s", State="ENABLED")
    token = groups.list(context, organization_id=organization_id, max_results=1).next_token
    with pytest.raises(InvalidParameterException):
        groups.list(context, organization_id=organization_id, filters={"NamePrefix": ""}, next_token=token)


def test_only_a_disabled_group_is_deleted(context, organization_id, alice, sales):
    board = create(context, organization_id, "board")
    for group_id, member_id in ((sales, alice), (board, sales)):
        group_members.associate_member_to_group(
            context, organization_id=organization_id, group_id=group_id, member_id=member_id
        )
    with pytest.raises(EntityStateException):
        delete(context, organization_id, sales)
    deregister(context, organization_id, sales)
    delete(context, organization_id, "Sales")
    gone = describe(context, organization_id, sales)
    assert (gone.state, gone.email) == (EntityState.DELETED, "sales@example.com")
    assert [group.name for group in groups.list(context, organization_id=organization_id).items if group != gone] == [
        "board"
    ]
    members = group_members.list_group_members(context, organization_id=organization_id, group_id=board)
    assert members.items == ()
    memberships = group_members.list_groups_for_entity(context, organization_id=organization_id, entity_id=alice)
    assert memberships.items == ()
    with pytest.raises(EntityStateException):
        groups.update(context, organization_id=organization_id, group_id=sales)
    with pytest.raises(EntityNotFoundException):
        describe(context, organization_id, "sales@example.com")


def test_deleting_what_is_not_there_is_a_success_and_no_change(context, organization_id, alice, revision):
    group_id = create(context, organization_id, "board")
    delete(context, organization_id, group_id)
    before = revision()
    for identity in (group_id, "board", "nobody", alice):
        delete(context, organization_id, identity)
    assert revision() == before
    assert users.describe(context, organization_id=organization_id, user_id=alice).state is EntityState.ENABLED


def test_what_a_deleted_group_had_is_free(context, organization_id, sales):
    deregister(context, organization_id, sales)
    delete(context, organization_id, sales)
    second = create(context, organization_id, "sales")
    registrations.register_to_work_mail(
        context, organization_id=organization_id, entity_id=second, email="sales@example.com"
    )
    assert describe(context, organization_id, "sales@example.com").group_id == second

from dataclasses import replace
from datetime import timedelta

import pytest

from gatepost.model import Effect, EntityState, Owner, Role
from gatepost.operations import aliases, registrations, users
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.operations.errors import EntityNotFoundException, EntityStateException, ResourceNotFoundException


def put(context, organization_id, user_id, device_id, effect="DENY", **more):
    overrides.put(context, organization_id=organization_id, user_id=user_id, device_id=device_id, effect=effect, **more)


def get(context, organization_id, user_id, device_id):
    return overrides.get(context, organization_id=organization_id, user_id=user_id, device_id=device_id)


@pytest.mark.parametrize("identity", ["alice", "alice@example.com", "ALICE@example.com"])
@pytest.mark.parametrize("device_id", ["abcDEF1", "ABCdef1"])
def test_an_override_is_one_for_every_spelling_of_user_and_device(context, organization_id, alice, identity, device_id):
    put(context, organization_id, identity, device_id, description="lost")
    (found,) = overrides.list(context, organization_id=organization_id).items
    assert (found.user_id, found.device_id, found.effect, found.description) == (alice, "ABCDEF1", Effect.DENY, "lost")
    assert get(context, organization_id, alice, "abcdef1") == found


def test_putting_again_keeps_the_date_of_creation(context, organization_id, alice):
    put(context, organization_id, alice, "A1", description="first")
    first = get(context, organization_id, alice, "A1")
    put(context, organization_id, alice, "a1", "ALLOW")
    second = get(context, organization_id, alice, "A1")
    assert (second.effect, second.description, second.date_created) == (Effect.ALLOW, None, first.date_created)
    assert second.date_modified > first.date_modified


def test_an_address_of_an_open_directory_is_taken_up(context, organization_id):
    put(context, organization_id, "carol@example.net", "A1")
    carol = users.describe(context, organization_id=organization_id, user_id="carol@example.net")
    assert carol.state is EntityState.ENABLED
    assert get(context, organization_id, "carol@example.net", "A1").user_id == carol.user_id


@pytest.mark.parametrize("identity", ["carol", "carol@elsewhere.example", "12345678-1234-1234-1234-123456789012"])
def test_nobody_else_is(context, organization_id, identity):
    with pytest.raises(EntityNotFoundException):
        put(context, organization_id, identity, "A1")


def test_a_closed_directory_wants_its_users_created(context, closed_id):
    with pytest.raises(EntityNotFoundException):
        put(context, closed_id, "carol@closed.example", "A1")


def test_only_put_takes_up(context, organization_id, revision):
    before = revision()
    for ask in (overrides.get, overrides.delete, overrides.list):
        with pytest.raises(EntityNotFoundException):
            ask(context, organization_id=organization_id, user_id="carol@example.com", device_id="A1")
    assert revision() == before


def test_the_user_must_be_enabled(context, organization_id, alice):
    put(context, organization_id, alice, "A1")
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=alice)
    for identity in (alice, "alice", "alice@example.com"):
        with pytest.raises(EntityStateException):
            put(context, organization_id, identity, "A2")
    assert get(context, organization_id, alice, "A1").effect is Effect.DENY
    users.delete(context, organization_id=organization_id, user_id=alice)
    for identity in (alice, "alice@example.com"):
        with pytest.raises(EntityStateException):
            put(context, organization_id, identity, "A1")


def test_what_is_not_there_is_not_found_and_its_deletion_is_a_success(context, organization_id, alice, revision):
    with pytest.raises(ResourceNotFoundException):
        get(context, organization_id, alice, "A1")
    before = revision()
    overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="A1")
    assert revision() == before
    put(context, organization_id, alice, "A1")
    overrides.delete(context, organization_id=organization_id, user_id="alice", device_id="a1")
    with pytest.raises(ResourceNotFoundException):
        get(context, organization_id, alice, "A1")


def test_overrides_are_listed_by_user_by_device_and_by_both(context, organization_id, alice):
    bob = users.enroll(context, organization_id, "bob@example.com").user_id
    for user_id in (alice, bob):
        for device_id in ("A1", "A2", "A3"):
            put(context, organization_id, user_id, device_id)

    def listed(**filters):
        found, token = [], None
        while True:
            page = overrides.list(context, organization_id=organization_id, max_results=2, next_token=token, **filters)
            found += [(one.user_id, one.device_id) for one in page.items]
            token = page.next_token
            if token is None:
                return found

    every = sorted((user_id, device_id) for user_id in (alice, bob) for device_id in ("A1", "A2", "A3"))
    assert listed() == every
    assert listed(user_id="alice") == [(alice, "A1"), (alice, "A2"), (alice, "A3")]
    assert listed(device_id="a2") == sorted([(alice, "A2"), (bob, "A2")])
    assert listed(user_id="bob@example.com", device_id="A3") == [(bob, "A3")]
    assert listed(device_id="A9") == []


@pytest.mark.parametrize("identity", ["Sales", "sales@example.com", "team@example.com"])
def test_a_group_is_no_user(context, organization_id, sales, identity, revision):
    """Not even in an open directory, where an unknown address would become one."""
    aliases.create(context, organization_id=organization_id, entity_id=sales, alias="team@example.com")
    before = revision()
    for named in (identity, sales):
        with pytest.raises(EntityNotFoundException):
            put(context, organization_id, named, "A1")
        with pytest.raises(EntityNotFoundException):
            get(context, organization_id, named, "A1")
        with pytest.raises(EntityNotFoundException):
            overrides.list(context, organization_id=organization_id, user_id=named)
        with pytest.raises(EntityNotFoundException):
            overrides.delete(context, organization_id=organization_id, user_id=named, device_id="A1")
    assert revision() == before


@pytest.fixture
def bridge(context):
    """The same store, asked with an access key of the role `bridge`."""
    return replace(context, caller="AKIABRIDGE", role=Role.BRIDGE)


def shown(context, organization_id):
    return [
        (one.device_id, one.effect, one.owner) for one in overrides.list(context, organization_id=organization_id).items
    ]


def test_the_bridge_and_people_do_not_touch_each_other_s(context, bridge, organization_id, alice):
    put(bridge, organization_id, alice, "A1", "ALLOW", description="compliant")
    assert shown(context, organization_id) == [("A1", Effect.ALLOW, Owner.BRIDGE)]
    put(context, organization_id, alice, "A1", "DENY", description="lost")
    assert shown(context, organization_id) == shown(bridge, organization_id) == [("A1", Effect.DENY, Owner.PERSON)]
    overrides.delete(bridge, organization_id=organization_id, user_id=alice, device_id="A1")
    put(bridge, organization_id, alice, "A1", "ALLOW")
    assert get(bridge, organization_id, alice, "A1").description == "lost"
    overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="A1")
    assert shown(context, organization_id) == [("A1", Effect.ALLOW, Owner.BRIDGE)]
    overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="A1")
    assert shown(context, organization_id) == []
    overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="A1")


def test_posture_above_all_where_that_is_set(context, bridge, organization_id, alice):
    put(context, organization_id, alice, "A1", "ALLOW")
    put(bridge, organization_id, alice, "A1", "DENY")
    assert get(context, organization_id, alice, "A1").owner is Owner.PERSON
    above_all = replace(context, bridge_deny_wins=True)
    assert get(above_all, organization_id, alice, "A1").owner is Owner.BRIDGE
    put(bridge, organization_id, alice, "A1", "ALLOW")
    assert get(above_all, organization_id, alice, "A1").owner is Owner.PERSON


def test_pages_of_pairs_with_one_and_two_overrides_neither_skip_nor_repeat(context, bridge, organization_id, alice):
    for number in range(11):
        put(context if number % 3 else bridge, organization_id, alice, f"D{number:02}")
        if number % 2:
            put(bridge, organization_id, alice, f"D{number:02}")
    for size in (1, 2, 3, 10, 11, 100):
        found, token = [], None
        while True:
            page = overrides.list(context, organization_id=organization_id, next_token=token, max_results=size)
            assert len(page.items) <= size
            found += [one.device_id for one in page.items]
            token = page.next_token
            if token is None:
                break
        assert found == [f"D{number:02}" for number in range(11)]


def test_what_expired_is_taken_back_and_nothing_else(context, organization_id, alice):
    now = context.now()
    for device_id, expires in (
        ("PAST", now - timedelta(seconds=1)),
        ("NEXT", now + timedelta(hours=1)),
        ("NEVER", None),
    ):
        put(context, organization_id, alice, device_id, expires=expires)
    assert overrides.expire(context) == 1
    assert overrides.expire(context) == 0
    assert [device_id for device_id, _, _ in shown(context, organization_id)] == ["NEVER", "NEXT"]
    put(context, organization_id, alice, "NEXT")
    later = replace(context, now=lambda: now + timedelta(days=1))
    assert overrides.expire(later) == 0, "put again without an end"


def test_what_expired_counts_for_nobody_before_it_is_taken_back(context, bridge, organization_id, alice, revision):
    put(bridge, organization_id, alice, "A1", "ALLOW")
    put(context, organization_id, alice, "A1", "DENY", expires=context.now())
    assert get(context, organization_id, alice, "A1").owner is Owner.BRIDGE
    assert shown(context, organization_id) == [("A1", Effect.ALLOW, Owner.BRIDGE)]
    overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="A1")  # what he was shown
    assert shown(context, organization_id) == []
    with pytest.raises(ResourceNotFoundException):
        get(context, organization_id, alice, "A1")
    before = revision()
    overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="A1")
    assert revision() == before
    assert overrides.expire(context) == 1


def test_what_expired_has_no_date_of_creation_to_keep(context, organization_id, alice):
    put(context, organization_id, alice, "A1", expires=context.now())
    renewed = context.now()
    put(context, organization_id, alice, "A1")
    assert get(context, organization_id, alice, "A1").date_created > renewed


def test_the_bridge_s_denial_that_expired_does_not_win(context, bridge, organization_id, alice):
    put(context, organization_id, alice, "A1", "ALLOW")
    put(bridge, organization_id, alice, "A1", "DENY", expires=context.now())
    assert get(replace(context, bridge_deny_wins=True), organization_id, alice, "A1").owner is Owner.PERSON


def test_pages_go_on_behind_any_number_of_expired_ones(context, bridge, organization_id, alice):
    for number in range(30):
        past = context.now()
        put(context, organization_id, alice, f"D{number:02}", expires=None if number % 10 == 9 else past)
        put(bridge, organization_id, alice, f"D{number:02}", expires=None if number == 4 else past)
    for size in (1, 2, 3, 4, 100):
        found, token = [], None
        while True:
            page = overrides.list(context, organization_id=organization_id, next_token=token, max_results=size)
            found += [one.device_id for one in page.items]
            token = page.next_token
            if token is None:
                break
            assert len(page.items) == size
        assert found == ["D04", "D09", "D19", "D29"]

from datetime import timedelta

import pytest
from sqlalchemy import event

from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.targets.pairs import Pairs
from gatepost.model import AppliedOverride, Effect, Owner, Role, enrolled_user_id
from gatepost.operations import groups, registrations, users
from gatepost.operations import mobile_device_access_overrides as operations
from gatepost.operations.context import Context
from gatepost.store import mdm_applied, mobile_device_access_overrides


@pytest.fixture
def bridge(moved_store, clock):
    return Context(moved_store, clock, "bridge", Role.BRIDGE)


@pytest.fixture
def alice(context, organization_id):
    return users.enroll(context, organization_id, "alice@example.com").user_id


def written(bridge, clock, pair, effect=Effect.ALLOW, device_key="1"):
    """The bridge's override, and what is remembered of it."""
    expires = clock() + timedelta(hours=1)
    override = operations.written(bridge, pair, None, effect=effect, description="why", expires=expires)
    return override, AppliedOverride("store", *pair, effect, "why", expires, "mdm", device_key, clock())


def overrides(store, organization_id):
    with store.read() as reader:
        rows = mobile_device_access_overrides.page(reader, organization_id, None, 100)
    return {(one.user_id, one.device_id, one.owner): one.effect for one in rows}


def test_what_is_put_is_seen_at_once_and_there_when_it_is_written(
    moved_store, bridge, clock, organization_id, alice, context
):
    operations.put(context, organization_id=organization_id, user_id=alice, device_id="AAA", effect="DENY")
    pair, other = (organization_id, alice, "AAA"), (organization_id, alice, "BBB")
    with moved_store.begin() as transaction:
        pairs = LocalTarget(moved_store).pairs(transaction)
        assert pairs.persons(pair).effect is Effect.DENY
        assert pairs.bridges(pair) is pairs.applied(pair) is pairs.persons(other) is None
        for one in (pair, other):
            pairs.put(*written(bridge, clock, one), None)
        assert pairs.bridges(pair).effect is Effect.ALLOW
        assert [one.device_id for one in pairs.of_device("mdm", "1")] == ["AAA", "BBB"]
        pairs.delete(other)
        assert pairs.of_device("mdm", "1") == [pairs.applied(pair)]
        assert pairs.write(bridge, transaction) == []
        assert transaction.revision  # what was put and taken away again is no change
    assert overrides(moved_store, organization_id) == {
        (alice, "AAA", Owner.PERSON): Effect.DENY,
        (alice, "AAA", Owner.BRIDGE): Effect.ALLOW,
    }


def test_what_was_there_is_replaced_handed_over_and_taken_away(moved_store, bridge, clock, organization_id, alice):
    kept, gone = (organization_id, alice, "AAA"), (organization_id, alice, "BBB")
    with moved_store.begin() as transaction:
        pairs = Pairs(transaction, "store")
        for pair in (kept, gone):
            pairs.put(*written(bridge, clock, pair), None)
        pairs.write(bridge, transaction)
    with moved_store.begin() as transaction:
        pairs = Pairs(transaction, "store")
        assert {one.device_id for one in pairs.of_device("mdm", "1")} == {"AAA", "BBB"}
        pairs.put(*written(bridge, clock, kept, Effect.DENY, device_key="2"), None)
        assert [one.device_id for one in pairs.of_device("mdm", "1")] == ["BBB"]
        assert [one.device_id for one in pairs.of_device("mdm", "2")] == ["AAA"]
        pairs.delete(gone)
        pairs.write(bridge, transaction)
    assert overrides(moved_store, organization_id) == {(alice, "AAA", Owner.BRIDGE): Effect.DENY}
    with moved_store.read() as reader:
        assert mdm_applied.of_device(reader, "mdm", "1") == []
        assert [one.device_id for one in mdm_applied.of_device(reader, "mdm", "2")] == ["AAA"]


def test_only_what_is_remembered(moved_store, bridge, clock, organization_id, alice):
    pair = (organization_id, alice, "AAA")
    with moved_store.begin() as transaction:
        pairs = Pairs(transaction, "store")
        pairs.put(*written(bridge, clock, pair), None)
        pairs.write(bridge, transaction)
    with moved_store.begin() as transaction:
        pairs = Pairs(transaction, "store")
        pairs.remember(pair, None)
        pairs.write(bridge, transaction)
        assert transaction.write_changes() is False
    assert overrides(moved_store, organization_id) == {(alice, "AAA", Owner.BRIDGE): Effect.ALLOW}
    with moved_store.read() as reader:
        assert mdm_applied.of_device(reader, "mdm", "1") == []


def test_users_are_taken_up_and_what_is_for_nobody_is_not_written(moved_store, bridge, clock, organization_id, context):
    group_id = groups.create(context, organization_id=organization_id, name="all")
    registrations.register_to_work_mail(
        context, organization_id=organization_id, entity_id=group_id, email="all@example.com"
    )
    ids = {name: enrolled_user_id(organization_id, f"{name}@example.com") for name in ("new", "all", "idle")}
    with moved_store.begin() as transaction:
        pairs = Pairs(transaction, "store")
        for name, user_id in ids.items():
            pairs.put(*written(bridge, clock, (organization_id, user_id, "AAA")), f"{name}@example.com")
        pairs.delete((organization_id, ids["idle"], "AAA"))
        (unwritten,) = pairs.write(bridge, transaction)
        assert unwritten.user_id == ids["all"]
    assert overrides(moved_store, organization_id) == {(ids["new"], "AAA", Owner.BRIDGE): Effect.ALLOW}
    with moved_store.read() as reader:
        assert [one.user_id for one in mdm_applied.of_device(reader, "mdm", "1")] == [ids["new"]]
    page = users.list(context, organization_id=organization_id).items
    assert [user.email for user in page] == ["new@example.com"]


def test_many_users_take_as_many_statements_as_one(moved_store, context, organization_id):
    ids = [users.enroll(context, organization_id, f"u{number}@example.com").user_id for number in range(50)]
    statements = []
    event.listen(moved_store.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    with moved_store.read() as reader:
        pairs = Pairs(reader, "store")
        pairs.load_users(organization_id, ids)
        pairs.load_devices("mdm", ["1", "2"])
        assert all(pairs.bridges((organization_id, user_id, "AAA")) is None for user_id in ids)
        assert pairs.of_device("mdm", "1") == []
    assert len([one for one in statements if "SELECT" in one.upper()]) == 3

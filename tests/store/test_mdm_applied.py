"""What the bridge wrote last."""

from dataclasses import replace

from tests.store.mdm import an_applied_override
from tests.store.nouns import NOON
from tests.support.postures import a_posture

from gatepost.model import Effect
from gatepost.store import mdm_applied, mdm_devices


def put(store, *applied):
    with store.bookkeeping() as writer:
        for one in applied:
            mdm_applied.put(writer, one)


def named(one):
    return one.target, one.organization_id, one.user_id, one.device_id


def test_the_last_that_was_written_is_remembered(store):
    allowed = an_applied_override()
    denied = an_applied_override(effect=Effect.DENY, expires=None, description=None, device_key="8")
    put(store, allowed, denied)
    with store.read() as reader:
        assert mdm_applied.get(reader, *named(allowed)) == denied
        assert mdm_applied.get(reader, "workmail", *named(allowed)[1:]) is None


def test_it_can_be_forgotten(store):
    one, other = an_applied_override(), an_applied_override(target="workmail")
    put(store, one, other)
    with store.bookkeeping() as writer:
        assert mdm_applied.delete(writer, *named(one))
        assert not mdm_applied.delete(writer, *named(one))
        assert mdm_applied.get(writer, *named(other)) == other


def test_what_was_written_for_a_device(store):
    one, other = an_applied_override(), an_applied_override(target="workmail")
    put(store, one, other, an_applied_override(device_id="EAS2", device_key="8"))
    put(store, an_applied_override(device_id="EAS3", source="fleet"))
    with store.read() as reader:
        assert mdm_applied.of_device(reader, "ws1", "7") == [one, other]
        assert mdm_applied.of_device(reader, "ws1", "7", "workmail") == [other]


def test_all_of_a_target_in_pages(store):
    all_ = [an_applied_override(user_id=user, device_id=device) for user in ("a", "b") for device in ("X", "Y", "Z")]
    put(store, *reversed(all_), an_applied_override(target="workmail"))
    with store.read() as reader:
        first = mdm_applied.page(reader, "local", None, 4)
        rest = mdm_applied.page(reader, "local", named(first[-1])[1:], 4)
    assert first + rest == all_


def test_how_many_of_each_effect(store):
    put(store, an_applied_override(), an_applied_override(device_id="B"), an_applied_override(target="workmail"))
    put(store, an_applied_override(device_id="C", effect=Effect.DENY))
    with store.read() as reader:
        assert mdm_applied.counts(reader, "local") == {Effect.ALLOW: 2, Effect.DENY: 1}
        assert mdm_applied.counts(reader, "none") == {}


def test_how_many_are_somebody_else_s_now(store):
    put(store, an_applied_override(), an_applied_override(device_id="B", theirs_since=NOON))
    with store.read() as reader:
        assert mdm_applied.counts(reader, "local", theirs=False) == {Effect.ALLOW: 1}
        assert mdm_applied.counts(reader, "local", theirs=True) == {Effect.ALLOW: 1}


def test_those_whose_device_nobody_knows(store):
    known, orphan = an_applied_override(), an_applied_override(device_id="EAS2", device_key="8")
    put(store, known, orphan, an_applied_override(device_id="EAS3", target="workmail", device_key="9"))
    with store.bookkeeping() as writer:
        mdm_devices.put(writer, a_posture("7"))
        assert mdm_applied.orphans(writer, "local") == [orphan]


def test_of_several_devices_and_of_several_users(store):
    one, two = an_applied_override(), an_applied_override(user_id="user-2", device_key="8")
    elsewhere = an_applied_override(target="workmail")
    put(store, one, two, elsewhere)
    with store.bookkeeping() as writer:
        assert mdm_applied.of_devices(writer, "local", "ws1", ["7", "9"]) == [one]
        found = mdm_applied.of_users(writer, "local", one.organization_id, ["user-1", "user-2", "user-3"])
        assert sorted(found, key=named) == [one, two]
        assert mdm_applied.of_users(writer, "local", "m-other", ["user-1"]) == []
        mdm_applied.delete_many(writer, [one, two])
        mdm_applied.delete_many(writer, [])
        assert mdm_applied.of_device(writer, "ws1", "7") == [elsewhere]
        assert mdm_applied.of_device(writer, "ws1", "8") == []


def test_doubted_until_it_is_written_anew(store):
    one = an_applied_override()
    put(store, one)
    with store.bookkeeping() as writer:
        mdm_applied.doubt(writer, one)
        doubted = mdm_applied.get(writer, *named(one))
        assert doubted == replace(one, doubtful_since=writer.now)
        mdm_applied.put(writer, one)
        assert mdm_applied.get(writer, *named(one)) == one


def test_what_is_new_is_remembered_only_where_nothing_is(store):
    one = an_applied_override()
    with store.bookkeeping() as writer:
        assert mdm_applied.put_new(writer, one)
        assert not mdm_applied.put_new(writer, replace(one, effect=Effect.DENY))
        assert mdm_applied.get(writer, *named(one)) == one


def test_devices_with_an_allow_are_counted_and_not_their_overrides(store):
    put(
        store,
        an_applied_override(),
        an_applied_override(device_id="EAS2"),
        an_applied_override(device_id="EAS3", device_key="8"),
    )
    with store.read() as reader:
        assert mdm_applied.allowed(reader, "local", "ws1") == 2

"""Devices as they were described last, and everything that they ever had."""

from dataclasses import replace

from sqlalchemy import event
from tests.support.postures import NOON, a_posture, minutes

from gatepost.model import Compliance, KnownDevice, Managed, Moments
from gatepost.store import mdm_devices
from gatepost.store.mdm_devices import DEVICE_ID, USER, Binding

ALICE, BOB = "alice@example.com", "bob@example.com"


def put(store, *postures):
    with store.bookkeeping() as writer:
        return [mdm_devices.put(writer, posture) for posture in postures][-1]


def known(store, device_key="7", source="ws1"):
    with store.read() as reader:
        return mdm_devices.known(reader, source, device_key)


def remembered(store, *keys):
    with store.read() as reader:
        return mdm_devices.remembered(reader, "ws1", keys or ["7"])


def gone(store, moment, device_key="7"):
    (before,) = remembered(store, device_key).values()
    with store.bookkeeping() as writer:
        mdm_devices.keep(writer, [(before, mdm_devices.gone(before, moment))])
    return known(store, device_key)


def keys(devices):
    return [(one.posture.source, one.posture.device_key) for one in devices]


def test_a_posture_comes_back_as_it_was_given(store):
    full = a_posture(
        serial="F2LX0000ABCD", imei="350000000000001", friendly_name="Zoë's iPhone", grace_until=minutes(30)
    )
    bare = a_posture("8", state_time=None, compromised=None, user_addresses=(), device_ids=(), managed=Managed.UNKNOWN)
    assert (
        put(store, full)
        == known(store)
        == KnownDevice(full, (ALICE,), ("EAS1",), Moments(compliant_since=NOON, managed_since=NOON))
    )
    assert put(store, bare) == known(store, "8") == KnownDevice(bare, (), (), Moments())
    assert known(store, "9") is None
    assert known(store, source="fleet") is None


def test_what_a_device_ever_had_is_remembered(store):
    put(store, a_posture())
    put(store, a_posture(user_addresses=(BOB,), device_ids=("EAS2", "EAS3"), observed_at=minutes(1)))
    device = put(store, a_posture(user_addresses=(), device_ids=(), managed=Managed.NO, observed_at=minutes(2)))
    assert device == known(store)
    assert (device.addresses, device.device_ids) == ((ALICE, BOB), ("EAS1", "EAS2", "EAS3"))
    assert (device.posture.user_addresses, device.posture.device_ids) == ((), ())
    with store.read() as reader:
        assert mdm_devices.bindings(reader, "ws1", "7") == [
            Binding(DEVICE_ID, "EAS1", NOON, NOON),
            Binding(DEVICE_ID, "EAS2", minutes(1), minutes(1)),
            Binding(DEVICE_ID, "EAS3", minutes(1), minutes(1)),
            Binding(USER, ALICE, NOON, NOON),
            Binding(USER, BOB, minutes(1), minutes(1)),
        ]


def test_a_binding_keeps_when_it_began_and_knows_to_the_hour_when_it_was_seen_last(store):
    put(store, a_posture(), a_posture(observed_at=minutes(59)))
    with store.read() as reader:
        assert mdm_devices.bindings(reader, "ws1", "7")[0] == Binding(DEVICE_ID, "EAS1", NOON, NOON)
    put(store, a_posture(observed_at=minutes(60)))
    with store.read() as reader:
        assert mdm_devices.bindings(reader, "ws1", "7")[0] == Binding(DEVICE_ID, "EAS1", NOON, minutes(60))


def test_a_look_that_finds_nothing_new_takes_four_statements(store):
    put(store, a_posture())
    statements = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    with store.bookkeeping() as writer:
        device = mdm_devices.put(writer, a_posture(observed_at=minutes(1)))
        assert mdm_devices.related(writer, device) == [device]
    assert len([one for one in statements if "mdm_" in one]) == 4


def test_moments_are_remembered_from_one_posture_to_the_next(store):
    pending = {"compliance": Compliance.PENDING, "device_ids": ()}
    put(store, a_posture(**pending))
    device = put(store, a_posture(observed_at=minutes(5), **pending))
    moments = Moments(pending_since=NOON, without_ids_since=NOON, managed_since=NOON)
    assert device.moments == known(store).moments == moments
    moments = Moments(compliant_since=minutes(6), managed_since=NOON)
    assert put(store, a_posture(observed_at=minutes(6))).moments == moments
    moments = Moments(managed_since=NOON, left_since=minutes(7))
    put(store, a_posture(observed_at=minutes(7), managed=Managed.NO))
    assert known(store).moments == moments


def test_what_notifications_may_call_a_device_is_remembered(store):
    put(store, a_posture(other_key="uuid-7"), a_posture("8"))
    put(store, a_posture(managed=Managed.NO))  # the record has lost it
    assert known(store).posture.other_key == "uuid-7"
    with store.read() as reader:
        assert mdm_devices.called(reader, "ws1", ["uuid-7", "uuid-9"]) == ["7"]
        assert mdm_devices.called(reader, "fleet", ["uuid-7"]) == []


def test_devices_that_ever_shared_an_id_are_related(store):
    put(store, a_posture("7"), a_posture("8", device_ids=("EAS1", "EAS2")), a_posture("9", device_ids=("EAS2",)))
    put(store, a_posture("8", device_ids=("EAS2",)), a_posture("7", source="fleet"), a_posture("0", device_ids=("X",)))
    with store.read() as reader:
        assert keys(mdm_devices.related(reader, known(store))) == [("fleet", "7"), ("ws1", "7"), ("ws1", "8")]
        assert keys(mdm_devices.related(reader, known(store, "9"))) == [("ws1", "8"), ("ws1", "9")]


def test_a_device_without_ids_is_related_to_itself(store):
    device = put(store, a_posture(device_ids=()))
    with store.read() as reader:
        assert mdm_devices.related(reader, device) == [device]


def test_missing_since_then_until_it_is_described_again(store):
    put(store, a_posture())
    (before,) = remembered(store).values()
    assert before.missing_since is None
    with store.bookkeeping() as writer:
        mdm_devices.keep(writer, [(before, replace(before, missing_since=minutes(5)))])
    assert remembered(store)["7"] == replace(before, missing_since=minutes(5))
    put(store, a_posture())
    assert remembered(store)["7"] == before


def test_gone_is_what_was_known_last(store):
    put(store, a_posture(serial="S"))
    tombstone = gone(store, minutes(6))
    assert tombstone == known(store)
    assert tombstone.posture == a_posture(serial="S", gone=True, observed_at=minutes(6))
    assert (tombstone.addresses, tombstone.device_ids, tombstone.moments) == (
        (ALICE,),
        ("EAS1",),
        Moments(managed_since=NOON, left_since=minutes(6)),
    )
    assert gone(store, minutes(60)) == tombstone  # since when it is gone stays
    with store.read() as reader:
        assert mdm_devices.gone_before(reader, "ws1", minutes(6)) == []
        assert mdm_devices.gone_before(reader, "ws1", minutes(6.1)) == ["7"]
        assert mdm_devices.gone_before(reader, "fleet", minutes(6.1)) == []


def test_a_device_that_came_back_is_as_any_other(store):
    put(store, a_posture())
    gone(store, minutes(1))
    assert put(store, a_posture()).posture == a_posture()


def test_many_are_kept_at_once_and_only_what_is_new_of_them(store):
    put(store, a_posture("7"), a_posture("8", user_addresses=(BOB,)))
    before = remembered(store, "7", "8", "9")
    assert set(before) == {"7", "8"}
    postures = [a_posture("7", device_ids=("EAS9",)), a_posture("8", user_addresses=(BOB,)), a_posture("9")]
    changes = [(before.get(one.device_key), mdm_devices.after(before.get(one.device_key), one)) for one in postures]
    with store.bookkeeping() as writer:
        mdm_devices.keep(writer, changes)
        mdm_devices.keep(writer, [])
    assert remembered(store, "7", "8", "9") == {now.posture.device_key: now for _, now in changes}
    assert known(store).device_ids == ("EAS1", "EAS9")
    with store.read() as reader:
        assert mdm_devices.holders(reader, ["EAS1", "EAS9", "EAS0"]) == {
            "EAS1": {("ws1", "7"), ("ws1", "8"), ("ws1", "9")},
            "EAS9": {("ws1", "7")},
        }


def test_devices_are_found_by_what_they_have_or_had(store):
    put(store, a_posture("7", serial="S7", imei="I7"), a_posture("8", serial="S8", user_addresses=(BOB,)))
    put(store, a_posture("7", serial="S7", imei="I7", device_ids=("EAS9",)))
    with store.read() as reader:

        def found(**what):
            return [device_key for _, device_key in keys(mdm_devices.find(reader, **what))]

        assert found(device_id="eas1") == ["7", "8"]
        assert found(device_id="EAS9") == found(address=" Alice@Example.com") == found(imei="I7") == ["7"]
        assert found(device_id="EAS1", address=BOB) == found(serial="S8", address=BOB) == ["8"]
        assert found(serial="S8", address=ALICE) == found() == found(imei="") == []
        assert found(device_id="EAS1", limit=1) == ["7"]


def test_pages_keys_and_counts(store):
    put(store, *[a_posture(key, source=source) for source in ("ws1", "fleet") for key in ("a", "b", "C")])
    gone(store, minutes(1), "b")
    with store.bookkeeping() as writer:
        assert mdm_devices.count(writer) == 5
        assert mdm_devices.count(writer, "ws1") == 2
        first = mdm_devices.page(writer, None, 4)
        assert keys(first) == [("fleet", "C"), ("fleet", "a"), ("fleet", "b"), ("ws1", "C")]
        assert keys(mdm_devices.page(writer, ("ws1", "C"), 4)) == [("ws1", "a"), ("ws1", "b")]
        assert keys(mdm_devices.page(writer, None, 1, source="ws1")) == [("ws1", "C")]
        assert mdm_devices.keys(writer, "ws1", None, 2) == ["C", "a"]
        assert mdm_devices.keys(writer, "ws1", "a", 2) == ["b"]


def test_a_page_takes_two_statements(store):
    put(store, *[a_posture(str(number), device_ids=(f"EAS{number}",)) for number in range(1200)])
    statements = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    with store.read() as reader:
        page = mdm_devices.page(reader, None, 900)
    assert len(page) == 900
    assert all(one.device_ids == one.posture.device_ids for one in page)
    assert len([one for one in statements if "SELECT" in one.upper()]) == 2
    with store.read() as reader:
        assert all(one.addresses == (ALICE,) for one in mdm_devices.page(reader, None, 1200))


def test_forgotten_with_all_that_it_had(store):
    put(store, a_posture(), a_posture("8"))
    with store.bookkeeping() as writer:
        assert mdm_devices.forget(writer, "ws1", "7")
        assert not mdm_devices.forget(writer, "ws1", "7")
        assert mdm_devices.bindings(writer, "ws1", "7") == []
        assert keys(mdm_devices.find(writer, address=ALICE)) == [("ws1", "8")]
    assert put(store, a_posture(user_addresses=(BOB,))).addresses == (BOB,)


def test_a_name_that_postgresql_refuses_is_stored_without_its_odd_character(store):
    assert put(store, a_posture(friendly_name="Zoë\0", serial="\0")).posture.friendly_name == "Zoë?"
    assert known(store).posture.serial == "?"


def test_an_empty_serial_number_is_none_so_that_no_two_devices_share_it(store):
    assert put(store, a_posture(serial="", imei="")).posture == a_posture()
    with store.read() as reader:
        assert mdm_devices.find(reader, serial="") == mdm_devices.find(reader, address=ALICE, imei="") == []

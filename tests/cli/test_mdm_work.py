from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.support.bridge_settings import seen

from gatepost.model import Notification
from gatepost.store import mdm_applied, mdm_inbox, mdm_work

NOW = datetime.now(UTC)


def park(store, *keys):
    for key in keys:
        with store.bookkeeping() as writer:
            mdm_work.dirty(writer, "ws1", key)
        with store.bookkeeping() as writer:
            (claim,) = mdm_work.claim(writer, 60)
        with store.bookkeeping() as writer:
            mdm_work.park(writer, claim, f"no such user: `{key}`")


def claimed(store):
    with store.bookkeeping() as writer:
        return sorted((one.source, one.device_key, one.urgent) for one in mdm_work.claim(writer, 60, 100))


def test_what_is_parked_is_listed_tried_again_and_dropped(bridged, store):
    assert bridged.run("mdm", "parked", "list").out == "nothing is parked\n"
    park(store, "1", "2", "3")
    assert "no such user: `2`" in bridged.run("mdm", "parked", "list").out
    assert [one["device_key"] for one in bridged.run("mdm", "parked", "list", "--json").json] == ["1", "2", "3"]
    assert bridged.run("mdm", "parked", "retry", "--device", "2").out == "1 device is tried again\n"
    assert claimed(store) == [("ws1", "2", True)]
    assert bridged.run("mdm", "parked", "retry", "--device", "2").code == 5
    assert bridged.run("mdm", "parked", "drop").code == 2
    assert bridged.run("mdm", "parked", "drop", "--device", "1").out == "1 device is forgotten\n"
    assert bridged.run("mdm", "parked", "drop", "--source", "other").out == "0 devices are forgotten\n"
    assert bridged.run("mdm", "parked", "drop", "--all").out == "1 device is forgotten\n"
    assert bridged.run("mdm", "parked", "list", "--json").json == []


def test_notifications_are_gone_through_again(bridged, store):
    with store.bookkeeping() as writer:
        for number, hours in enumerate((0, 1, 30)):
            mdm_inbox.receive(
                writer, Notification("ws1", f"n{number}", str(number), b"{}", NOW - timedelta(hours=hours))
            )
        mdm_inbox.receive(writer, Notification("ws1", "n9", None, b"{}", NOW))
    assert len(claimed(store)) == 3
    with store.bookkeeping() as writer:
        writer.connection.exec_driver_sql("DELETE FROM mdm_work")
    assert bridged.run("mdm", "replay", "--since", "2h").out == "2 devices are looked at again\n"
    assert claimed(store) == [("ws1", "0", False), ("ws1", "1", False)]  # the guard sees them
    assert bridged.run("mdm", "replay", "--since", "2d", "--device", "2").out == "1 device is looked at again\n"
    assert bridged.run("mdm", "replay", "--since", "yesterday").code == 2


def test_a_pair_is_given_back(bridged, store):
    seen(store)
    assert bridged.run("mdm", "release", "alice@example.com", "eas1").code == 5
    with store.bookkeeping() as writer:
        (applied,) = mdm_applied.page(writer, "store", None, 10)
        mdm_applied.put(writer, replace(applied, theirs_since=NOW))
    ran = bridged.run("mdm", "release", "alice@example.com", "eas1")
    assert (ran.code, "the bridge looks after alice@example.com, device EAS1, again" in ran.out) == (0, True)
    with store.read() as reader:
        assert mdm_applied.page(reader, "store", None, 10) == []
    assert claimed(store) == [("ws1", "7", True)]


def test_a_pair_is_given_back_that_somebody_edited_in_workmail(bridged, store):
    with bridged.config.open("a") as file:
        file.write(f'\n[[mdm.targets]]\nkind = "workmail"\norganization_id = "m-{"0" * 32}"\nregion = "eu-west-1"\n')
    seen(store)
    with store.bookkeeping() as writer:
        (applied,) = mdm_applied.page(writer, "store", None, 10)
        there = replace(applied, target="workmail", organization_id="m-" + "0" * 32, user_id="S-1-1", theirs_since=NOW)
        mdm_applied.put(writer, there)
        mdm_applied.put(writer, replace(there, device_id="EAS2"))
    assert bridged.run("mdm", "release", "alice@example.com", "eas1").code == 0
    with store.read() as reader:
        assert [one.device_id for one in mdm_applied.page(reader, "workmail", None, 10)] == ["EAS2"]
    assert claimed(store) == [("ws1", "7", True)]

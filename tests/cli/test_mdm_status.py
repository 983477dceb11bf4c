from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.support.bridge_settings import seen

from gatepost.model import Notification
from gatepost.operations import mobile_device_access_overrides
from gatepost.store import mdm_applied, mdm_inbox, mdm_sources, mdm_work

NOW = datetime.now(UTC)


def test_a_bridge_that_never_ran(bridged):
    ran = bridged.run("mdm", "status")
    assert ran.code == 0
    assert "devices to look at: 0 due, 0 in work, 0 later, 0 parked" in ran.out
    assert "bridge alive  never" in ran.out
    found = bridged.run("mdm", "status", "--json").json
    (source,) = found["sources"]
    assert (source["source"], source["alive_at"], source["guard"]) == ("ws1", None, None)
    assert found["targets"] == [{"target": "store", "allow": 0, "deny": 0, "theirs": 0, "contradicted": 0}]
    assert found["left"] == []


def test_what_there_is_to_know(bridged):
    store = bridged.store()
    seen(store)
    seen(store, "8", device_ids=("EAS2",))
    with store.bookkeeping() as writer:
        mdm_inbox.receive(writer, Notification("ws1", "n1", "9", b"{}", NOW))
        mdm_work.dirty(writer, "ws1", "10", due=NOW + timedelta(hours=1))
        mdm_sources.change(
            writer, "ws1", alive_at=NOW, answered_at=NOW, sweep_finished_at=NOW, listed=2, failures=3,
            last_error="503", closed_until=NOW + timedelta(hours=1), quota_remaining=900, guard="7 of 10", guard_since=NOW,
        )  # fmt: skip
        mdm_applied.put(writer, replace(mdm_applied.page(writer, "store", None, 1)[0], theirs_since=NOW))
    store.close()
    found = bridged.run("mdm", "status", "--json").json
    assert (found["queue"]["due"], found["queue"]["later"]) == (1, 1)
    (source,) = found["sources"]
    assert (source["devices"], source["listed"], source["due"], source["quota_remaining"]) == (2, 2, 1, 900)
    assert source["notified_at"] is not None
    assert found["targets"] == [{"target": "store", "allow": 1, "deny": 0, "theirs": 1, "contradicted": 0}]
    told = bridged.run("mdm", "status").out
    for line in ("3 in a row: 503", "not asked until", "7 of 10", "gatepost mdm reconcile --confirm --source ws1"):
        assert line in told
    with bridged.store().bookkeeping() as writer:
        mdm_sources.change(writer, "ws1", guard_confirmed_at=NOW + timedelta(seconds=1), closed_until=NOW)
    told = bridged.run("mdm", "status").out
    assert "--confirm" not in told
    assert "not asked until" not in told


def test_what_a_source_left_that_is_not_configured_any_more(bridged):
    store = bridged.store()
    seen(store)
    seen(store, "8", source="old", device_ids=("EAS8",))
    store.close()
    found = bridged.run("mdm", "status", "--json").json
    says = "source old is not configured any more and has 1 ALLOW at store"
    assert found["left"] == [
        {"source": "old", "target": "store", "allow": 1, "deny": 0, "to_do": "gatepost mdm retire old", "says": says}
    ]
    assert f"{says}\ngatepost mdm retire old\n" in bridged.run("mdm", "status").out


def test_what_is_parked_is_counted(bridged):
    store = bridged.store()
    with store.bookkeeping() as writer:
        mdm_work.dirty(writer, "ws1", "7")
    with store.bookkeeping() as writer:
        (claim,) = mdm_work.claim(writer, 60)
    with store.bookkeeping() as writer:
        mdm_work.park(writer, claim, "why not")
    store.close()
    assert "1 parked (gatepost mdm parked list)" in bridged.run("mdm", "status").out


def test_what_waits_for_what_is_not_configured_any_more_is_not_counted(bridged):
    store = bridged.store()
    with store.bookkeeping() as writer:
        for source in ("old", "sweep:old", "target:workmail"):
            mdm_work.dirty(writer, source, "7", due=NOW - timedelta(days=1))
        mdm_work.dirty(writer, "ws1", "7")
        mdm_work.dirty(writer, "sweep:ws1", "all", due=writer.now + timedelta(hours=1))
    store.close()
    queue = bridged.run("mdm", "status", "--json").json["queue"]
    assert (queue["due"], queue["later"]) == (1, 1)
    assert datetime.fromisoformat(queue["oldest_due"]) >= NOW.replace(microsecond=0)


def test_where_people_say_the_contrary_of_what_the_bridge_wrote(bridged):
    store = bridged.store()
    seen(store)
    seen(store, "8", device_ids=("EAS2",))
    assert "contradicted" not in bridged.run("mdm", "status").out
    ask = {"organization_id": bridged.organization_id, "user_id": "alice@example.com"}
    for device_id, effect in (("EAS1", "DENY"), ("EAS2", "ALLOW")):
        mobile_device_access_overrides.put(bridged.context(store), **ask, device_id=device_id, effect=effect)
    store.close()
    assert bridged.run("mdm", "status", "--json").json["targets"][0]["contradicted"] == 1
    assert "1 contradicted by a person's (gatepost override list)" in bridged.run("mdm", "status").out
    with bridged.config.open("a") as file:
        file.write(f"[[mdm.targets]]\nkind = 'workmail'\nregion = 'eu-west-1'\norganization_id = 'm-{'0' * 32}'\n")
    (there,) = bridged.run("mdm", "status", "--json").json["targets"]
    assert (there["target"], there["contradicted"]) == ("workmail", None)

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.bridge_settings import seen

from gatepost.cli import mdm_retire
from gatepost.model import Effect
from gatepost.store import mdm_applied, mdm_devices, mdm_sources, mdm_work
from gatepost.store import mobile_device_access_overrides as stored

WORKMAIL = "m-" + "0" * 32
NOTHING = {
    "source": "old", "allow": 0, "deny": 0, "delivered": 0, "handed_over": 0, "edited": 0, "theirs": 0, "ended": 0,
    "unreachable": 0, "devices": 0, "notifications": 0, "looked_at": 0,
}  # fmt: skip


@pytest.fixture
def left(store):
    """A source `old` that has one ALLOW and one DENY, and another, `ws1`, with one ALLOW."""
    seen(store)
    seen(store, "8", source="old", device_ids=("EAS8",))
    seen(store, "9", source="old", device_ids=("EAS9",))
    with store.begin() as transaction:
        mdm_sources.change(transaction, "old", alive_at=datetime.now(UTC) - timedelta(hours=1))
        (applied,) = mdm_applied.of_device(transaction, "old", "9")
        mdm_applied.put(transaction, replace(applied, effect=Effect.DENY))
        (override,) = stored.of_pair(transaction, applied.organization_id, applied.user_id, "EAS9")
        stored.put(transaction, replace(override, effect=Effect.DENY))


def device_ids(store, installation):
    with store.read() as reader:
        return [one.device_id for one in stored.page(reader, installation.organization_id, None, 10)]


def add_workmail(installation):
    with installation.config.open("a") as file:
        file.write(f'\n[[mdm.targets]]\nkind = "store"\n\n[[mdm.targets]]\nkind = "workmail"\norganization_id = "{WORKMAIL}"\nregion = "eu-west-1"\n')  # fmt: skip


def write_at_workmail(store, *device_ids):
    with store.bookkeeping() as writer:
        (one,) = mdm_applied.of_device(writer, "old", "8")
        there = {"target": "workmail", "organization_id": WORKMAIL, "user_id": "S-1"}
        for device_id in device_ids:
            mdm_applied.put(writer, replace(one, device_id=device_id, **there))


@pytest.mark.usefixtures("left")
def test_a_source_goes_with_what_it_wrote(bridged, store):
    seen(store, "7", source="older", device_ids=("EAS7",))
    assert bridged.run("mdm", "status").out.count("gatepost mdm retire old\n") == 1
    ran = bridged.run("mdm", "retire", "old", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "source old",
        "   to be taken away in this store: 1 ALLOW, 1 DENY",
        "   to be forgotten: 2 devices",
        "taken away in this store: 1 ALLOW, 1 DENY",
        "forgotten: 2 devices, 0 notifications",
    ]
    assert device_ids(store, bridged) == ["EAS1", "EAS7"]
    with store.read() as reader:
        assert [one.posture.source for one in mdm_devices.page(reader, None, 10)] == ["older", "ws1"]
        assert mdm_sources.list(reader) == ()
    assert "gatepost mdm retire old\n" not in bridged.run("mdm", "status").out
    again = bridged.run("mdm", "retire", "old", "--yes")
    assert (again.code, "nothing is known of a source `old`" in again.err) == (5, True)


@pytest.mark.usefixtures("left")
def test_for_programs(bridged):
    ran = bridged.run("mdm", "retire", "old", "--yes", "--json")
    assert (ran.code, ran.json) == (0, NOTHING | {"allow": 1, "deny": 1, "devices": 2})
    assert "to be taken away in this store: 1 ALLOW, 1 DENY" in ran.err


@pytest.mark.usefixtures("left")
def test_nothing_is_done_unasked(bridged, store, monkeypatch):
    ran = bridged.run("mdm", "retire", "old")
    assert (ran.code, "say --yes" in ran.err) == (2, True)
    assert "to be taken away in this store: 1 ALLOW, 1 DENY" in ran.out
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_args, **_more: False)
    ran = bridged.run("mdm", "retire", "old")
    assert (ran.code, ran.err) == (1, "gatepost: nothing was changed\n")
    assert len(device_ids(store, bridged)) == 3
    monkeypatch.setattr("typer.confirm", lambda *_args, **_more: True)
    assert bridged.run("mdm", "retire", "old").code == 0
    assert len(device_ids(store, bridged)) == 1


@pytest.mark.usefixtures("left")
def test_a_source_that_is_configured_stays(bridged, store):
    ran = bridged.run("mdm", "retire", "ws1", "--yes")
    assert (ran.code, "is still configured: take it out of the configuration" in ran.err) == (2, True)
    assert len(device_ids(store, bridged)) == 3


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize("before", [True, False])
def test_a_source_that_a_bridge_serves_stays(bridged, store, monkeypatch, before):
    def serve(*_args, **_more):
        with store.bookkeeping() as writer:
            mdm_sources.change(writer, "old", alive_at=datetime.now(UTC))
        return True

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", serve)
    if before:
        serve()
    ran = bridged.run("mdm", "retire", "old")
    assert (ran.code, "a bridge has served source `old` within the last minute" in ran.err) == (1, True)
    assert ("to be taken away" in ran.out) != before
    assert len(device_ids(store, bridged)) == 3


@pytest.mark.usefixtures("left")
def test_what_another_source_accounts_for_is_left_to_it(bridged, store):
    seen(store, device_ids=("EAS1", "EAS8"), written=False)
    ran = bridged.run("mdm", "retire", "old", "--yes")
    assert "   in this store, left to the devices of other sources that have their DeviceIds: 1 ALLOW\n" in ran.out
    assert "   to be taken away in this store: 1 DENY\n" in ran.out
    assert "1 are left to 1 devices of other sources, which are looked at now\n" in ran.out
    assert device_ids(store, bridged) == ["EAS1", "EAS8"]
    with store.bookkeeping() as writer:
        assert [(one.source, one.device_key) for one in mdm_work.claim(writer, 60, 10)] == [("ws1", "7")]


@pytest.mark.usefixtures("left")
def test_workmail_s_are_the_bridge_s_to_take_away(bridged, store):
    add_workmail(bridged)
    write_at_workmail(store, "EAS8")
    ran = bridged.run("mdm", "retire", "old", "--yes")
    assert ran.code == 0
    assert "   to be taken away at workmail: 1 ALLOW\n" in ran.out
    assert "1 at workmail are taken away by the bridge, which has to run" in ran.out
    with store.bookkeeping() as writer:
        assert [(one.source, one.device_key) for one in mdm_work.claim(writer, 60, 10)] == [
            ("target:workmail", "old/8")
        ]
    told = bridged.run("mdm", "status").out
    assert "source old is not configured any more and has 1 ALLOW at workmail" in told
    assert "it was retired: a bridge takes them away as soon as it can" in told
    (one,) = bridged.run("mdm", "status", "--json").json["left"]
    assert (one["source"], one["target"], one["allow"], one["deny"], one["to_do"]) == ("old", "workmail", 1, 0, None)


@pytest.mark.usefixtures("left")
def test_a_workmail_that_is_no_target_keeps_them_and_that_is_said(bridged, store):
    write_at_workmail(store, "EAS8")
    ran = bridged.run("mdm", "retire", "old", "--yes")
    assert ran.code == 12
    assert "   left at workmail, to which no bridge delivers: 1 ALLOW\n" in ran.out
    assert "1 stay at workmail, to which no bridge delivers" in ran.out
    (one,) = bridged.run("mdm", "status", "--json").json["left"]
    assert one["to_do"].endswith("then gatepost mdm retire old")
    add_workmail(bridged)
    assert bridged.run("mdm", "retire", "old", "--yes", "--json").json == NOTHING | {"delivered": 1}


@pytest.mark.usefixtures("left")
def test_without_any_source_here_goes_and_there_stays(bridged, installation, store):
    write_at_workmail(store, "EAS8")
    text = bridged.config.read_text()
    bridged.config.write_text(text[: text.index("[[mdm.sources]]")])
    add_workmail(bridged)
    assert bridged.run("mdm", "retire", "old", "--yes", "--json").json["unreachable"] == 1
    assert device_ids(store, installation) == ["EAS1"]


@pytest.mark.usefixtures("left")
def test_what_was_left_alone_is_said(bridged, store):
    with store.bookkeeping() as writer:
        (first,), (second,) = (mdm_applied.of_device(writer, "old", key) for key in "89")
        mdm_applied.put(writer, replace(first, description="not this"))
        mdm_applied.put(writer, replace(second, theirs_since=datetime.now(UTC)))
    ran = bridged.run("mdm", "retire", "old", "--yes")
    assert "taken away in this store: none\n" in ran.out
    assert "1 were edited by somebody, and are left alone\n" in ran.out
    assert "1 had been left to people before, and stay so\n" in ran.out
    assert len(device_ids(store, bridged)) == 3


def test_a_source_without_overrides_is_forgotten(bridged, store):
    with store.bookkeeping() as writer:
        mdm_sources.change(writer, "old")
    ran = bridged.run("mdm", "retire", "old", "--yes")
    assert (ran.code, "   it has no overrides\n" in ran.out) == (0, True)
    with store.read() as reader:
        assert mdm_sources.list(reader) == ()


@pytest.mark.usefixtures("left")
def test_long_work_says_how_far_it_is(bridged, monkeypatch):
    monkeypatch.setattr(mdm_retire, "_TELL_SECONDS", 0.0)
    ran = bridged.run("mdm", "retire", "old", "--yes")
    assert ran.err.splitlines() == [
        "2 overrides seen to, 0 devices forgotten",
        "2 overrides seen to, 2 devices forgotten",
    ]

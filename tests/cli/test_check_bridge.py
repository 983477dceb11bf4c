from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from tests.support.bridge_settings import seen
from tests.support.postures import a_posture
from tests.support.workmail import CONFIGURATION, WorkMailInMemory, refused

from gatepost.cli import check_bridge, check_workmail
from gatepost.cli.check_bridge import able_to_write, heard_from
from gatepost.cli.mdm_left import Left
from gatepost.mdm.configuration import BridgeConfiguration
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.model import Notification
from gatepost.settings import bridge_configuration, load
from gatepost.store import mdm_devices, mdm_inbox, mdm_sources, mdm_work

NOW = datetime.now(UTC)
WELL = {"alive_at": NOW, "answered_at": NOW, "sweep_finished_at": NOW}


@pytest.fixture
def bridge(bridged):
    return bridge_configuration(load(bridged.config, {}).mdm)


@pytest.fixture
def workmail(monkeypatch):
    """Amazon WorkMail, and the bridge with it as a second target."""
    memory = WorkMailInMemory()
    monkeypatch.setattr(check_workmail, "WorkMailTarget", partial(WorkMailTarget, client=memory))
    return memory


def told(store, **changes):
    """Moments are those of `NOW`, which was when the tests were collected, carried on to the present."""
    since = datetime.now(UTC) - NOW
    said = {name: one + since if isinstance(one, datetime) else one for name, one in (WELL | changes).items()}
    with store.bookkeeping() as writer:
        mdm_sources.change(writer, "ws1", **said)


def park(store, source, device_key, error):
    with store.bookkeeping() as writer:
        mdm_work.dirty(writer, source, device_key)
    with store.bookkeeping() as writer:
        (claim,) = mdm_work.claim(writer, 60, sources=[source])
        mdm_work.park(writer, claim, error)


def heard(store, bridge, organization_id="m-any"):
    with store.read() as reader:
        return heard_from(reader, bridge, organization_id)


def known(store, *, hours):
    """A device that was taken up so long ago."""
    with store.bookkeeping() as writer:
        mdm_devices.put(writer, a_posture(observed_at=writer.now - timedelta(hours=hours)))


def writes(store, bridge):
    with store.read() as reader:
        return able_to_write(reader, bridge)


def test_all_is_well(store, bridge, bridged):
    told(store)
    assert heard(store, bridge).met
    assert "ws1 has not sent a notification yet" in heard(store, bridge).says
    with store.bookkeeping() as writer:
        mdm_inbox.receive(writer, Notification("ws1", "n", None, b"{}", NOW))
    assert "ws1 sent a notification at 20" in heard(store, bridge).says
    assert writes(store, bridge).met
    ran = bridged.run("check", "--json")
    assert [one["met"] for one in ran.json[0]["requirements"]] == [False, False, True, True]


def test_no_source(store):
    found = heard(store, BridgeConfiguration(()))
    assert (found.met, found.says) == (False, "no source is configured for it")
    assert writes(store, BridgeConfiguration(())).says == "no bridge is configured here"


def test_a_bridge_elsewhere_has_a_key(store, bridged):
    assert bridged.run("keys", "create", "--role", "bridge").code == 0
    assert "(access keys with the role bridge, for one elsewhere: 1)" in writes(store, BridgeConfiguration(())).says


def test_a_source_of_another_organization(store, bridge):
    told(store)
    (source,) = bridge.sources
    other = replace(bridge, sources=(replace(source, organization_id="m-other"),))
    assert not heard(store, other).met
    assert heard(store, other, "m-other").met


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"answered_at": None}, "no answer yet"),
        ({"sweep_finished_at": None}, "no sweep that ended yet"),
        ({"sweep_finished_at": NOW - timedelta(hours=13)}, "no sweep that ended since"),
        ({"answered_at": NOW - timedelta(hours=13), "failures": 2, "last_error": "503"}, ": 503"),
        ({"closed_until": NOW + timedelta(hours=1), "failures": 9, "last_error": "401"}, "not asked until"),
    ],
)
def test_a_source_that_is_silent(store, bridge, changes, says):
    told(store, **changes)
    found = heard(store, bridge)
    assert (found.met, says in found.says) == (False, True)
    assert found.to_do == ("gatepost mdm status", "gatepost mdm reconcile --dry-run --source ws1")


@pytest.mark.parametrize("alive_at", [None, NOW - timedelta(minutes=2)])
def test_no_bridge_is_alive(store, bridge, alive_at):
    told(store, alive_at=alive_at)
    found = writes(store, bridge)
    assert (found.met, found.says) == (False, "no bridge has been alive within 60 s for ws1")
    assert found.to_do == ("gatepost serve, or gatepost serve --role mdm",)


def test_a_bridge_that_does_not_get_on(store, bridge):
    told(store, guard="7 of 10", guard_since=NOW)
    with store.bookkeeping() as writer:
        mdm_work.dirty(writer, "ws1", "1", due=NOW - timedelta(hours=1))
    found = writes(store, bridge)
    assert not found.met
    assert "devices wait to be looked at since" in found.says
    assert "mass changes of ws1 are held back: 7 of 10" in found.says
    assert len(found.to_do) == 2


def test_devices_of_a_source_that_are_parked(store, bridge):
    told(store)
    for number, error in enumerate(("403", "502", "403", "no such user: `bob@example.com`")):
        park(store, "ws1", str(number), error)
    park(store, "old", "9", "404")
    found = writes(store, bridge)
    assert (found.met, found.says) == (False, "3 devices of ws1 are parked: 403")
    assert found.to_do == ("gatepost mdm parked list --source ws1, then gatepost mdm parked retry --source ws1",)


def test_parked_because_the_mdm_says_somebody_who_is_nobody_here(store, bridge):
    told(store)
    for number in range(2):
        park(store, "ws1", str(number), "no such user: `bob@example.com`")
    found = writes(store, bridge)
    assert found.met
    assert found.says.endswith("nobody here has the address that the MDM says: 2 (gatepost mdm parked list)")


def test_what_waits_for_nobody_who_is_configured_is_not_late(store, bridge, workmail):
    told(store)
    both = replace(bridge, workmail=CONFIGURATION)
    long_ago = NOW - timedelta(hours=1)
    with store.bookkeeping() as writer:
        for source in ("old", "sweep:old", "target:workmail"):
            mdm_work.dirty(writer, source, "1", due=long_ago)
    assert writes(store, bridge).met
    assert "devices wait to be looked at" in writes(store, both).says
    with store.bookkeeping() as writer:
        mdm_work.dirty(writer, "sweep:ws1", "all", due=long_ago)
    assert "devices wait to be looked at" in writes(store, bridge).says


def test_a_source_that_should_send_notifications_and_never_did(store, bridge, bridged):
    told(store)
    known(store, hours=13)
    found = heard(store, bridge)
    assert (found.met, found.says) == (
        False, "ws1: has never sent a notification, as far as they are kept (14 days)",
    )  # fmt: skip
    (advice,) = found.to_do
    assert "https://<gatepost>/mdm/ws1" in advice
    (source,) = bridge.sources
    assert heard(store, replace(bridge, sources=(replace(source, credentials=()),))).met
    assert heard(store, replace(bridge, sources=(replace(source, sweep_hours=7.0),))).met, "it had no time to"
    told(store, answered_at=None)
    assert heard(store, bridge).says.startswith("ws1: no answer yet; ws1: has never sent")
    told(store)
    with store.bookkeeping() as writer:
        mdm_inbox.receive(writer, Notification("ws1", "n", "7", b"{}", NOW))
    assert heard(store, bridge).met


def test_a_source_whose_devices_are_new_is_given_time(store, bridge):
    told(store)
    known(store, hours=11)
    assert heard(store, bridge).met
    assert "ws1 has not sent a notification yet" in heard(store, bridge).says


LEFT = "source old is not configured any more and has 1 ALLOW at store"


@pytest.mark.parametrize(
    ("well", "configured", "also"),
    [
        (True, True, ""),
        (False, True, "no bridge has been alive within 60 s for ws1; "),
        (True, False, "no bridge is configured here; "),
    ],
)
def test_a_source_that_was_taken_out_and_left_something(store, bridge, bridged, well, configured, also):
    told(store, **({} if well else {"alive_at": None}))
    seen(store, "8", source="old", device_ids=("EAS8",))
    found = writes(store, bridge if configured else BridgeConfiguration(()))
    assert (found.met, found.says) == (False, also + LEFT)
    assert found.to_do[-1] == "gatepost mdm retire old"
    assert bridged.run("mdm", "retire", "old", "--yes").code == 0
    assert LEFT not in writes(store, bridge).says
    assert writes(store, bridge).met == well


def test_what_a_bridge_is_about_to_take_away_is_no_finding(store, bridge, monkeypatch):
    monkeypatch.setattr(check_bridge, "left", lambda *_: [Left("old", "workmail", 1, 0, None)])
    told(store)
    assert writes(store, bridge).met


def test_what_does_not_reach_workmail(store, bridge, workmail):
    told(store)
    both = replace(bridge, workmail=CONFIGURATION)
    assert writes(store, both).says == "a bridge is alive, keeps up, and writes to store, workmail"
    park(store, "target:workmail", "ws1/1", "AccessDenied")
    assert writes(store, bridge).met
    workmail.errors.append(refused("AccessDeniedException"))
    found = writes(store, both)
    assert "1 devices could not be brought to Amazon WorkMail: AccessDenied" in found.says
    assert "does not let the bridge write: ListMobileDeviceAccessOverrides: it answered AccessDenied" in found.says
    assert found.to_do[0] == "gatepost mdm parked retry --source target:workmail"

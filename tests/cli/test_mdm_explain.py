from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.support.bridge_settings import seen

from gatepost.model import Managed
from gatepost.operations import mobile_device_access_overrides, mobile_device_access_rules
from gatepost.store import mdm_applied, mdm_work


@pytest.fixture
def store(bridged):
    opened = bridged.store()
    mobile_device_access_rules.create(
        bridged.context(opened), organization_id=bridged.organization_id, name="DefaultDenyAll", effect="DENY"
    )
    yield opened
    opened.close()


def explain(bridged, *more):
    return bridged.run("mdm", "explain", "alice@example.com", "eas1", *more)


def test_from_the_mdm_to_what_is_in_force(bridged, store):
    seen(store, friendly_name="Alice's iPhone")
    ran = explain(bridged)
    assert ran.code == 0
    lines = ran.out
    assert lines.startswith("ALLOW  MobileDeviceAccessOverride  alice@example.com, device EAS1\n")
    for line in (
        "ws1, device 7 `Alice's iPhone`: managed yes, compliant",
        "users alice@example.com\n",
        "→ ALLOW: compliant",
        ": compliant (device 7 of ws1)",
        "store: ALLOW until 20",
        "the bridge's ALLOW until 20",
    ):
        assert line in lines
    found = explain(bridged, "--json").json
    assert (found["effect"], found["verdict"]["effect"], found["written"][0]["target"]) == ("ALLOW", "ALLOW", "store")
    assert found["overrides"][0]["owner"] == "bridge"


def test_a_device_that_is_unknown(bridged, store):
    ran = explain(bridged)
    assert ran.code == 10
    assert "no device with this DeviceId is known" in ran.out
    assert "nothing: no device of an MDM has, or had, both this user and this DeviceId" in ran.out
    assert "none: the rules decide" in ran.out
    assert explain(bridged, "--json").json["verdict"] is None


def test_what_the_device_had_formerly(bridged, store):
    seen(store)
    seen(store, managed=Managed.NO, device_ids=())
    ran = explain(bridged)
    assert ran.code == 10
    assert "DeviceIds none; formerly EAS1" in ran.out
    assert "DENY: no-longer-bound" in ran.out


def test_a_person_s_decision_and_one_that_was_edited(bridged, store):
    seen(store)
    ask = {"organization_id": bridged.organization_id, "user_id": "alice@example.com", "device_id": "EAS1"}
    mobile_device_access_overrides.put(bridged.context(store), **ask, effect="DENY", description="lost")
    with store.bookkeeping() as writer:
        (applied,) = mdm_applied.page(writer, "store", None, 10)
        mdm_applied.put(writer, replace(applied, theirs_since=datetime.now(UTC)))
        mdm_work.dirty(writer, "ws1", "7")
    with store.bookkeeping() as writer:
        (claim,) = mdm_work.claim(writer, 60)
    with store.bookkeeping() as writer:
        mdm_work.park(writer, claim, "no such user")
    ran = explain(bridged)
    assert ran.code == 10
    for line in ("a person's DENY: lost", "left alone until `gatepost mdm release`", "device 7 of ws1: no such user"):
        assert line in ran.out


def test_an_override_whose_time_is_up_is_not_in_force(bridged, store):
    ask = {"organization_id": bridged.organization_id, "user_id": "alice@example.com", "device_id": "EAS1"}
    context = bridged.context(store)
    mobile_device_access_overrides.put(context, **ask, effect="ALLOW", expires=context.now())
    ran = explain(bridged)
    assert ran.code == 10
    assert "none: the rules decide" in ran.out


def test_somebody_who_is_not_there(bridged, store):
    assert bridged.run("mdm", "explain", "nobody@elsewhere.example", "EAS1").code == 5

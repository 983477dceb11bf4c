import pytest
from tests.support.bridge_settings import add_workspace_one, seen
from tests.support.workspace_one import TwinThread

from gatepost.operations import mobile_device_access_overrides
from gatepost.store import mdm_devices


@pytest.fixture
def twin():
    thread = TwinThread()
    yield thread
    thread.stop()


@pytest.fixture
def store(installation, twin):
    add_workspace_one(installation.config, twin.url, twin.twin.login)
    opened = installation.store()
    yield opened
    opened.close()


def preview(installation, *more):
    ran = installation.run("mdm", "reconcile", "--dry-run", "--json", *more)
    assert ran.code == 0, ran.err
    return ran.json


def overrides(installation):
    return installation.run("override", "list", "--json").json


def test_what_would_be_written_is_shown_and_not_written(installation, store, twin):
    number = twin.do(lambda one: one.enroll("alice@example.com", "EAS1")).number
    assert preview(installation)["changes"] == []  # not checked yet: nothing is kept or given
    twin.do(lambda one: one.comply(number))
    shown = preview(installation)
    (change,) = shown["changes"]
    assert (change["before"], change["after"], change["reason"]) == (None, "ALLOW", "compliant")
    assert (change["user"], change["device_id"], change["device_key"]) == ("alice@example.com", "EAS1", str(number))
    assert (shown["asked"], shown["missing"], shown["unanswered"]) == (1, 0, [])
    ran = installation.run("mdm", "reconcile", "--dry-run", "--device", str(number), "--source", "ws1")
    assert "nothing  ALLOW" in ran.out
    with store.read() as reader:
        assert mdm_devices.count(reader) == 0
    assert overrides(installation) == []


def test_what_is_right_is_not_shown_and_what_is_wrong_is(installation, store, twin):
    number = twin.do(lambda one: one.enroll("alice@example.com", "EAS1")).number
    twin.do(lambda one: one.comply(number))
    seen(store, str(number))
    assert preview(installation)["changes"] == []
    twin.do(lambda one: one.jailbreak(number))
    (change,) = preview(installation)["changes"]
    assert (change["before"], change["after"], change["reason"]) == ("ALLOW", None, "compromised")
    assert [one["effect"] for one in overrides(installation)] == ["ALLOW"]


def test_a_device_that_is_not_there_is_gone(installation, store):
    seen(store, "10001")
    seen(store, "10002", device_ids=("EAS2",), compromised=True)
    shown = preview(installation)
    (change,) = shown["changes"]
    assert (change["before"], change["after"], change["reason"]) == ("ALLOW", None, "gone")
    assert (change["user"], change["device_id"], change["device_key"]) == ("alice@example.com", "EAS1", "10001")
    assert (shown["asked"], shown["missing"]) == (2, 2)
    with store.read() as reader:
        assert not mdm_devices.known(reader, "ws1", "10001").posture.gone
    assert [one["effect"] for one in overrides(installation)] == ["ALLOW"]


def test_what_the_guard_holds_when_every_device_is_missing(installation, store):
    for number in range(120):
        seen(store, str(20000 + number), device_ids=(f"EAS{number}",))
    shown = preview(installation, "--source", "ws1")
    assert {(one["before"], one["after"], one["reason"]) for one in shown["changes"]} == {("ALLOW", None, "gone")}
    assert len({one["device_id"] for one in shown["changes"]}) == len(shown["changes"]) == 120


def test_two_records_of_one_phone_are_one_change(installation, store):
    seen(store, "10001")
    seen(store, "10002")
    shown = preview(installation)
    assert [one["device_id"] for one in shown["changes"]] == ["EAS1"]
    assert shown["missing"] == 2


def test_a_device_that_nobody_has_heard_of_and_that_is_not_there(installation, store):
    shown = preview(installation, "--source", "ws1", "--device", "10009")
    assert (shown["changes"], shown["asked"], shown["missing"]) == ([], 1, 1)


def test_what_a_person_decided_is_shown_as_theirs(installation, store, twin):
    number = twin.do(lambda one: one.enroll("alice@example.com", "EAS1")).number
    twin.do(lambda one: one.comply(number))
    ask = {"organization_id": installation.organization_id, "user_id": "alice@example.com", "device_id": "EAS1"}
    mobile_device_access_overrides.put(installation.context(store), **ask, effect="DENY")
    (change,) = preview(installation)["changes"]
    assert change["conflict"] == "overruled by a person"

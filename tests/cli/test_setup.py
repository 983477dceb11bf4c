import sys
from datetime import UTC, datetime

import pytest

from gatepost.model import Device, DeviceFacts, enrolled_user_id
from gatepost.operations import access_control_rules, mobile_device_access_rules
from gatepost.store import devices

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def context(installation):
    store = installation.store()
    yield installation.context(store)
    store.close()


def names(context, organization_id):
    ask = {"organization_id": organization_id}
    return (
        {one.name for one in access_control_rules.list(context, **ask)},
        {one.name for one in mobile_device_access_rules.list(context, **ask)},
    )


def test_direct_mode_is_set_up_once(installation, context):
    ran = installation.run("setup", "direct-mode", "--inside", "198.51.100.0/24", "--yes")
    assert (ran.code, ran.err) == (0, "done\n")
    assert "make the access control rule `ActiveSyncOnly`: DENY, not actions: ActiveSync, AutoDiscover; not ip ranges: 198.51.100.0/24" in ran.out  # fmt: skip
    assert "make the mobile device access rule `DefaultDenyAll`: DENY, without conditions" in ran.out
    assert names(context, installation.organization_id) == (
        {"default", "ActiveSyncOnly"},
        {"Default", "DefaultDenyAll"},
    )
    again = installation.run("setup", "direct-mode", "--inside", "198.51.100.0/24")
    assert (again.code, "nothing to do" in again.out) == (0, True)
    wider = installation.run("setup", "direct-mode", "--yes")
    assert "replace the access control rule `ActiveSyncOnly`" in wider.out
    assert "which was: DENY, not ip ranges: 198.51.100.0/24; not actions: ActiveSync, AutoDiscover" in wider.out
    assert len(access_control_rules.list(context, organization_id=installation.organization_id)) == 2


def test_nothing_is_made_unasked(installation, context, monkeypatch):
    ran = installation.run("setup", "direct-mode")
    assert (ran.code, "say --yes" in ran.err) == (2, True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_args, **_more: False)
    ran = installation.run("setup", "direct-mode")
    assert (ran.code, ran.err) == (1, "gatepost: nothing was changed\n")
    assert names(context, installation.organization_id) == ({"default"}, {"Default"})
    monkeypatch.setattr("typer.confirm", lambda *_args, **_more: True)
    assert installation.run("setup", "direct-mode").code == 0
    assert "DefaultDenyAll" in names(context, installation.organization_id)[1]


def test_phones_that_will_be_cut_off_are_counted(installation, context):
    phone = Device(
        installation.organization_id,
        enrolled_user_id(installation.organization_id, "alice@example.com"),
        "PHONE1",
        "iPhone",
        None,
        "14.1",
        None,
        NOW,
        NOW,
        DeviceFacts(),
    )
    with context.store.begin() as transaction:
        devices.save(transaction, [phone])
    ran = installation.run("setup", "direct-mode")
    assert "phones that are let in at present and then will be refused: 1 (gatepost devices list)" in ran.out


def test_a_rule_in_the_way_is_said(installation, context):
    access_control_rules.put(
        context, organization_id=installation.organization_id, name="No", effect="DENY", description="", actions=["ActiveSync"]
    )  # fmt: skip
    ran = installation.run("setup", "direct-mode", "--yes")
    assert (ran.code, "look for the rule that denies ActiveSync" in ran.err) == (12, True)


def test_ten_rules_are_enough(installation, context):
    for number in range(9):
        mobile_device_access_rules.create(
            context, organization_id=installation.organization_id, name=str(number), effect="ALLOW"
        )
    ran = installation.run("setup", "direct-mode", "--yes")
    assert (ran.code, "as many rules already as WorkMail allows (10)" in ran.err) == (1, True)


def test_proxy_mode(installation):
    ran = installation.run("setup", "proxy-mode", "--proxy", "203.0.113.0/28", "--yes")
    assert (ran.code, "`ActiveSyncFromProxyOnly`: DENY, actions: ActiveSync; not ip ranges: 203.0.113.0/28" in ran.out) == (
        0, True,
    )  # fmt: skip
    assert installation.run("check", "--proxy", "203.0.113.0/28").code == 0
    assert installation.run("setup", "proxy-mode", "--yes").code == 2

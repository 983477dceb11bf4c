import shlex

import pytest
from tests.support.cli import run

from gatepost.cli import check
from gatepost.cli.check_findings import Finding
from gatepost.model import Directory
from gatepost.operations import access_control_rules, mobile_device_access_rules, organizations


@pytest.fixture
def context(installation):
    store = installation.store()
    yield installation.context(store)
    store.close()


def close(context, organization_id):
    access_control_rules.put(
        context, organization_id=organization_id, name="Only", effect="DENY", description="", not_actions=["ActiveSync"]
    )
    mobile_device_access_rules.create(context, organization_id=organization_id, name="All", effect="DENY")


def requirements(ran, number=0):
    return {one["requirement"]: one for one in ran.json[number]["requirements"]}


def test_what_a_new_organization_lacks_is_said_with_what_to_do(installation):
    ran = installation.run("check")
    assert ran.code == 12
    assert "EWS, IMAP, SMTP, WindowsOutlook, WebMail open from everywhere, by `default`" in ran.out
    assert "a device that says nothing of itself is let in by `Default`" in ran.out
    assert f"--organization-id {installation.organization_id} --name DefaultDenyAll --effect DENY" in ran.out
    found = requirements(installation.run("check", "--json"))
    assert not found["ActiveSync is the only way in from outside"]["met"]
    command = shlex.split(found["ActiveSync is the only way in from outside"]["to_do"][0])
    assert command[:5] == ["aws", "--endpoint-url", "http://127.0.0.1:8081", "workmail", "put-access-control-rule"]
    assert command[-3:] == ["--not-actions", "ActiveSync", "AutoDiscover"]


def test_the_rules_are_met(installation, context):
    close(context, installation.organization_id)
    found = requirements(installation.run("check", "--json"))
    assert found["ActiveSync is the only way in from outside"]["met"]
    assert found["an unknown device is denied"]["met"]


def test_a_network_of_one_s_own_is_not_outside(installation, context):
    ask = {"organization_id": installation.organization_id, "description": ""}
    access_control_rules.put(context, **ask, name="Only", effect="DENY", not_actions=["ActiveSync"], not_ip_ranges=["198.51.100.0/24"])  # fmt: skip
    name = "ActiveSync is the only way in from outside"
    found = requirements(installation.run("check", "--json"))[name]
    assert not found["met"]
    assert "open from 198.51.100.0/24, by `default`" in found["says"]
    assert requirements(installation.run("check", "--inside", "198.51.100.0/24", "--json"))[name]["met"]


def test_phones_that_a_rule_keeps_out_are_said(installation, context):
    ask = {"organization_id": installation.organization_id, "description": ""}
    access_control_rules.put(context, **ask, name="No", effect="DENY", actions=["ActiveSync"])
    ran = installation.run("check")
    assert "ActiveSync itself is closed, so no phone comes in" in ran.out
    assert "look for the rule that denies ActiveSync: aws " in ran.out


def test_a_device_that_may_still_say_something_is_named(installation, context):
    organization_id = installation.organization_id
    (default,) = mobile_device_access_rules.list(context, organization_id=organization_id)
    mobile_device_access_rules.delete(context, organization_id=organization_id, mobile_device_access_rule_id=default.rule_id)  # fmt: skip
    mobile_device_access_rules.create(
        context,
        organization_id=organization_id,
        name="one",
        effect="ALLOW",
        device_types=["iPhone"],
        device_models=["X"],
    )
    assert "a device of type `iphone` is let in if its DeviceModel is right" in installation.run("check").out


def test_proxy_mode(installation, context):
    ask = {"organization_id": installation.organization_id, "description": ""}
    ran = installation.run("check", "--proxy", "203.0.113.0/28")
    assert (ran.code, "proxy mode" in ran.out, "ActiveSync open from everywhere, by `default`" in ran.out) == (
        12, True, True,
    )  # fmt: skip
    access_control_rules.put(context, **ask, name="P", effect="DENY", actions=["ActiveSync"], not_ip_ranges=["203.0.113.0/28"])  # fmt: skip
    assert installation.run("check", "--proxy", "203.0.113.0/28").code == 0
    ran = installation.run("check", "--proxy", "203.0.113.0/28", "--proxy", "198.51.100.1/32", "--json")
    assert ran.code == 12
    assert "closed from 198.51.100.1/32, which is the proxy" in ran.json[0]["requirements"][0]["says"]


def test_each_organization_is_checked(installation, context):
    other = organizations.create(context, alias="other", domains=["other.example"], directory=Directory.CLOSED)
    close(context, other)
    ran = installation.run("check", "--json")
    assert (ran.code, {one["organization_id"] for one in ran.json}) == (12, {other, installation.organization_id})
    one = installation.run("check", "--json", "--proxy", "0.0.0.0/0", "--proxy", "::/0", "--organization-id", other)
    assert (one.code, [entry["organization_id"] for entry in one.json]) == (0, [other])
    assert installation.run("check", "--organization-id", "m-none").code == 5


def test_what_the_bridge_can_write_is_asked_once_for_all(installation, context, monkeypatch):
    organizations.create(context, alias="other", domains=["other.example"], directory=Directory.CLOSED)
    asked = []

    def able_to_write(*given):
        asked.append(given)
        return Finding("the bridge writes what follows", True, "it does")

    monkeypatch.setattr(check, "able_to_write", able_to_write)
    ran = installation.run("check", "--json")
    assert all(requirements(ran, number)["the bridge writes what follows"]["met"] for number in (0, 1))
    assert len(asked) == 1


@pytest.mark.parametrize("option", ["--inside", "--proxy"])
def test_what_is_no_network_is_refused(installation, option):
    ran = installation.run("check", option, "198.51.100.1/24")
    assert (ran.code, f"{option}: expected a network such as 192.0.2.0/24" in ran.err) == (2, True)


def test_without_settings(tmp_path):
    assert run("check", "--config", tmp_path / "none.toml").code == 3

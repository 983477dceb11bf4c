from dataclasses import replace
from typing import ClassVar

import pytest
from tests.support.bridge_settings import add_workspace_one, seen
from tests.support.workspace_one import twin_login

from gatepost.cli import mdm_compare
from gatepost.mdm.targets.base import Present
from gatepost.mdm.targets.workmail import Listed, TargetUnavailable
from gatepost.model import Effect, Role
from gatepost.operations import aliases, mobile_device_access_overrides, organizations, registrations, users


class WorkMail:
    """An organization of Amazon WorkMail with one user, `there` what stands in it."""

    there: ClassVar[list[Listed]] = []
    addresses = ("alice@example.com", "al@example.com")
    error: Exception | None = None

    def __init__(self, configuration, instance):
        self.organization_id = configuration.organization_id

    async def list(self):
        if self.error is not None:
            raise self.error
        for one in self.there:
            yield one

    async def user_of(self, address):
        return "S-1-1" if address in self.addresses else None


@pytest.fixture
def workmail(bridged, monkeypatch):
    with bridged.config.open("a") as file:
        file.write(f"""
[[mdm.targets]]
kind = "store"
[[mdm.targets]]
kind = "workmail"
organization_id = "m-{"0" * 32}"
region = "eu-west-1"
""")
    fake = type("Fake", (WorkMail,), {"there": []})
    monkeypatch.setattr(mdm_compare, "WorkMailTarget", fake)
    return fake


def compare(bridged, code=0):
    ran = bridged.run("mdm", "compare", "--json")
    assert ran.code == code, ran.err
    return ran.json


def stands(effect, *, owned=True, user="S-1-1", device="EAS1"):
    return Listed(user, device, Present(effect, None, None, owned))


def as_bridge(bridged, store):
    return replace(bridged.context(store), role=Role.BRIDGE)


def test_this_store_alone(bridged, store):
    seen(store)
    assert compare(bridged) == []
    seen(store, "8", device_ids=("EAS2",), written=False)
    (found,) = compare(bridged, 12)
    assert (found["user"], found["device_id"], found["wanted"], found["store"]) == (
        "alice@example.com", "EAS2", "ALLOW", None,
    )  # fmt: skip
    assert "nothing" in bridged.run("mdm", "compare").out
    ask = {"organization_id": bridged.organization_id, "user_id": "alice@example.com", "device_id": "EAS1"}
    mobile_device_access_overrides.put(bridged.context(store), **ask, effect="DENY")
    assert [one["store"] for one in compare(bridged, 12)] == ["DENY, a person's", None]


def test_both_side_by_side(bridged, store, workmail):
    seen(store)
    workmail.there = [stands(Effect.ALLOW), stands(Effect.DENY, user="S-1-9")]
    assert compare(bridged) == []
    workmail.there = []
    (found,) = compare(bridged, 12)
    assert (found["wanted"], found["store"], found["workmail"]) == ("ALLOW", "ALLOW", None)
    workmail.there = [stands(Effect.DENY, owned=False)]
    assert [one["workmail"] for one in compare(bridged, 12)] == ["DENY, a person's"]


def test_who_is_nobody_there_is_missed_only_where_he_should_read_mail(bridged, store, workmail):
    seen(store, user_addresses=("bob@example.com",))
    assert [one["workmail"] for one in compare(bridged, 12)] == ["no such user"]
    seen(store, user_addresses=("bob@example.com",), compromised=True)
    assert compare(bridged) == []


def test_a_user_is_one_whatever_address_of_hers_the_mdm_has(bridged, store, workmail):
    seen(store)
    context = bridged.context(store)
    (alice,) = users.list(context, organization_id=bridged.organization_id).items
    aliases.create(context, organization_id=bridged.organization_id, entity_id=alice.user_id, alias="al@example.com")
    seen(store, user_addresses=("al@example.com",), written=False)
    workmail.there = [stands(Effect.ALLOW)]
    assert compare(bridged) == []
    workmail.there = []
    (found,) = compare(bridged, 12)
    assert (found["user"], found["wanted"], found["store"], found["workmail"]) == (
        "al@example.com",
        "ALLOW",
        "ALLOW",
        None,
    )


def test_targets_that_know_other_addresses_are_compared_each_by_its_own(bridged, store, workmail):
    seen(store, user_addresses=("a.smith@example.com", "alice@example.com"), written=False)
    ask = {"organization_id": bridged.organization_id, "device_id": "EAS1", "effect": "ALLOW"}
    mobile_device_access_overrides.put(as_bridge(bridged, store), user_id="alice@example.com", **ask)
    mobile_device_access_overrides.put(as_bridge(bridged, store), user_id="a.smith@example.com", **ask)
    workmail.there = [stands(Effect.ALLOW)]  # of alice; nobody there has the other address
    assert compare(bridged) == []
    workmail.there = []
    (found,) = compare(bridged, 12)
    assert (found["user"], found["wanted"], found["store"], found["workmail"]) == (
        "alice@example.com",
        "ALLOW",
        "ALLOW",
        None,
    )
    workmail.addresses = ()
    (found,) = compare(bridged, 12)
    assert (found["user"], found["workmail"]) == ("a.smith@example.com", "no such user")


def test_a_target_that_has_no_such_pair_is_left_out(bridged, store, workmail):
    seen(store, user_addresses=("alice@example.com", "bob@example.com"))
    workmail.there = [stands(Effect.ALLOW)]
    users_ask = {"organization_id": bridged.organization_id, "user_id": "bob@example.com", "device_id": "EAS1"}
    mobile_device_access_overrides.put(bridged.context(store), **users_ask, effect="DENY")
    (found,) = compare(bridged, 12)
    assert (found["user"], found["store"], "workmail" in found) == ("bob@example.com", "DENY, a person's", False)
    assert "DENY, a person's            compliant" in bridged.run("mdm", "compare").out


def test_each_source_s_users_are_those_of_its_organization(bridged, store):
    context = bridged.context(store)
    other = organizations.create(context, alias="other", domains=["other.example"])
    user_id = users.create(context, organization_id=other, name="bob@corp.example", display_name="Bob")
    registrations.register_to_work_mail(context, organization_id=other, entity_id=user_id, email="bob@other.example")
    add_workspace_one(
        bridged.config, "http://127.0.0.1:9", twin_login(), name="ws2", more=f'organization_id = "{other}"'
    )
    seen(store)
    seen(store, "8", source="ws2", user_addresses=("bob@corp.example",), device_ids=("EAS2",), written=False)
    ask = {"organization_id": other, "user_id": user_id, "device_id": "EAS2", "effect": "ALLOW"}
    mobile_device_access_overrides.put(as_bridge(bridged, store), **ask)
    assert compare(bridged) == []


def test_the_bridge_s_denial_counts_where_that_is_set(bridged, store, monkeypatch):
    monkeypatch.setenv("GATEPOST_MDM__WRITE_DENY", "true")
    seen(store, compromised=True)
    ask = {"organization_id": bridged.organization_id, "user_id": "alice@example.com", "device_id": "EAS1"}
    users.enroll(bridged.context(store), bridged.organization_id, "alice@example.com")
    mobile_device_access_overrides.put(as_bridge(bridged, store), **ask, effect="DENY")
    mobile_device_access_overrides.put(bridged.context(store), **ask, effect="ALLOW")
    assert [one["store"] for one in compare(bridged, 12)] == ["ALLOW, a person's"]
    monkeypatch.setenv("GATEPOST_MDM__BRIDGE_DENY_WINS", "true")
    assert compare(bridged) == []


def test_workmail_does_not_answer(bridged, store, workmail):
    workmail.error = TargetUnavailable("it answered 503")
    ran = bridged.run("mdm", "compare")
    assert (ran.code, ran.err) == (1, "gatepost: Amazon WorkMail: it answered 503\n")

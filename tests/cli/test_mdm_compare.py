from typing import ClassVar

import pytest
from tests.support.bridge_settings import seen

from gatepost.cli import mdm_compare
from gatepost.mdm.targets.base import Present
from gatepost.mdm.targets.workmail import Listed, TargetUnavailable
from gatepost.model import Effect
from gatepost.operations import mobile_device_access_overrides


class WorkMail:
    """An organization of Amazon WorkMail with one user, `there` what stands in it."""

    there: ClassVar[list[Listed]] = []
    error: Exception | None = None

    def __init__(self, configuration, instance):
        self.organization_id = configuration.organization_id

    async def list(self):
        if self.error is not None:
            raise self.error
        for one in self.there:
            yield one

    async def user_of(self, address):
        return "S-1-1" if address == "alice@example.com" else None


@pytest.fixture
def store(bridged):
    opened = bridged.store()
    yield opened
    opened.close()


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


def test_workmail_does_not_answer(bridged, store, workmail):
    workmail.error = TargetUnavailable("it answered 503")
    ran = bridged.run("mdm", "compare")
    assert (ran.code, ran.err) == (1, "gatepost: Amazon WorkMail: it answered 503\n")

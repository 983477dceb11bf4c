from tests.support.mdm_world import posture

from gatepost.model import Compliance, Effect, Owner
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.store import mdm_applied, users


def test_what_a_person_decided_is_neither_changed_nor_taken_for_ours(desk, context, organization_id, clock):
    overrides.put(context, organization_id=organization_id, user_id="alice@example.com", device_id="AAA", effect="DENY")
    before = desk.overrides(organization_id, Owner.PERSON)
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    assert desk.effects(organization_id) == {"AAA": "ALLOW"}
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, compliance=Compliance.NON_COMPLIANT)
    desk.told("1")
    assert desk.overrides(organization_id) == {}
    assert desk.overrides(organization_id, Owner.PERSON) == before
    ((_, one),) = before.items()
    assert one.effect is Effect.DENY


def test_what_a_person_took_back_is_not_written_again(desk, context, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    overrides.delete(context, organization_id=organization_id, user_id="alice@example.com", device_id="AAA")
    desk.told("1")
    assert desk.overrides(organization_id) == {}
    with desk.store.read() as reader:
        user = users.find(reader, organization_id, "alice@example.com")
        assert mdm_applied.get(reader, "store", organization_id, user.user_id, "AAA").theirs_since is not None


def test_what_a_person_decided_for_a_while_that_is_over_is_no_conflict(desk, context, organization_id, clock):
    ask = {"organization_id": organization_id, "user_id": "alice@example.com", "device_id": "AAA", "effect": "DENY"}
    overrides.put(context, **ask, expires=clock())
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    assert desk.metrics.conflicts == {}
    overrides.put(context, **ask)
    desk.told("1")
    assert list(desk.metrics.conflicts.values()) == ["overruled"]

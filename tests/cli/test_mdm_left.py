from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.support.bridge_settings import seen

from gatepost.cli.mdm_left import Left, counted, left
from gatepost.mdm.configuration import BridgeConfiguration, WorkMailConfiguration
from gatepost.model import Effect
from gatepost.settings import bridge_configuration, load
from gatepost.store import mdm_applied, mdm_sources

WORKMAIL = WorkMailConfiguration("m-" + "0" * 32, "eu-west-1")


@pytest.fixture
def bridge(bridged):
    return bridge_configuration(load(bridged.config, {}).mdm)


def written(store, *device_ids, **changes):
    """What was written for `ws1` and is remembered so; more of it, one for each DeviceId."""
    with store.bookkeeping() as writer:
        first = mdm_applied.page(writer, "store", None, 1)[0]
        for device_id in device_ids:
            mdm_applied.put(writer, replace(first, device_id=device_id, **changes))


def found(store, bridge):
    with store.read() as reader:
        return left(reader, bridge)


def test_what_a_source_left_that_is_not_configured(store, bridge):
    seen(store)
    seen(store, "8", source="old", device_ids=("EAS8",))
    written(store, "EAS9", source="old", effect=Effect.DENY)
    assert found(store, bridge) == [Left("old", "store", 1, 1, "gatepost mdm retire old")]
    assert found(store, bridge)[0].says == "source old is not configured any more and has 1 ALLOW, 1 DENY at store"
    assert [one.source for one in found(store, BridgeConfiguration(()))] == ["old", "ws1"]


def test_what_people_have_taken_over_is_not_left(store, bridge):
    seen(store)
    written(store, "EAS8", source="old", theirs_since=datetime.now(UTC))
    assert found(store, bridge) == []


def test_what_is_shared_counts_together_with_the_rest(store, bridge):
    seen(store)
    written(store, "EAS1", "EAS8", source="old")
    assert [(one.allow, one.deny) for one in found(store, bridge)] == [(2, 0)]


@pytest.mark.parametrize(
    ("retired", "configured", "to_do"),
    [
        (False, True, "gatepost mdm retire old"),
        (True, True, None),
        (False, False, "configure the target workmail again, with a source, or take them away there; then gatepost mdm retire old"),
    ],
)  # fmt: skip
def test_at_workmail(store, bridge, retired, configured, to_do):
    seen(store)
    there = {"target": "workmail", "organization_id": WORKMAIL.organization_id}
    written(store, "EAS8", source="old", **there)
    if not retired:
        with store.bookkeeping() as writer:
            mdm_sources.change(writer, "old")
    with_workmail = replace(bridge, workmail=WORKMAIL if configured else None)
    assert found(store, with_workmail) == [Left("old", "workmail", 1, 0, to_do)]


def test_an_organization_of_workmail_that_is_not_the_target_s_any_more(store, bridge):
    seen(store)
    written(store, "EAS8", source="old", target="workmail", organization_id="m-" + "1" * 32)
    (one,) = found(store, replace(bridge, workmail=WORKMAIL))
    assert one.to_do.startswith("configure the target workmail again")


def test_without_a_source_no_bridge_delivers(store):
    seen(store)
    written(store, "EAS8", target="workmail", organization_id=WORKMAIL.organization_id)
    there = [one for one in found(store, BridgeConfiguration((), True, WORKMAIL)) if one.target == "workmail"]
    assert there[0].to_do.startswith("configure the target workmail again")


@pytest.mark.parametrize(
    ("allow", "deny", "said"), [(2, 1, "2 ALLOW, 1 DENY"), (2, 0, "2 ALLOW"), (0, 1, "1 DENY"), (0, 0, "none")]
)
def test_so_many_of_each(allow, deny, said):
    assert counted(allow, deny) == said

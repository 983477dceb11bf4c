from datetime import UTC, datetime

import pytest
from tests.support.bridge_settings import seen

from gatepost.store import mdm_sources, mdm_work


def claimed(store):
    with store.bookkeeping() as writer:
        return sorted((one.source, one.device_key, one.urgent) for one in mdm_work.claim(writer, 60, 100))


def test_a_sweep_is_asked_for(bridged, store):
    ran = bridged.run("mdm", "reconcile")
    assert (ran.code, "asked for a sweep of ws1" in ran.out) == (0, True)
    assert claimed(store) == [("sweep:ws1", "all", True)]


def test_one_device_is_asked_for_by_its_key_or_by_its_device_id(bridged, store):
    seen(store, written=False)
    for device in ("7", "eas1"):
        assert bridged.run("mdm", "reconcile", "--device", device, "--json").json == {"asked_for": [["ws1", "7"]]}
    assert claimed(store) == [("ws1", "7", True)]
    ran = bridged.run("mdm", "reconcile", "--device", "8")
    assert (ran.code, "with --source it is asked for all the same" in ran.err) == (5, True)
    assert bridged.run("mdm", "reconcile", "--device", "8", "--source", "ws1").code == 0
    assert claimed(store) == [("ws1", "8", True)]


def test_mass_changes_are_confirmed(bridged, store):
    ran = bridged.run("mdm", "reconcile", "--confirm")
    assert (ran.code, "nothing is held back at ws1" in ran.err) == (5, True)
    with store.bookkeeping() as writer:
        mdm_sources.change(writer, "ws1", guard="too many", guard_since=datetime.now(UTC))
    assert bridged.run("mdm", "reconcile", "--confirm").code == 0
    with store.read() as reader:
        state = mdm_sources.get(reader, "ws1")
    assert state.guard_confirmed_at >= state.guard_since
    assert claimed(store) == [("sweep:ws1", "all", True)]


@pytest.mark.parametrize("other", [["--dry-run"], ["--device", "7"]])
def test_confirm_stands_alone(bridged, other):
    assert bridged.run("mdm", "reconcile", "--confirm", *other).code == 2


def test_a_preview_of_what_does_not_answer(bridged, store):
    seen(store)
    ran = bridged.run("mdm", "reconcile", "--dry-run")
    assert ran.code == 1
    assert "no answer: ws1: " in ran.err
    assert ran.out == "nothing would change\n"
    assert claimed(store) == []

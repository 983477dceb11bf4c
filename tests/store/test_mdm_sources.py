"""How sources are doing: what is set stays, and the rest with it."""

from tests.support.postures import NOON, minutes

from gatepost.model import SourceState
from gatepost.store import mdm_sources


def test_a_source_that_was_never_heard_of_is_as_new(store):
    with store.read() as reader:
        assert mdm_sources.get(reader, "ws1") == SourceState("ws1")
        assert mdm_sources.list(reader) == ()


def test_what_is_not_given_stays(store):
    with store.bookkeeping() as writer:
        assert mdm_sources.change(writer, "ws1", answered_at=NOON, failures=2) == SourceState("ws1", NOON, failures=2)
        assert mdm_sources.change(writer, "ws1") == SourceState("ws1", NOON, failures=2)
    with store.bookkeeping() as writer:
        changed = mdm_sources.change(writer, "ws1", listed=5000, quota_remaining=10**12, failures=0)
    assert changed == SourceState("ws1", NOON, listed=5000, quota_remaining=10**12)
    with store.read() as reader:
        assert mdm_sources.get(reader, "ws1") == changed


def test_what_is_over_is_taken_back(store):
    with store.bookkeeping() as writer:
        mdm_sources.change(writer, "ws1", guard="31 of 90 devices would lose access", guard_since=minutes(1))
        assert mdm_sources.change(writer, "ws1", guard=None, guard_since=None) == SourceState("ws1")


def test_sources_by_name(store):
    with store.bookkeeping() as writer:
        for source in ("ws1", "Fleet", "fleet"):
            mdm_sources.change(writer, source)
        assert [state.source for state in mdm_sources.list(writer)] == ["Fleet", "fleet", "ws1"]

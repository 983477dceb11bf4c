"""What the mass-change guard has counted."""

from gatepost.store import mdm_looks


def test_looks_are_counted_for_each_source_and_cleared(store):
    with store.bookkeeping() as writer:
        assert mdm_looks.counts(writer, "ws1") == (0, 0)
        mdm_looks.put(writer, "ws1", {"7": True, "8": False})
        mdm_looks.put(writer, "fleet", {"7": True})
        mdm_looks.put(writer, "ws1", {})
    with store.bookkeeping() as writer:
        mdm_looks.put(writer, "ws1", {"8": True, "9": False})
        assert mdm_looks.counts(writer, "ws1") == (3, 2)
        assert mdm_looks.of(writer, "ws1", ["7", "9", "10"]) == {"7": True, "9": False}
        mdm_looks.clear(writer, "ws1")
    with store.read() as reader:
        assert mdm_looks.counts(reader, "ws1") == (0, 0)
        assert mdm_looks.counts(reader, "fleet") == (1, 1)

"""What a source left behind that is not configured any more, and how it is forgotten."""

from collections import Counter

import pytest
from sqlalchemy import func, select
from tests.store.mdm import a_notification, an_applied_override
from tests.store.nouns import NOON
from tests.support.postures import a_posture

from gatepost.model import Effect
from gatepost.store import mdm_applied, mdm_devices, mdm_inbox, mdm_retirement, mdm_schema, mdm_sources, mdm_work
from gatepost.store.mdm_retirement import LeftBehind

ORGANIZATION = an_applied_override().organization_id
TABLES = ("mdm_devices", "mdm_bindings", "mdm_notifications", "mdm_work", "mdm_sources")


def put(store, *applied):
    with store.bookkeeping() as writer:
        for one in applied:
            mdm_applied.put(writer, one)


def counts(store):
    """{table: {source: rows}}."""
    found = {}
    with store.read() as reader:
        for name in TABLES:
            table = getattr(mdm_schema, name)
            rows = reader.connection.execute(select(table.c.source, func.count()).group_by(table.c.source))
            found[name] = dict(rows.all())
    return found


def known(store, source, *device_ids, key="7"):
    with store.bookkeeping() as writer:
        mdm_devices.put(writer, a_posture(key, source=source, device_ids=device_ids))


def test_what_was_left_is_counted_by_effect_and_by_whether_others_share_it(store):
    known(store, "fleet", "EAS2")
    known(store, "gone", "EAS3")
    with store.bookkeeping() as writer:
        mdm_devices.put(writer, a_posture("8", source="fleet", device_ids=(), user_addresses=("1234",)))
    put(
        store,
        an_applied_override(device_id="1234"),
        an_applied_override(device_id="EAS2"),
        an_applied_override(device_id="EAS3"),
        an_applied_override(device_id="EAS4", effect=Effect.DENY, target="workmail"),
        an_applied_override(device_id="EAS5", theirs_since=NOON),
        an_applied_override(device_id="EAS6", source="fleet"),
    )
    with store.read() as reader:
        assert mdm_retirement.left_behind(reader, ["fleet"]) == [
            LeftBehind("ws1", "local", ORGANIZATION, Effect.ALLOW, False, 2),
            LeftBehind("ws1", "local", ORGANIZATION, Effect.ALLOW, True, 1),
            LeftBehind("ws1", "workmail", ORGANIZATION, Effect.DENY, False, 1),
        ]
        assert mdm_retirement.left_behind(reader, ["fleet", "ws1"]) == []
        everything = mdm_retirement.left_behind(reader, [])
    assert Counter(one.source for one in everything) == {"fleet": 1, "ws1": 2}, "nobody shares anything with nobody"


def test_what_was_written_comes_in_pages(store):
    all_ = [an_applied_override(target=target, device_id=device) for target in ("a", "b") for device in ("X", "Y")]
    put(store, *reversed(all_), an_applied_override(source="fleet", device_id="Z"))
    with store.read() as reader:
        first = mdm_retirement.written(reader, "ws1", None, 3)
        last = first[-1]
        after = (last.target, last.organization_id, last.user_id, last.device_id)
        assert first + mdm_retirement.written(reader, "ws1", after, 3) == all_


def test_who_shares_a_device_id(store):
    known(store, "fleet", "EAS1", "EAS2")
    known(store, "fleet", "EAS2", key="8")
    known(store, "ws1", "EAS1")
    with store.bookkeeping() as writer:
        mdm_devices.put(writer, a_posture("9", source="fleet", device_ids=(), user_addresses=("1234",)))
    with store.read() as reader:
        assert mdm_retirement.sharing(reader, {"EAS1", "EAS2", "EAS3", "1234"}, ["fleet"]) == {
            "EAS1": [("fleet", "7")],
            "EAS2": [("fleet", "7"), ("fleet", "8")],
        }
        assert mdm_retirement.sharing(reader, {"EAS1"}, []) == {}


def test_what_was_written_is_handed_over_only_while_it_is_the_devices(store):
    mine, other = an_applied_override(), an_applied_override(target="workmail")
    put(store, mine, other)
    with store.bookkeeping() as writer:
        assert mdm_retirement.hand_over(writer, mine, ("fleet", "9"))
        assert not mdm_retirement.hand_over(writer, mine, ("fleet", "10"))
        (handed,) = mdm_applied.of_device(writer, "fleet", "9")
        assert mdm_applied.of_device(writer, "ws1", "7") == [other]
    assert (handed.target, handed.device_id, handed.effect) == ("local", mine.device_id, mine.effect)


@pytest.mark.parametrize(
    "what",
    [
        lambda writer: mdm_applied.put(writer, an_applied_override(theirs_since=NOON)),
        lambda writer: mdm_devices.put(writer, a_posture()),
        lambda writer: mdm_inbox.receive(writer, a_notification(device_key=None)),
        lambda writer: mdm_work.dirty(writer, "ws1", "7"),
        lambda writer: mdm_work.dirty(writer, "sweep:ws1", "all"),
        lambda writer: mdm_sources.change(writer, "ws1"),
    ],
)
def test_a_source_is_known_by_anything_of_it(store, what):
    with store.bookkeeping() as writer:
        assert not mdm_retirement.is_known(writer, "ws1", ("sweep:ws1",))
        what(writer)
        assert mdm_retirement.is_known(writer, "ws1", ("sweep:ws1",))
        assert not mdm_retirement.is_known(writer, "fleet", ("sweep:fleet",))


def test_all_of_a_source_is_forgotten_a_part_at_a_time_and_nothing_of_another(store):
    for source in ("ws1", "fleet"):
        for number in "123":
            known(store, source, f"EAS{number}", key=number)
            with store.bookkeeping() as writer:
                mdm_inbox.receive(writer, a_notification(f"n{number}", number, source=source))
        with store.bookkeeping() as writer:
            mdm_work.dirty(writer, f"sweep:{source}", "all")
            mdm_sources.change(writer, source, failures=1)
    put(store, an_applied_override())
    forgotten: list[dict[str, int]] = []
    while not forgotten or any(forgotten[-1].values()):
        assert counts(store)["mdm_sources"] == {"ws1": 1, "fleet": 1}, "which goes last"
        with store.bookkeeping() as writer:
            forgotten.append(mdm_retirement.forget(writer, "ws1", ("sweep:ws1",), 2))
    assert all(count <= 2 for one in forgotten for count in one.values())
    assert sum(one["mdm_devices"] for one in forgotten) == 3
    assert counts(store) == {
        "mdm_devices": {"fleet": 3},
        "mdm_bindings": {"fleet": 6},
        "mdm_notifications": {"fleet": 3},
        "mdm_work": {"fleet": 3, "sweep:fleet": 1},
        "mdm_sources": {"fleet": 1},
    }
    with store.read() as reader:
        assert len(mdm_applied.of_device(reader, "ws1", "7")) == 1, "what was written is another's business"


def test_deliveries_of_nothing_are_forgotten(store):
    put(
        store,
        an_applied_override(target="workmail"),
        an_applied_override(target="workmail", source="ws", device_id="X"),
    )
    keys = ["ws1/7", "ws1/8", "ws1/ws1/7", "ws/9", "ws11/8"]
    with store.bookkeeping() as writer:
        mdm_work.dirty_many(writer, [("target:workmail", key) for key in keys])
        assert mdm_retirement.forget_deliveries(writer, "ws1", "workmail", "target:workmail") == 2
        left = {one.device_key for one in mdm_work.claim(writer, 60, 10)}
    assert left == {"ws1/7", "ws/9", "ws11/8"}

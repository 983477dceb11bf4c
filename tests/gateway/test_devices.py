"""What a device is reaches the store in batches, once, and nothing that waits here is lost or overwritten."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from tests.support.gateway import rig, run

from gatepost.gateway import devices as module
from gatepost.gateway.devices import Devices
from gatepost.gateway.identify import Identity
from gatepost.gateway.limits import Limits
from gatepost.model import Device, DeviceFacts, Directory, enrolled_user_id
from gatepost.operations import devices as operations
from gatepost.operations import organizations, users
from gatepost.operations.context import Context
from gatepost.store import devices as rows
from gatepost.store import feed
from gatepost.store.database import Store, StoreUnavailable
from gatepost.wire.eas.request import parse_query

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
T = NOON.timestamp()
HERE = ip_address("192.0.2.7")
NEW = DeviceFacts(reported=True, operating_system="iOS 18.1")
OLD = DeviceFacts(reported=True, operating_system="iOS 16.1")


def eas(device_id="PHONE1", device_type="iPhone", version="14.1"):
    return parse_query(
        f"Cmd=Sync&User=a&DeviceId={device_id}&DeviceType={device_type}".encode(), version.encode(), None
    )


class House:
    """Devices on a real store with one open organization."""

    def __init__(self):
        self.store = Store.open("sqlite://", create=True, now=lambda: NOON)
        self.context = Context(self.store, lambda: NOON, "test")
        self.organization_id = organizations.create(
            self.context, alias="example", domains=["example.com"], directory=Directory.OPEN
        )
        self.alice = users.enroll(self.context, self.organization_id, "alice@example.com").user_id
        self.devices = Devices(self.store, self.enroll)
        self.enrolled = []

    def enroll(self, organization_id, address):
        self.enrolled.append(address)
        return users.enroll(self.context, organization_id, address).user_id

    def identity(self, name="alice"):
        address = f"{name}@example.com"
        known = None if name == "alice" else address
        return Identity(self.organization_id, enrolled_user_id(self.organization_id, address), known)

    def seen(self, name="alice", *, at=T, agent="Apple-iPhone", address=HERE, **query):
        return self.devices.seen(self.identity(name), eas(**query), agent, address, at)

    def flush(self):
        """What `Gateway` does each second; returns how many rows were due."""
        batch = self.devices.take()
        dropped = self.devices.write(batch, [one.noun() for one in batch], [one.address for one in batch])
        self.devices.written(batch, dropped)
        return len(batch)

    def row(self, name="alice", device_id="PHONE1"):
        with self.store.read() as reader:
            return rows.get(reader, self.organization_id, self.identity(name).user_id, device_id)

    def revision(self):
        return feed.load(self.store).revision

    def noun(self, **changed):
        values = {
            "organization_id": self.organization_id,
            "user_id": self.alice,
            "device_id": "PHONE1",
            "device_type": "iPhone",
            "http_user_agent": "Apple-iPhone",
            "protocol_version": "14.1",
            "last_ip_address": None,
            "first_seen": NOON,
            "last_seen": NOON,
            "facts": DeviceFacts(),
        }
        return Device(**{**values, **changed})


@pytest.fixture
def house():
    made = House()
    yield made
    made.store.close()


def test_a_device_that_was_seen_is_written_as_it_is(house):
    state = house.seen()
    house.devices.report(state, NEW)
    assert house.flush() == 1
    assert house.row() == house.noun(last_ip_address="192.0.2.7", facts=NEW)
    assert len(house.devices) == 1
    assert house.devices.get(house.alice, "PHONE1") is state
    assert house.devices.get(house.alice, "OTHER") is None


def test_a_device_without_an_address(house):
    house.seen(address=None, agent=None)
    house.flush()
    assert (house.row().last_ip_address, house.row().http_user_agent) == (None, None)


def test_many_requests_are_one_row(house):
    before = house.revision()
    for second in range(50):
        house.seen(at=T + second / 100)
    assert house.flush() == 1
    assert house.revision() == before + 1
    assert house.row().last_seen == NOON + timedelta(seconds=0.49)


def test_last_seen_is_written_at_most_once_a_minute_and_moves_no_revision(house):
    house.seen()
    house.flush()
    before = house.revision()
    written = 0
    for second in range(1, 301):
        house.seen(at=T + second)
        written += house.flush()
    assert written == 4
    assert house.row().last_seen == NOON + timedelta(seconds=244)
    assert house.revision() == before


@pytest.mark.parametrize("new", [{"device_type": "iPad"}, {"version": "16.1"}, {"agent": "Apple-iPad"}])
def test_what_a_device_shows_is_written_at_the_next_flush(house, new):
    house.seen()
    house.flush()
    house.seen(at=T + 1, **new)
    assert house.flush() == 1
    row = house.row()
    assert (row.device_type, row.protocol_version, row.http_user_agent) == (
        new.get("device_type", "iPhone"),
        new.get("version", "14.1"),
        new.get("agent", "Apple-iPhone"),
    )
    assert house.flush() == 0


def test_a_report_is_written_once(house):
    state = house.seen()
    house.flush()
    house.devices.report(state, NEW)
    house.devices.report(state, NEW)
    assert house.flush() == 1
    house.devices.report(state, NEW)
    assert house.flush() == 0


def test_a_report_forgets_the_remembered_decision(house):
    state = house.seen()
    state.request = "a question about the old facts"
    house.devices.report(state, NEW)
    assert state.request is None


def test_a_report_survives_a_failed_write(house, monkeypatch):
    state = house.seen()
    house.flush()
    house.devices.report(state, NEW)
    batch = house.devices.take()
    with monkeypatch.context() as patch:

        def lost(*_):
            raise StoreUnavailable("away")

        patch.setattr(rows, "save", lost)
        with pytest.raises(StoreUnavailable):
            house.devices.write(batch, [one.noun() for one in batch], [None])
    house.devices.again(batch)
    # what another gateway knows of it does not undo what waits
    house.devices.learn(house.noun(facts=OLD))
    assert state.facts == NEW
    assert house.flush() == 1
    assert house.row().facts == NEW


def test_what_was_said_while_a_write_was_under_way_is_written_too(house):
    state = house.seen()
    batch = house.devices.take()
    nouns = [one.noun() for one in batch]
    house.devices.report(state, NEW)
    house.devices.written(batch, house.devices.write(batch, nouns, [None]))
    assert house.row().facts == DeviceFacts()
    assert house.flush() == 1
    assert house.row().facts == NEW


def test_a_batch_has_an_end(house, monkeypatch):
    monkeypatch.setattr(module, "_MOST_IN_A_BATCH", 3)
    for number in range(7):
        house.seen(device_id=f"PHONE{number}")
    assert [house.flush() for _ in range(4)] == [3, 3, 1, 0]


def test_a_device_that_says_something_else_each_second_is_written_now_and_then(house):
    clock = [100.0]
    house.devices._clock = lambda: clock[0]
    before = house.revision()
    for number in range(60):
        house.seen(agent=f"Agent/{number}", at=T + number)
        house.seen(device_id="PHONE2", at=T + number)
        house.flush()
        clock[0] += 1.0
    assert house.revision() - before == module._CHANGES_AT_ONCE + 1
    assert house.devices.get(house.alice, "PHONE1").http_user_agent == "Agent/59", "here it counts at once"
    assert house.row().http_user_agent == f"Agent/{module._CHANGES_AT_ONCE - 1}"
    clock[0] += module._CHANGE_SECONDS
    assert house.flush() == 1
    assert house.row().http_user_agent == "Agent/59"
    assert house.flush() == 0


def test_a_write_that_fails_costs_a_device_nothing(house):
    clock = [100.0]
    house.devices._clock = lambda: clock[0]
    house.seen()
    for _ in range(3 * module._CHANGES_AT_ONCE):
        house.devices.again(house.devices.take())
    assert house.flush() == 1


def test_a_user_is_taken_up_with_the_first_device_only(house):
    house.seen("carol")
    house.flush()
    house.seen("carol", at=T + 100)
    house.flush()
    assert house.enrolled == ["carol@example.com"]
    assert house.row("carol").user_id == enrolled_user_id(house.organization_id, "carol@example.com")


def test_a_user_who_turns_out_to_be_another_one_takes_the_state_along(house):
    state = house.seen("carol")
    # an administrator gave the address to a user of their own in the same second
    house.devices._enroll = lambda *_: "another-id"
    house.devices.report(state, NEW)
    house.flush()
    assert house.row("carol") is None
    assert len(house.devices) == 0
    assert house.devices.take() == []


def test_a_refused_enrollment_does_not_hold_up_the_others(house):
    organizations.delete(house.context, organization_id=house.organization_id, delete_directory=True, force_delete=True)
    house.seen("carol")
    house.seen("alice")
    assert house.flush() == 2
    assert house.row("alice") is not None
    assert house.row("carol") is None
    assert len(house.devices) == 1
    assert house.flush() == 0


def test_a_store_that_is_away_while_enrolling_keeps_the_batch(house):
    def away(*_):
        raise StoreUnavailable("away")

    house.devices._enroll = away
    house.seen("carol")
    batch = house.devices.take()
    with pytest.raises(StoreUnavailable):
        house.devices.write(batch, [one.noun() for one in batch], [one.address for one in batch])
    house.devices.again(batch)
    house.devices._enroll = house.enroll
    assert house.flush() == 1
    assert house.row("carol") is not None


def test_loading_makes_known_what_the_store_has(house):
    house.devices.load([house.noun(facts=NEW), house.noun(device_id="PHONE2")])
    assert len(house.devices) == 2
    state = house.devices.get(house.alice, "PHONE1")
    assert (state.facts, state.device_type, state.first_seen) == (NEW, "iPhone", T)
    house.seen(at=T + 30)
    assert house.flush() == 0, "nothing new, and its last_seen is less than a minute old"
    assert state.noun().first_seen == NOON


def test_what_another_gateway_heard_is_learned(house):
    state = house.seen()
    house.flush()
    state.request = "a question about the old facts"
    assert house.devices.learn(house.noun(facts=NEW)) is state
    assert (state.facts, state.request) == (NEW, None)
    state.request = "a question about the old user agent"
    house.devices.learn(house.noun(facts=NEW, http_user_agent="Other"))
    assert (state.http_user_agent, state.request) == ("Other", None)


def test_an_echo_of_the_own_flush_forgets_nothing(house):
    state = house.seen()
    house.flush()
    state.request = "a question"
    house.devices.learn(house.row())
    assert state.request == "a question"


def test_newer_facts_that_wait_here_are_not_overwritten(house):
    state = house.seen()
    house.flush()
    house.devices.report(state, NEW)
    house.devices.learn(house.noun(facts=OLD, device_type="iPad"))
    assert (state.facts, state.device_type) == (NEW, "iPhone")
    house.flush()
    assert house.row().facts == NEW


def test_an_echo_during_a_write_that_then_fails_loses_nothing(house):
    state = house.seen()
    house.flush()
    house.devices.report(state, NEW)
    batch = house.devices.take()
    house.devices.learn(house.noun(facts=OLD))  # the feed tells of an earlier write just now
    house.devices.again(batch)
    assert state.facts == NEW
    house.flush()
    assert house.row().facts == NEW
    house.devices.learn(house.noun(facts=OLD))
    assert state.facts == OLD


def test_a_forgotten_device_is_not_known_and_counts_no_more(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(devices_per_user=1)) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync", device_id="ONE")).body == b"upstream"
            assert b"177" in (await phone.post("FolderSync", device_id="TWO")).body
            await r.until(lambda: stored(r) != [])
            assert operations.forget(r.context, stored(r)) == 1
            await r.settled()
            assert len(r.gateway.devices) == 0
            assert (await phone.post("FolderSync", device_id="TWO")).body == b"upstream"
            await r.until(lambda: [one.device_id for one in stored(r)] == ["TWO"])

    run(story())


def stored(r):
    with r.store.read() as reader:
        return rows.page(reader, r.organization_id, None, 10)

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.store.mdm import next_due
from tests.support.mdm_world import Desk, MemorySource, posture

from gatepost.engine.posture import Policy
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import CONFIRM_GONE, Outcome, back_off
from gatepost.mdm.sources.base import SourceRefused, SourceUnavailable
from gatepost.model import Compliance, Directory, Effect, EntityState, Managed, Owner
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.operations import organizations, users
from gatepost.store import mdm_applied, mdm_devices, mdm_work
from gatepost.store import users as stored_users
from gatepost.store.database import UniqueViolation


def test_a_compliant_device_is_allowed_until_its_expiry(desk, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, friendly_name="Alice's\nphone")
    assert desk.told("1") == [Outcome.DONE]
    ((pair, override),) = desk.overrides(organization_id).items()
    assert override.effect is Effect.ALLOW
    assert override.expires == clock() + timedelta(hours=168)
    assert override.description == "compliant: device 1 of mdm, Alice's?phone"
    with desk.store.read() as reader:
        assert stored_users.get(reader, organization_id, pair[0]).email == "alice@example.com"
        written = mdm_applied.get(reader, "store", organization_id, *pair)
    assert (written.effect, written.expires) == (Effect.ALLOW, override.expires)


def test_a_device_that_stops_complying_loses_its_override(desk, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, compliance=Compliance.NON_COMPLIANT)
    desk.told("1")
    assert desk.overrides(organization_id) == {}
    with desk.store.read() as reader:
        assert mdm_applied.of_device(reader, "mdm", "1") == []


def test_with_write_deny_it_is_denied_in_so_many_words(moved_store, source, clock, organization_id):
    desk = Desk(moved_store, source, clock, BridgeOptions(policy=Policy(write_deny=True)))
    source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
    desk.told("1")
    ((_, override),) = desk.overrides(organization_id).items()
    assert (override.effect, override.expires) == (Effect.DENY, None)
    source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    assert desk.effects(organization_id) == {"AAA": "ALLOW"}


def test_nothing_is_written_when_nothing_differs(desk, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    with desk.store.begin() as transaction:
        revision = transaction.revision
    clock.forward(minutes=10)
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    with desk.store.begin() as transaction:
        assert transaction.revision == revision
    clock.forward(hours=8)
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    ((_, override),) = desk.overrides(organization_id).items()
    assert override.expires == clock() + timedelta(hours=168)


def test_an_allow_is_looked_at_again_before_it_ends(desk, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    with desk.store.read() as reader:
        assert next_due(reader) == clock() + timedelta(hours=168 - 7)
    clock.forward(hours=162)
    desk.work()
    with desk.store.read() as reader:
        assert next_due(reader) == clock() + timedelta(hours=6)
    clock.forward(hours=6)  # and the MDM has not heard of it since
    desk.work()
    assert desk.overrides(organization_id) == {}


def test_a_new_user_or_device_id_takes_the_old_ones_access(desk, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    desk.source.devices["1"] = posture("1", "BBB", clock=clock, user="bob@example.com")
    desk.told("1")
    assert desk.effects(organization_id) == {"BBB": "ALLOW"}
    ((user_id, _),) = desk.overrides(organization_id)
    with desk.store.read() as reader:
        assert stored_users.get(reader, organization_id, user_id).email == "bob@example.com"


def test_an_address_that_became_nobodys_takes_the_override_with_it(desk, organization_id, context, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    ((user_id, _),) = desk.overrides(organization_id)
    with desk.store.begin() as transaction:
        user = stored_users.get(transaction, organization_id, user_id)
        stored_users.put(transaction, replace(user, name="alicia", email="alicia@example.com"))
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, user="alice@elsewhere.example")
    desk.told("1")
    assert desk.overrides(organization_id) == {}


def test_a_user_who_is_not_enabled_gets_nothing_until_he_is(desk, organization_id, context, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    ((user_id, _),) = desk.overrides(organization_id)
    with desk.store.begin() as transaction:
        user = stored_users.get(transaction, organization_id, user_id)
        stored_users.put(transaction, replace(user, state=EntityState.DISABLED))
    desk.source.devices["1"] = posture("1", "AAA", "BBB", clock=clock)
    assert desk.told("1") == [Outcome.DONE]
    assert set(desk.effects(organization_id)) == {"AAA"}


def disable(desk, organization_id):
    ((user_id, _),) = desk.overrides(organization_id)
    with desk.store.begin() as transaction:
        user = stored_users.get(transaction, organization_id, user_id)
        stored_users.put(transaction, replace(user, state=EntityState.DISABLED))


def test_an_allow_of_somebody_disabled_does_not_wait_until_he_is_enabled_again(
    moved_store, source, clock, organization_id
):
    desk = Desk(moved_store, source, clock, BridgeOptions(policy=Policy(write_deny=True)))
    source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    disable(desk, organization_id)
    source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
    desk.told("1")
    assert desk.overrides(organization_id) == {}
    with moved_store.read() as reader:
        assert mdm_applied.of_device(reader, "mdm", "1") == []


@pytest.mark.parametrize("compliance", [Compliance.COMPLIANT, Compliance.UNKNOWN])
def test_an_allow_that_has_ended_and_cannot_be_renewed_is_not_looked_at_without_pause(
    desk, organization_id, clock, compliance
):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    disable(desk, organization_id)
    clock.forward(hours=169)
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, compliance=compliance)
    assert desk.told("1") == [Outcome.DONE]
    with desk.store.read() as reader:
        due = next_due(reader)
    assert due is None or due > clock()


def test_a_deleted_user_is_no_conflict(desk, organization_id, context, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    ((user_id, _),) = desk.overrides(organization_id)
    with desk.store.begin() as transaction:
        user = stored_users.get(transaction, organization_id, user_id)
        stored_users.put(transaction, replace(user, state=EntityState.DISABLED))
    users.delete(context, organization_id=organization_id, user_id=user_id)
    desk.told("1")
    assert dict(desk.metrics.conflicts) == {}
    with desk.store.read() as reader:
        assert mdm_applied.of_device(reader, "mdm", "1") == []


def test_a_stranger_is_parked_and_the_next_sweep_tries_again(moved_store, source, context, clock):
    closed = organizations.create(context, alias="closed", domains=["closed.example"], directory=Directory.CLOSED)
    desk = Desk(moved_store, source, clock, BridgeOptions())
    source.devices["1"] = posture("1", "AAA", clock=clock, user="carol@closed.example")
    assert desk.told("1") == [Outcome.PARKED]
    with desk.store.read() as reader:
        (parked,) = mdm_work.parked(reader)
    assert parked.last_error == "no such user: `carol@closed.example`"
    assert desk.overrides(closed) == {}
    desk.tell("1", urgent=False)
    assert desk.work() == [Outcome.PARKED]


def test_a_stranger_who_would_not_be_allowed_is_nothing(desk, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, user="x@elsewhere.example", compromised=True)
    assert desk.told("1") == [Outcome.DONE]


def test_the_configured_organization_comes_before_the_mail_domain(moved_store, source, context, organization_id, clock):
    other = organizations.create(context, alias="other", domains=["other.example"])
    users_id = users.create(context, organization_id=other, name="alice", display_name="Alice")
    with moved_store.begin() as transaction:
        user = stored_users.get(transaction, other, users_id)
        enabled = replace(user, state=EntityState.ENABLED, email="a@other.example", aliases=("alice@example.com",))
        stored_users.put(transaction, enabled)
    desk = Desk(moved_store, source, clock, BridgeOptions(organizations={"mdm": other}))
    source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    assert desk.effects(organization_id) == {}
    assert list(desk.overrides(other)) == [(users_id, "AAA")]


class TestGone:
    def test_a_device_that_was_told_of_and_has_no_record_is_out_at_once_and_gone_later(
        self, desk, organization_id, clock
    ):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        del desk.source.devices["1"]
        desk.told("1")
        assert desk.effects(organization_id) == {}
        with desk.store.read() as reader:
            assert not mdm_devices.known(reader, "mdm", "1").posture.gone
            assert next_due(reader) == clock() + CONFIRM_GONE
        clock.forward(minutes=2)
        desk.told("1")
        clock.forward(minutes=3)
        desk.work()
        with desk.store.read() as reader:
            assert mdm_devices.known(reader, "mdm", "1").posture.gone
            assert next_due(reader) is None

    def test_what_only_a_sweep_misses_is_asked_again_first(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        kept = desk.source.devices.pop("1")
        desk.tell("1", urgent=False)
        desk.work()
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}
        desk.source.devices["1"] = kept
        clock.forward(minutes=5)
        desk.work()
        del desk.source.devices["1"]
        desk.tell("1", urgent=False)
        desk.work()
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}  # the count began anew
        clock.forward(minutes=5)
        desk.work()
        assert desk.effects(organization_id) == {}

    def test_it_comes_back(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        kept = desk.source.devices.pop("1")
        desk.told("1")
        clock.forward(minutes=6)
        desk.work()
        desk.source.devices["1"] = replace(kept, state_time=clock())
        desk.told("1")
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}

    def test_a_device_that_was_never_known(self, desk, organization_id):
        assert desk.told("77") == [Outcome.DONE]
        with desk.store.read() as reader:
            assert next_due(reader) is None

    def test_an_override_whose_device_is_forgotten_is_taken_away(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        del desk.source.devices["1"]
        with desk.store.bookkeeping() as writer:
            mdm_devices.forget(writer, "mdm", "1")
        desk.told("1")
        assert desk.overrides(organization_id) == {}


class TestOwnership:
    def allowed(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        ((pair, _),) = desk.overrides(organization_id).items()
        return {"organization_id": organization_id, "user_id": pair[0], "device_id": pair[1]}

    def test_a_persons_override_stays_as_it_is_and_is_a_conflict(self, desk, organization_id, context, clock):
        pair = self.allowed(desk, organization_id, clock)
        overrides.put(context, **pair, effect="DENY", description="lost")
        before = desk.overrides(organization_id, Owner.PERSON)
        desk.told("1")
        assert {one.value for one in desk.metrics.conflicts.values()} == {"overruled"}
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
        desk.told("1")
        assert desk.overrides(organization_id, Owner.PERSON) == before
        assert dict(desk.metrics.conflicts) == {}
        assert desk.overrides(organization_id) == {}

    def test_what_a_person_takes_away_stays_away(self, desk, organization_id, context, clock):
        pair = self.allowed(desk, organization_id, clock)
        overrides.delete(context, **pair)
        for _ in range(3):
            desk.told("1")
            assert desk.overrides(organization_id) == {}
            clock.forward(days=3)
            desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        assert {one.value for one in desk.metrics.conflicts.values()} == {"deleted"}
        with desk.store.begin() as transaction:
            mdm_applied.delete(transaction, "store", *pair.values())  # released
        desk.told("1")
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}
        assert dict(desk.metrics.conflicts) == {}

    def test_what_somebody_edits_is_his(self, desk, organization_id, context, clock):
        pair = self.allowed(desk, organization_id, clock)
        bridge = replace(context, role=desk.settling._local._context.role)
        overrides.put(bridge, **pair, effect="ALLOW", description="mine")
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
        desk.told("1")
        desk.told("1")
        ((_, override),) = desk.overrides(organization_id).items()
        assert override.description == "mine"
        assert {one.value for one in desk.metrics.conflicts.values()} == {"edited"}

    def test_what_ended_on_time_is_written_anew(self, desk, organization_id, context, clock):
        self.allowed(desk, organization_id, clock)
        clock.forward(hours=169)
        overrides.expire(context)
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.work()
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}


class TestTenants:
    """Two MDMs, each with users of an organization of its own."""

    def test_one_has_no_say_about_the_phones_of_the_other(self, desk, context, organization_id, clock):
        other = organizations.create(context, alias="other", domains=["other.example"])
        second = MemorySource(clock, "second")
        desk.options = BridgeOptions(
            policy=Policy(write_deny=True), organizations={"mdm": organization_id, "second": other}
        )
        desk.more = (second,)
        desk.__post_init__()
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        mallory = {"user": "mallory@other.example", "compliance": Compliance.NON_COMPLIANT}
        second.devices["1"] = posture("1", "AAA", clock=clock, **mallory)
        for _ in range(3):
            for source in ("mdm", "second"):
                desk.tell("1", source=source)
                desk.work()
                assert desk.effects(organization_id) == {"AAA": "ALLOW"}
        assert desk.effects(other) == {"AAA": "DENY"}


class TestOtherNames:
    """Notifications that call a device by another key than its record has."""

    def test_a_device_that_was_deleted_is_known_by_it(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, other_key="uuid-1")
        desk.told("1")
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}
        del desk.source.devices["1"]
        desk.told("uuid-1")
        assert desk.effects(organization_id) == {}

    def test_and_so_is_one_whose_record_has_lost_it_first(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, other_key="uuid-1")
        desk.told("1")
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        del desk.source.devices["1"]
        desk.told("uuid-1")
        assert desk.effects(organization_id) == {}

    def test_nobodys_is_nothing(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, other_key="uuid-1")
        desk.told("1")
        desk.told("uuid-2")
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}


class TestFailures:
    def test_an_outage_changes_nothing_and_is_no_attempt(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        for _ in range(20):
            desk.source.errors.append(SourceUnavailable("it answered 503", retry_after=30))
            desk.tell("1")
            assert desk.work(1) == [Outcome.PUT_OFF]
            clock.forward(minutes=10)
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}
        assert desk.work() == [Outcome.DONE]

    def test_a_device_that_cannot_be_asked_about_is_parked(self, desk, clock):
        desk.source.errors.extend([SourceRefused("it answered 400")] * 12)
        desk.tell("1")
        outcomes = []
        for _ in range(12):
            outcomes += desk.work(1)
            clock.forward(minutes=6)
        assert outcomes == [Outcome.FAILED] * 11 + [Outcome.PARKED]
        with desk.store.read() as reader:
            assert [one.last_error for one in mdm_work.parked(reader)] == ["it answered 400"]

    def test_a_grace_that_is_over_ends_during_an_outage_too(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, compliance=Compliance.PENDING)
        desk.told("1")
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}
        clock.forward(minutes=60)
        desk.source.errors.append(SourceUnavailable("away"))
        assert desk.work(1) == [Outcome.FAILED]
        assert desk.effects(organization_id) == {}

    def test_an_outage_allows_nobody(self, moved_store, source, clock, organization_id):
        desk = Desk(moved_store, source, clock, BridgeOptions(policy=Policy(allow_after_seconds=60)))
        source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        clock.forward(minutes=2)
        source.errors.append(SourceUnavailable("away"))
        desk.work(1)
        assert desk.effects(organization_id) == {}
        clock.forward(minutes=1)
        desk.work()
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}

    @pytest.mark.parametrize("error", [RuntimeError("poison"), UniqueViolation("login", "alice", "somebody")])
    def test_one_that_cannot_be_handled_does_not_hold_up_the_others(
        self, desk, organization_id, clock, monkeypatch, error
    ):
        for key in ("1", "2", "3"):
            desk.source.devices[key] = posture(key, f"ID{key}", clock=clock)
            desk.tell(key)
        remembered = desk.settling._remembered

        def poisoned(turn, looked):
            if looked.claim.device_key == "2":
                raise error
            return remembered(turn, looked)

        monkeypatch.setattr(desk.settling, "_remembered", poisoned)
        assert desk.work(1) == [Outcome.DONE, Outcome.FAILED, Outcome.DONE]
        assert set(desk.effects(organization_id)) == {"ID1", "ID3"}

    def test_nor_one_that_cannot_be_written(self, desk, organization_id, clock, monkeypatch):
        for key in ("1", "2", "3"):
            desk.source.devices[key] = posture(key, f"ID{key}", clock=clock)
            desk.tell(key)
        keep = mdm_devices.keep

        def poisoned(writer, changes):
            keep(writer, changes)
            if any(now.posture.device_key == "2" for _, now in changes):
                raise RuntimeError("poison")

        monkeypatch.setattr(mdm_devices, "keep", poisoned)
        assert desk.work(1) == [Outcome.DONE, Outcome.FAILED, Outcome.DONE]
        assert set(desk.effects(organization_id)) == {"ID1", "ID3"}

    def test_back_off_grows_and_ends(self):
        assert all(0.2 <= back_off(1).total_seconds() <= 2 for _ in range(50))
        assert all(back_off(40).total_seconds() <= 300 for _ in range(50))

    def test_what_is_kept_for_a_while_ends_though_nobody_answers(self, desk, organization_id, clock):
        desk.options = BridgeOptions(policy=Policy(grace_minutes=60), park_after=2)
        desk.restart()
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.told("1")
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, compliance=Compliance.PENDING)
        desk.told("1")
        desk.source.errors.extend([SourceRefused("it answered 403")] * 9)
        desk.tell("1")
        outcomes = []
        for _ in range(5):
            clock.forward(minutes=6)
            outcomes += desk.work(1)
        assert outcomes == [Outcome.FAILED] * 2  # and not given up: what is to be looked at is not over
        assert desk.effects(organization_id) == {"AAA": "ALLOW"}
        clock.forward(minutes=31)
        assert desk.work(1) == [Outcome.PARKED]
        assert desk.effects(organization_id) == {}

    def test_what_was_parked_is_no_mass_change_when_it_is_tried_anew(self, desk, organization_id, clock):
        for number in range(20):
            key = str(number)
            desk.source.devices[key] = posture(key, f"ID{key}", user=f"u{key}@example.com", clock=clock)
            desk.tell(key)
        desk.work()
        desk.options = BridgeOptions(park_after=1)
        desk.restart()
        desk.source.errors.extend([SourceRefused("it answered 403")] * 20)
        for key in list(desk.source.devices):
            desk.tell(key)
        desk.work(1)
        desk.source.devices.clear()  # an empty tenant
        with desk.store.bookkeeping() as writer:
            assert mdm_work.retry(writer) == 20
        desk.work(1)
        clock.forward(seconds=CONFIRM_GONE.total_seconds())
        desk.work(1)
        assert len(desk.effects(organization_id)) >= 15


class TestFence:
    def test_who_lost_the_lease_writes_nothing(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.tell("1")
        (slow,) = desk.claim(lease=10)
        old = desk.look(slow)
        clock.forward(seconds=11)
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
        assert desk.work() == [Outcome.DONE]
        assert desk.settling.settle([old]) == [Outcome.LOST]
        assert desk.effects(organization_id) == {}

    def test_what_is_told_of_meanwhile_is_asked_again(self, desk, organization_id, clock):
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.tell("1")
        (claim,) = desk.claim()
        old = desk.look(claim)
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
        desk.tell("1")
        assert desk.settling.settle([old]) == [Outcome.DONE]
        desk.work()
        assert desk.effects(organization_id) == {}

    def test_a_device_with_another_key_is_handled_under_that_one(self, desk, organization_id, clock):
        desk.source.devices["uuid"] = desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        desk.tell("uuid")
        assert desk.work() == [Outcome.MOVED, Outcome.DONE]
        with desk.store.read() as reader:
            assert mdm_devices.known(reader, "mdm", "uuid") is None
            assert mdm_devices.known(reader, "mdm", "1") is not None


def test_two_sources_the_stricter_wins(moved_store, source, clock, organization_id):
    desk = Desk(moved_store, source, clock, BridgeOptions())
    other = desk.sources["other"] = MemorySource(clock, "other")
    desk.restart()
    source.devices["1"] = posture("1", "AAA", clock=clock)
    other.devices["x"] = posture("x", "AAA", clock=clock, compromised=True)
    desk.told("1")
    assert desk.effects(organization_id) == {"AAA": "ALLOW"}
    desk.tell("x", source="other")
    desk.work()
    assert desk.effects(organization_id) == {}
    desk.told("1")
    assert desk.effects(organization_id) == {}
    del desk.sources["other"]  # not configured any more: its word does not count
    desk.restart()
    desk.told("1")
    assert desk.effects(organization_id) == {"AAA": "ALLOW"}


def test_enrolled_without_a_device_id_is_asked_again_and_again(desk, clock):
    desk.source.devices["1"] = posture("1", clock=clock)
    desk.told("1")
    waits = []
    for _ in range(6):
        with desk.store.read() as reader:
            due = next_due(reader)
        if due is None:
            break
        waits.append((due - clock()).total_seconds())
        clock.moment = due
        desk.work()
    assert waits == [30, 60, 120, 300, 900]


def test_targets_that_are_elsewhere_are_told_by_rows_of_their_own(moved_store, source, clock, organization_id):
    desk = Desk(moved_store, source, clock, BridgeOptions(), remote=("workmail",))
    source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    with moved_store.bookkeeping() as writer:
        (claim,) = mdm_work.claim(writer, 60, sources=["target:workmail"])
    assert (claim.device_key, claim.urgent) == ("mdm/1", True)


@pytest.mark.parametrize(
    "fields", [{"managed": Managed.NO}, {"compromised": True}, {"compliance": Compliance.NON_COMPLIANT}]
)
def test_whatever_ends_access_ends_all_that_the_device_ever_had(desk, organization_id, clock, fields):
    desk.source.devices["1"] = posture("1", "AAA", "BBB", clock=clock)
    desk.told("1")
    assert set(desk.effects(organization_id)) == {"AAA", "BBB"}
    desk.source.devices["1"] = posture("1", clock=clock, user="", **fields)
    desk.told("1")
    assert desk.overrides(organization_id) == {}

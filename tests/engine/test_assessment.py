"""One device by one source: each line of the table, each setting, and what is remembered."""

from datetime import timedelta

import pytest
from tests.support.postures import NOON, a_posture, minutes

from gatepost.engine.assessment import (
    Expression,
    Policy,
    PostureReason,
    Verdict,
    assess,
    combine,
    dated,
    express,
    remember,
)
from gatepost.model import Compliance, Effect, Managed, Moments

ALLOW, DENY = Effect.ALLOW, Effect.DENY
POLICY = Policy(allow_hours=2, grace_minutes=30)

TABLE = [
    ({}, ALLOW, PostureReason.COMPLIANT),
    ({"compromised": None}, ALLOW, PostureReason.COMPLIANT),
    ({"state_time": None}, ALLOW, PostureReason.COMPLIANT),
    ({"compliance": Compliance.NON_COMPLIANT}, DENY, PostureReason.NON_COMPLIANT),
    ({"compliance": Compliance.NON_COMPLIANT, "managed": Managed.UNKNOWN}, DENY, PostureReason.NON_COMPLIANT),
    ({"compromised": True}, DENY, PostureReason.COMPROMISED),
    ({"compromised": True, "managed": Managed.UNKNOWN}, DENY, PostureReason.COMPROMISED),
    ({"managed": Managed.NO}, DENY, PostureReason.UNMANAGED),
    ({"gone": True}, DENY, PostureReason.GONE),
    ({"compliance": Compliance.NOT_AVAILABLE}, DENY, PostureReason.NOT_AVAILABLE),
    ({"compliance": Compliance.PENDING}, None, PostureReason.PENDING),
    ({"compliance": Compliance.UNKNOWN}, None, PostureReason.UNKNOWN),
    ({"managed": Managed.UNKNOWN}, None, PostureReason.UNKNOWN),
    ({"managed": Managed.UNKNOWN, "compliance": Compliance.PENDING}, None, PostureReason.UNKNOWN),
    ({"state_time": minutes(-120)}, DENY, PostureReason.STALE),
    ({"state_time": minutes(-120), "compliance": Compliance.UNKNOWN}, DENY, PostureReason.STALE),
    ({"state_time": minutes(-120), "compliance": Compliance.PENDING}, DENY, PostureReason.STALE),
    ({"compliance": Compliance.NON_COMPLIANT, "grace_until": minutes(10)}, None, PostureReason.GRACE),
    ({"compliance": Compliance.NON_COMPLIANT, "grace_until": NOON}, DENY, PostureReason.NON_COMPLIANT),
    (
        {"compliance": Compliance.NON_COMPLIANT, "grace_until": minutes(10), "compromised": True},
        DENY,
        PostureReason.COMPROMISED,
    ),
]


@pytest.mark.parametrize(("changes", "effect", "reason"), TABLE)
def test_the_table(changes, effect, reason):
    verdict = assess(a_posture(**changes), POLICY, NOON)
    assert (verdict.effect, verdict.reason, verdict.source, verdict.device_key) == (effect, reason, "ws1", "7")
    assert (verdict.expires is not None) == (effect is ALLOW)
    assert (verdict.look_again is not None) == (effect is not DENY)


def test_an_allow_ends_so_many_hours_after_the_mdm_heard_of_the_device():
    verdict = assess(a_posture(), POLICY, NOON)
    assert verdict.expires == verdict.look_again == minutes(119)
    assert assess(a_posture(), POLICY, minutes(118.9)).effect is ALLOW
    assert assess(a_posture(), POLICY, minutes(119)).reason is PostureReason.STALE


def test_a_clock_that_is_ahead_buys_no_time():
    assert dated(a_posture(state_time=minutes(600))) == NOON
    assert assess(a_posture(state_time=minutes(600)), POLICY, NOON).expires == minutes(120)
    ahead_of_us = a_posture(state_time=minutes(600), observed_at=minutes(600))
    assert assess(ahead_of_us, POLICY, NOON).expires == minutes(120)


def test_what_is_not_dated_is_as_old_as_the_question_unless_a_date_is_required():
    undated = a_posture(state_time=None, observed_at=minutes(-30))
    assert assess(undated, POLICY, NOON).expires == minutes(90)
    strict = Policy(require_state_time=True)
    assert assess(undated, strict, NOON).reason is PostureReason.STALE
    assert assess(a_posture(), strict, NOON).effect is ALLOW


def test_pending_keeps_what_is_for_the_grace_time_from_when_it_was_first_seen():
    pending = a_posture(compliance=Compliance.PENDING)
    since = Moments(pending_since=minutes(-20))
    assert assess(pending, POLICY, NOON, since) == Verdict(
        None, PostureReason.PENDING, look_again=minutes(10), source="ws1", device_key="7"
    )
    assert assess(pending, POLICY, minutes(10), since).reason is PostureReason.PENDING_TOO_LONG
    assert assess(pending, POLICY, minutes(10), since).effect is DENY
    assert assess(pending, POLICY, minutes(10)).look_again == minutes(30)  # first seen now
    short = Policy(allow_hours=1 / 60, grace_minutes=30)
    assert assess(a_posture(compliance=Compliance.PENDING, state_time=NOON), short, NOON).look_again == minutes(1)


def test_what_keeps_turns_nothing():
    pending = assess(a_posture(compliance=Compliance.PENDING), POLICY, NOON)
    assert [pending.after(present) for present in (ALLOW, DENY, None)] == [ALLOW, DENY, None]
    denied = assess(a_posture(gone=True), POLICY, NOON)
    assert [denied.after(present) for present in (ALLOW, DENY, None)] == [DENY, DENY, DENY]


def test_the_mdms_own_grace_counts_unless_the_operator_does_not_want_it():
    device = a_posture(compliance=Compliance.NON_COMPLIANT, grace_until=minutes(10))
    assert assess(device, POLICY, NOON).look_again == minutes(10)
    assert assess(device, Policy(honour_grace=False), NOON).reason is PostureReason.NON_COMPLIANT


def test_no_compliance_rules_can_count_as_compliant():
    device = a_posture(compliance=Compliance.NOT_AVAILABLE)
    verdict = assess(device, Policy(allow_not_available=True), NOON)
    assert (verdict.effect, verdict.reason) == (ALLOW, PostureReason.NOT_AVAILABLE_ALLOWED)


def test_allow_waits_until_compliance_has_lasted_and_deny_does_not_wait():
    damped = Policy(allow_after_seconds=60)
    settling = assess(a_posture(), damped, NOON, Moments(compliant_since=minutes(-0.5)))
    assert (settling.effect, settling.reason, settling.look_again) == (None, PostureReason.SETTLING, minutes(0.5))
    assert assess(a_posture(), damped, NOON, Moments(compliant_since=minutes(-1))).effect is ALLOW
    assert assess(a_posture(), damped, NOON).look_again == minutes(1)  # first seen now
    assert assess(a_posture(compliance=Compliance.NON_COMPLIANT), damped, NOON).effect is DENY


def test_moments_begin_once_and_end_with_another_state():
    def after(*changes):
        moments = None
        for number, change in enumerate(changes):
            moments = remember(moments, a_posture(observed_at=minutes(number), **change))
        return moments

    def managed(**since):
        return Moments(managed_since=NOON, **since)

    pending = {"compliance": Compliance.PENDING}
    assert after(pending) == after(pending, pending) == managed(pending_since=NOON)
    assert after({}, {}) == managed(compliant_since=NOON)
    assert after(pending, {}) == managed(compliant_since=minutes(1))
    assert after({}, pending) == managed(pending_since=minutes(1))
    assert after({}, {"compromised": True}, {}) == managed(compliant_since=minutes(2))
    left = managed(left_since=minutes(1))
    assert after(pending, {"gone": True}) == after(pending, {"managed": Managed.NO}) == left
    assert (
        after({}, {"managed": Managed.NO}, {"managed": Managed.UNKNOWN}, {"managed": Managed.NO, "gone": True}) == left
    )
    assert after({"managed": Managed.NO}) == Moments()  # it was never seen managed: nobody knows since when
    again = after({"managed": Managed.NO}, {})
    assert (again.managed_since, again.left_since) == (minutes(1), None)
    assert after({}, {"managed": Managed.UNKNOWN}).managed_since == NOON
    again = after({}, {"managed": Managed.NO}, {})
    assert (again.managed_since, again.left_since) == (minutes(2), None)
    assert after({"device_ids": ()}, {"device_ids": (), **pending}).without_ids_since == NOON
    assert after({"device_ids": ()}, {}).without_ids_since is None
    assert after({"device_ids": (), "managed": Managed.NO}).without_ids_since is None


@pytest.mark.parametrize("nothing", [{"compliance": Compliance.UNKNOWN}, {"managed": Managed.UNKNOWN}])
def test_an_answer_that_says_nothing_does_not_begin_the_grace_time_anew(nothing):
    pending = a_posture(compliance=Compliance.PENDING)
    first = remember(None, pending)
    between = remember(first, a_posture(observed_at=minutes(20), **nothing))
    assert remember(between, a_posture(compliance=Compliance.PENDING, observed_at=minutes(25))) == first
    assert remember(None, a_posture(**nothing)).pending_since is None


def verdicts():
    allow = assess(a_posture("a", source="a"), POLICY, NOON)
    sooner = assess(a_posture("b", source="b", state_time=minutes(-5)), POLICY, NOON)
    keep = assess(a_posture("c", compliance=Compliance.PENDING, source="c"), POLICY, NOON)
    deny = assess(a_posture("d", managed=Managed.NO, source="d"), POLICY, NOON)
    worse = assess(a_posture("e", compromised=True, source="e"), POLICY, NOON)
    return allow, sooner, keep, deny, worse


def test_the_most_restrictive_decides_in_any_order():
    allow, sooner, keep, deny, worse = verdicts()
    assert combine([allow]) == allow
    assert combine([allow, sooner]) == combine([sooner, allow]) == sooner
    kept = combine([allow, keep, sooner])
    assert (kept.effect, kept.source) == (None, "c")
    assert combine([allow, deny, keep]) == deny
    assert combine([deny, worse]) == combine([worse, deny]) == worse


def test_whoever_keeps_looks_again_when_the_first_of_them_can_change():
    _, sooner, keep, *_ = verdicts()
    late = Policy(allow_hours=200, grace_minutes=10_000)
    long_pending = assess(a_posture(compliance=Compliance.PENDING), late, NOON)
    assert combine([long_pending, sooner]).look_again == sooner.look_again < long_pending.look_again
    assert keep.look_again == NOON + timedelta(minutes=30)


def test_a_deny_is_written_or_is_that_there_is_nothing():
    allow, _, keep, deny, _ = verdicts()
    writes = Policy(write_deny=True)
    assert [express(one, POLICY) for one in (allow, keep, deny)] == [
        Expression.PUT_ALLOW,
        Expression.KEEP,
        Expression.REMOVE,
    ]
    assert [express(one, writes) for one in (allow, keep, deny)] == [
        Expression.PUT_ALLOW,
        Expression.KEEP,
        Expression.PUT_DENY,
    ]

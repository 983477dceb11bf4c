"""What MDMs say, for each user and DeviceId: examples, and what holds for whatever they say."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.postures import NOON, a_known_device, minutes

from gatepost.engine.assessment import dated
from gatepost.engine.posture import (
    Policy,
    PostureReason,
    ask_again,
    assess,
    mass_change,
    pairs_of,
    remember,
    shrunk,
    wanted,
)
from gatepost.model import Compliance, Effect, KnownDevice, Managed, Moments, Posture

ALLOW, DENY = Effect.ALLOW, Effect.DENY
POLICY = Policy(allow_hours=2)
ALICE, BOB = "alice@example.com", "bob@example.com"


def effects(*devices, **more):
    return {pair: verdict.effect for pair, verdict in wanted(devices, POLICY, NOON, **more).items()}


def reason(pair, *devices):
    return wanted(devices, POLICY, NOON)[pair].reason


def test_a_compliant_device_is_allowed_for_its_user_with_each_of_its_ids():
    assert effects(a_known_device()) == {(ALICE, "EAS1"): ALLOW}
    two = a_known_device(device_ids=("EAS1", "OUTLOOK2"))
    assert effects(two) == {(ALICE, "EAS1"): ALLOW, (ALICE, "OUTLOOK2"): ALLOW}
    assert effects(a_known_device(device_ids=())) == effects(a_known_device(user_addresses=())) == {}


def test_a_device_that_changed_hands_is_denied_to_whom_it_belonged():
    device = a_known_device(user_addresses=(BOB,), had_addresses=(ALICE,))
    assert effects(device) == {(BOB, "EAS1"): ALLOW, (ALICE, "EAS1"): DENY}
    assert reason((ALICE, "EAS1"), device) is PostureReason.NO_LONGER_BOUND


def test_a_former_device_id_is_denied():
    assert effects(a_known_device(had_device_ids=("EAS0",))) == {(ALICE, "EAS1"): ALLOW, (ALICE, "EAS0"): DENY}


@pytest.mark.parametrize("changes", [{"gone": True}, {"managed": Managed.NO}])
def test_a_device_whose_record_lost_everything_is_denied_all_that_it_had(changes):
    had = {"had_addresses": (ALICE, BOB), "had_device_ids": ("EAS0", "EAS1")}
    assert effects(a_known_device(user_addresses=(), device_ids=(), **had, **changes)) == {
        (user, device_id): DENY for user in (ALICE, BOB) for device_id in ("EAS0", "EAS1")
    }


def test_two_sources_that_disagree_are_taken_at_the_stricter_word():
    says_yes, says_no = (
        a_known_device(source="ws1"),
        a_known_device(source="fleet", compliance=Compliance.NON_COMPLIANT),
    )
    assert effects(says_yes, says_no) == {(ALICE, "EAS1"): DENY}
    gone = a_known_device(source="fleet", gone=True)
    assert effects(says_yes, gone) == {(ALICE, "EAS1"): DENY}  # nobody has seen that it came there after it had left


def test_a_device_that_its_mdm_recorded_anew_does_not_count_against_itself():
    again = a_known_device("8")
    assert effects(a_known_device("7", gone=True), again) == {(ALICE, "EAS1"): ALLOW}
    assert effects(a_known_device("7", managed=Managed.NO, state_time=minutes(-9)), again) == {(ALICE, "EAS1"): ALLOW}
    handed_over = a_known_device("7", user_addresses=(BOB,), had_addresses=(ALICE,))
    assert effects(handed_over, again) == {(ALICE, "EAS1"): ALLOW, (BOB, "EAS1"): ALLOW}


def test_a_device_that_moved_to_another_mdm_is_as_that_one_says():
    for left in ({"managed": Managed.NO}, {"gone": True}):
        old = a_known_device("7", moments=Moments(left_since=minutes(-30)), **left)
        came, was_there = (
            a_known_device("8", source="fleet", moments=Moments(managed_since=minutes(since))) for since in (-20, -40)
        )
        assert effects(old, came) == {(ALICE, "EAS1"): ALLOW}
        assert effects(old, was_there) == {(ALICE, "EAS1"): DENY}
        never_seen_managed = a_known_device("7", **left)
        assert effects(never_seen_managed, came) == {(ALICE, "EAS1"): DENY}
        compromised = a_known_device("7", compromised=True, moments=Moments(left_since=minutes(-30)), **left)
        assert effects(compromised, came) == {(ALICE, "EAS1"): DENY}
    still_there = a_known_device("7", compliance=Compliance.NON_COMPLIANT, moments=Moments(managed_since=minutes(-90)))
    assert effects(still_there, came) == {(ALICE, "EAS1"): DENY}


def test_records_without_dates_are_ordered_by_when_they_were_first_seen_managed():
    undated = {"state_time": None}
    # that the old one has left is seen by a sweep, long after the new one has come
    seen = Moments(managed_since=minutes(-30), left_since=minutes(-1))
    old = a_known_device("7", managed=Managed.NO, moments=seen, **undated)
    for new in (
        a_known_device("8", moments=Moments(managed_since=minutes(-20)), **undated),
        a_known_device("8", moments=Moments(managed_since=minutes(-20))),
    ):
        assert effects(old, new) == effects(new, old) == {(ALICE, "EAS1"): ALLOW}
    before = a_known_device("8", moments=Moments(managed_since=minutes(-40)), **undated)
    assert effects(old, before) == {(ALICE, "EAS1"): DENY}
    of_old = a_known_device("7", managed=Managed.NO, **undated)
    assert effects(of_old, before) == {(ALICE, "EAS1"): ALLOW}


def test_whose_a_device_is_is_for_its_own_source_to_say():
    people = {"ws1": {ALICE: "a/alice"}, "fleet": {BOB: "b/bob"}}
    mine = a_known_device()
    theirs = a_known_device("8", source="fleet", user_addresses=(BOB,), compromised=True)
    found = wanted([mine, theirs], POLICY, NOON, by_source=lambda source: people[source].get)
    assert {pair: one.effect for pair, one in found.items()} == {("a/alice", "EAS1"): ALLOW, ("b/bob", "EAS1"): DENY}


def test_a_device_of_nobody_has_a_say_about_its_device_ids_and_lets_nobody_in():
    owned, nobodys = a_known_device(), {"user_addresses": (), "source": "fleet"}
    assert effects(owned, a_known_device(**nobodys)) == {(ALICE, "EAS1"): ALLOW}
    assert effects(owned, a_known_device(compromised=True, **nobodys)) == {(ALICE, "EAS1"): DENY}
    assert effects(owned, a_known_device(compliance=Compliance.PENDING, **nobodys)) == {(ALICE, "EAS1"): None}
    former = a_known_device(device_ids=("EAS9",), had_device_ids=("EAS1",), **nobodys)
    assert effects(owned, former) == {(ALICE, "EAS1"): DENY}
    other_id = a_known_device(device_ids=("EAS9",), compromised=True, **nobodys)
    assert effects(owned, other_id) == {(ALICE, "EAS1"): ALLOW}
    unknown = a_known_device(user_addresses=("x@elsewhere.example",), compromised=True, source="fleet")
    assert wanted([owned, unknown], POLICY, NOON, user_of={ALICE: "a"}.get)[("a", "EAS1")].effect is DENY
    assert effects(a_known_device(**nobodys), a_known_device("8", **nobodys)) == {}
    gone = a_known_device("9", gone=True)  # its own MDM has a newer record, which does not say whose it is
    assert effects(gone, a_known_device(user_addresses=())) == {(ALICE, "EAS1"): DENY}


@pytest.mark.parametrize(
    "old",
    [
        {"managed": Managed.NO},  # heard of as lately as the other one
        {"managed": Managed.NO, "state_time": minutes(-9), "compromised": True},
        {"compliance": Compliance.NON_COMPLIANT, "state_time": minutes(-9)},
        {"compromised": True, "state_time": minutes(-9)},
    ],
)
def test_two_records_of_which_one_speaks_against_the_device(old):
    assert effects(a_known_device("7", **old), a_known_device("8")) == {(ALICE, "EAS1"): DENY}


def test_a_record_that_is_not_managed_supersedes_none():
    old, new = a_known_device("7", gone=True), a_known_device("8", managed=Managed.UNKNOWN)
    assert effects(old, new) == {(ALICE, "EAS1"): DENY}


def test_only_what_is_asked_about():
    one, other = a_known_device("7"), a_known_device("8", user_addresses=(BOB,), had_device_ids=("EAS9",))
    assert set(effects(one, other)) == {(ALICE, "EAS1"), (BOB, "EAS1"), (BOB, "EAS9")}
    assert pairs_of(one) == {(ALICE, "EAS1")}
    assert pairs_of(other) == {(BOB, "EAS1"), (BOB, "EAS9")}


def test_two_addresses_of_one_user_are_one_and_nobodys_is_left_out():
    renamed = a_known_device(user_addresses=("alice.jones@example.com",), had_addresses=(ALICE, "gone@example.com"))
    users = {"alice.jones@example.com": "user-1", ALICE: "user-1"}
    assert effects(renamed, user_of=users.get) == {("user-1", "EAS1"): ALLOW}


def test_a_device_without_id_is_asked_for_again_ever_later():
    def when(after_seconds):
        waiting = a_known_device(moments=Moments(without_ids_since=NOON))
        moment = ask_again(waiting, NOON + timedelta(seconds=after_seconds))
        return moment and (moment - NOON).total_seconds()

    assert [when(seconds) for seconds in (0, 30, 89, 90, 210, 509, 510, 1410)] == [
        30,
        90,
        90,
        210,
        510,
        510,
        1410,
        None,
    ]
    assert ask_again(a_known_device(), NOON) is None


@pytest.mark.parametrize(
    ("allowed", "turned", "too_many"), [(0, 5, False), (3, 5, False), (3, 6, True), (100, 20, False), (100, 21, True)]
)
def test_what_is_a_mass_change(allowed, turned, too_many):
    assert mass_change(allowed, turned) is too_many


@pytest.mark.parametrize(
    ("listed", "before", "too_few"),
    [
        (0, None, False),
        (0, 5, False),
        (0, 6, True),
        (50, 100, False),
        (49, 100, True),
        (5, 10, False),
        (200, 100, False),
    ],
)
def test_what_is_a_listing_that_cannot_be_believed(listed, before, too_few):
    assert shrunk(listed, before) is too_few


moments_ = st.integers(-300, 300).map(minutes)
addresses = st.lists(st.sampled_from([ALICE, BOB, "carol@example.com"]), max_size=2).map(tuple)
device_ids = st.lists(st.sampled_from(["EAS0", "EAS1", "EAS2"]), max_size=2).map(tuple)
postures = st.builds(
    Posture,
    source=st.sampled_from(["ws1", "fleet"]),
    device_key=st.sampled_from(["1", "2", "3"]),
    managed=st.sampled_from(Managed),
    compliance=st.sampled_from(Compliance),
    compromised=st.none() | st.booleans(),
    user_addresses=addresses,
    device_ids=device_ids,
    serial=st.none(),
    imei=st.none(),
    friendly_name=st.none(),
    state_time=st.none() | moments_,
    observed_at=moments_,
    grace_until=st.none() | moments_,
    gone=st.booleans(),
)
remembered = st.builds(
    Moments, pending_since=st.none() | moments_, compliant_since=st.none() | moments_, without_ids_since=st.none()
)
policies = st.builds(
    Policy,
    allow_hours=st.sampled_from([0.5, 2, 168]),
    grace_minutes=st.sampled_from([0, 30, 1000]),
    allow_after_seconds=st.sampled_from([0, 600]),
    write_deny=st.booleans(),
    allow_not_available=st.booleans(),
    honour_grace=st.booleans(),
    require_state_time=st.booleans(),
)


@st.composite
def known_devices(draw):
    posture = draw(postures)
    had = {*posture.user_addresses, *draw(addresses)}, {*posture.device_ids, *draw(device_ids)}
    return KnownDevice(posture, tuple(sorted(had[0])), tuple(sorted(had[1])), draw(remembered))


fleets = st.lists(known_devices(), max_size=5, unique_by=lambda one: (one.posture.source, one.posture.device_key))


def could_be_allowed(posture, policy):
    """Said again, in other words than the program's."""
    heard = min(posture.observed_at, posture.state_time or posture.observed_at)
    return (
        not posture.gone
        and posture.managed == "yes"
        and (
            posture.compliance == "compliant" or (posture.compliance == "not-available" and policy.allow_not_available)
        )
        and posture.compromised is not True
        and (posture.state_time is not None or not policy.require_state_time)
        and heard + timedelta(hours=policy.allow_hours) > NOON
    )


@given(postures, policies, remembered, st.none() | st.sampled_from(Effect))
def test_nothing_but_a_sound_device_that_was_heard_of_lately_is_ever_newly_allowed(posture, policy, moments, present):
    verdict = assess(posture, policy, NOON, moments)
    if verdict.after(present) is ALLOW:
        assert could_be_allowed(posture, policy) or (present is ALLOW and verdict.effect is None)
    if verdict.effect is None:  # and what keeps is never a device of which something bad is known
        assert not posture.gone
        assert posture.compromised is not True
        assert posture.managed is not Managed.NO
        assert verdict.look_again > NOON
        bad = posture.compliance is Compliance.NON_COMPLIANT
        assert not bad or (policy.honour_grace and posture.grace_until is not None and posture.grace_until > NOON)


@given(postures, policies, remembered)
def test_every_allow_ends_and_nothing_is_looked_at_in_the_past(posture, policy, moments):
    verdict = assess(posture, policy, NOON, moments)
    if verdict.effect is ALLOW:
        assert NOON < verdict.expires <= min(NOON, dated(posture)) + timedelta(hours=policy.allow_hours)
    else:
        assert verdict.expires is None
    assert verdict.look_again is None or verdict.look_again > NOON


@given(fleets, policies)
def test_an_allow_needs_a_sound_device_that_has_both_today(fleet, policy):
    for (user, device_id), verdict in wanted(fleet, policy, NOON).items():
        if verdict.effect is ALLOW:
            assert verdict.expires > NOON
            assert any(
                user in one.posture.user_addresses
                and device_id in one.posture.device_ids
                and could_be_allowed(one.posture, policy)
                for one in fleet
            )


@given(fleets, policies)
def test_every_pair_that_any_device_ever_had_gets_its_verdict(fleet, policy):
    pairs = {(user, device_id) for one in fleet for user in one.addresses for device_id in one.device_ids}
    assert set(wanted(fleet, policy, NOON)) == pairs


@given(fleets, policies, st.randoms())
def test_the_order_of_devices_and_sources_does_not_matter(fleet, policy, random):
    shuffled = list(fleet)
    random.shuffle(shuffled)
    assert wanted(shuffled, policy, NOON) == wanted(fleet, policy, NOON)


@given(fleets, policies, st.none() | st.sampled_from(Effect))
def test_another_source_only_restricts(fleet, policy, present):
    one_source = [one for one in fleet if one.posture.source == "ws1"]
    before, after = wanted(one_source, policy, NOON), wanted(fleet, policy, NOON)
    strictness = {ALLOW: 0, None: 1, DENY: 2}
    for pair, verdict in before.items():
        assert strictness[after[pair].effect] >= strictness[verdict.effect]
        if verdict.after(present) is not ALLOW:
            assert after[pair].after(present) is not ALLOW


@given(fleets, policies)
def test_a_device_asked_about_gets_what_it_gets_among_all(fleet, policy):
    everything = wanted(fleet, policy, NOON)
    for one in fleet:
        related = [other for other in fleet if other is one or set(other.device_ids) & set(one.device_ids)]
        verdicts, about = wanted(related, policy, NOON), pairs_of(one)
        assert {pair: verdicts[pair] for pair in about} == {pair: everything[pair] for pair in about}
        assert about == {(user, device_id) for user in one.addresses for device_id in one.device_ids}


@given(st.lists(postures, min_size=1, max_size=6))
def test_a_moment_is_never_later_than_when_it_was_seen_last(seen):
    moments = None
    for posture in seen:
        moments = remember(moments, posture)
    latest = max(one.observed_at for one in seen)
    assert all(
        moment is None or moment <= latest
        for moment in (moments.pending_since, moments.compliant_since, moments.without_ids_since)
    )

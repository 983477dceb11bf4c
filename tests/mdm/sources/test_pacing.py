"""Rate, pauses, quota headers and the breaker, on a clock that stands still."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import NOON, Clock

from gatepost.mdm.sources.base import Quota
from gatepost.mdm.sources.pacing import LONGEST_PAUSE, Breaker, Pace, told


def test_a_burst_goes_at_once_and_the_rest_at_the_rate():
    clock = Clock()
    pace = Pace(10, 3, clock.monotonic)
    assert [pace.turn(10) for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])


def test_idle_time_fills_the_bucket_but_not_over_its_brim():
    clock = Clock()
    pace = Pace(10, 2, clock.monotonic)
    for _ in range(2):
        pace.turn(0)
    clock.advance(1000)
    assert [pace.turn(10) for _ in range(3)] == pytest.approx([0, 0, 0.1])


def test_who_would_wait_too_long_takes_no_turn():
    clock = Clock()
    pace = Pace(1, 1, clock.monotonic)
    assert [pace.turn(0.5), pace.turn(0.5), pace.turn(0.5)] == [0, None, None]
    clock.advance(0.6)
    assert pace.turn(0.5) == pytest.approx(0.4)


def test_a_pause_holds_everybody_and_has_an_end():
    clock = Clock()
    pace = Pace(10, 5, clock.monotonic)
    pace.pause(30)
    pace.pause(3)
    assert pace.paused_for == 30
    assert pace.turn(10) is None
    clock.advance(25)
    assert pace.turn(10) == pytest.approx(5)
    pace.pause(10**9)
    assert pace.paused_for == LONGEST_PAUSE


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_that_lets_nobody_through_is_refused(rate, burst):
    with pytest.raises(ValueError, match="rate"):
        Pace(rate, burst, Clock().monotonic)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=50), st.floats(0.5, 50), st.integers(1, 20))
def test_never_more_than_the_burst_and_the_rate_in_any_window(gaps, rate, burst):
    clock = Clock()
    pace = Pace(rate, burst, clock.monotonic)
    times = []
    for gap in gaps:
        clock.advance(gap)
        wait = pace.turn(1e9)
        times.append(clock.elapsed + wait)
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + rate * (times[last] - times[first]) + 1e-6


def test_five_failures_open_the_breaker_and_each_time_for_longer():
    clock = Clock()
    breaker = Breaker(clock.now)
    for _ in range(4):
        breaker.failed("down")
        assert breaker.closed_in() == 0
    breaker.failed("down")
    waits = []
    for _ in range(6):
        waits.append(breaker.closed_in())
        clock.advance(waits[-1])
        assert breaker.closed_in() == 0
        breaker.failed("down")
    assert waits == [15, 30, 60, 120, 300, 300]
    assert breaker.condition.last_error == "down"


def test_one_request_tries_while_the_others_wait():
    clock = Clock()
    breaker = Breaker(clock.now)
    for _ in range(5):
        breaker.failed("down")
    clock.advance(15)
    assert breaker.closed_in() == 0
    assert breaker.closed_in() > 0
    breaker.succeeded()
    assert [breaker.closed_in(), breaker.closed_in()] == [0, 0]
    assert breaker.condition.failures == 0
    assert breaker.condition.open_until is None


def test_one_that_tries_and_never_comes_back_does_not_hold_the_others_for_ever():
    clock = Clock()
    breaker = Breaker(clock.now)
    for _ in range(5):
        breaker.failed("down")
    clock.advance(15)
    assert breaker.closed_in() == 0
    clock.advance(15)
    assert breaker.closed_in() == 0


def test_quota_headers_with_an_epoch_or_seconds_until_the_reset():
    epoch = {
        "x-ratelimit-limit": "1000",
        "x-ratelimit-remaining": "7",
        "x-ratelimit-reset": str(int(NOON.timestamp()) + 60),
    }
    assert told(200, epoch, NOON).quota == Quota(1000, 7, NOON + timedelta(seconds=60))
    seconds = {"ratelimit-limit": "1000", "ratelimit-remaining": "7", "ratelimit-reset": "60"}
    assert told(200, seconds, NOON) == told(200, epoch, NOON)
    assert told(200, epoch, NOON).wait is None


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {}, None),
        (429, {"retry-after": "7"}, 7),
        (503, {"retry-after": "Mon, 02 Nov 2026 12:00:30 GMT"}, 30),
        (429, {"retry-after": "Mon, 02 Nov 2026 11:00:00 GMT"}, 0),
        (429, {"retry-after": "soon"}, None),
        (429, {"x-ratelimit-reset": "90"}, 90),
        (429, {"retry-after": "999999"}, LONGEST_PAUSE),
        (429, {"x-ratelimit-reset": "99999999999"}, LONGEST_PAUSE),
        (200, {"retry-after": "7"}, None),
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, 12),
        (200, {"x-ratelimit-remaining": "0"}, None),
        (500, {"retry-after": "7"}, None),
    ],
)
def test_how_long_to_wait(status, headers, wait):
    assert told(status, headers, NOON).wait == wait


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]), st.text()), st.integers(100, 599))  # fmt: skip
def test_any_headers_are_read(headers, status):
    said = told(status, headers, NOON)
    assert said.wait is None or 0 <= said.wait <= LONGEST_PAUSE

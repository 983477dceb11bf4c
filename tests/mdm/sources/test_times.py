"""Times as MDMs write them, and everything else that might stand in their place."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mdm.sources.times import parse_time

AT = datetime(2022, 1, 16, 9, 13, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2022-01-16T09:13:59", 0),
        ("2022-01-16T09:13:59Z", 0),
        ("2022-01-16 09:13:59", 0),
        ("2022-01-16T09:13:59.", 0),
        ("2022-01-16T09:13:59.5Z", 500000),
        ("2022-01-16T09:13:59.572", 572000),
        ("2022-01-16T09:13:59.57201Z", 572010),
        ("2022-01-16T09:13:59.5720125Z", 572012),
        ("2022-01-16T09:13:59.572012512", 572012),
        ("2022-01-16T10:13:59+01:00", 0),
        ("2022-01-16T05:43:59-0330", 0),
        ("2022-01-16 09:13:59 UTC", 0),
        ("/Date(1642324439000)/", 0),
        ("/Date(1642324439572+0100)/", 572000),
        ("1642324439", 0),
        ("1642324439572", 572000),
        (1642324439, 0),
        (1642324439572, 572000),
        (1642324439.5, 500000),
    ],
)
def test_a_moment_is_read(text, microsecond):
    assert parse_time(text) == AT.replace(microsecond=microsecond)


@pytest.mark.parametrize(
    "value",
    ["", "never", "0001-01-01T00:00:00", "1999-12-31T23:59:59Z", "2022-02-30T00:00:00", "2022-01-16T25:00:00", "2022-01-16",
     "/Date(99999999999999)x/", "/Date(999999999999999)/", True, None, [], {}, float("inf"), float("nan"), -5, 0, "٢٠٢٢-01-16T09:13:59",
     "2022-01-16T09:13:59+99:00", "9999-12-31T23:59:59-10:00"],
)  # fmt: skip
def test_what_is_no_moment_is_none(value):
    assert parse_time(value) is None


@given(st.text() | st.floats() | st.integers() | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{0,9})?)?(Z|[+-]\d\d:?\d\d)?", fullmatch=True))  # fmt: skip
def test_any_value_is_a_moment_in_utc_or_none(value):
    found = parse_time(value)
    assert found is None or (found.tzinfo is UTC and found.year >= 2000)

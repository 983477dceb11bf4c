from datetime import UTC, datetime, timedelta

import pytest

from gatepost.cli.failure import Failure
from gatepost.cli.moments import since, until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(weeks=2)),
        ("2026-03-01T11:00+00:00", timedelta(hours=1)),
    ],
)
def test_a_moment_in_the_past(text, ago):
    assert since(text, NOW) == NOW - ago


@pytest.mark.parametrize("text", ["yesterday", "12", "-1h", "", "999999w", "0001-01-01T00:00+05:00"])
def test_what_is_no_moment(text):
    with pytest.raises(Failure, match="--since: expected 30m"):
        since(text, NOW)


@pytest.mark.parametrize(
    ("text", "later"),
    [("30m", timedelta(minutes=30)), ("7d", timedelta(days=7)), ("2026-03-01T13:00+00:00", timedelta(hours=1))],
)
def test_a_moment_to_come(text, later):
    assert until(text, NOW) == NOW + later


@pytest.mark.parametrize("text", ["tomorrow", "1y", "999999w", "9999-12-31T23:00-05:00"])
def test_what_is_no_moment_to_come(text):
    with pytest.raises(Failure, match="--expires: expected 30m"):
        until(text, NOW)


@pytest.mark.parametrize("text", ["0m", "2026-03-01T12:00+00:00", "2026-02-28T12:00+00:00"])
def test_a_moment_that_has_passed(text):
    with pytest.raises(Failure, match="has passed"):
        until(text, NOW)

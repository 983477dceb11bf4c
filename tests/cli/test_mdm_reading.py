from datetime import UTC, datetime, timedelta

import pytest

from gatepost.cli.failure import Failure
from gatepost.cli.mdm_reading import since, target_names
from gatepost.mdm.configuration import BridgeConfiguration, WorkMailConfiguration

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


@pytest.mark.parametrize("text", ["yesterday", "12", "-1h", ""])
def test_what_is_no_moment(text):
    with pytest.raises(Failure, match="--since: expected 30m"):
        since(text, NOW)


def test_targets_have_the_names_under_which_they_are_remembered():
    workmail = WorkMailConfiguration("m-" + "0" * 32, "eu-west-1")
    assert target_names(BridgeConfiguration(())) == ("store",)
    assert target_names(BridgeConfiguration((), workmail=workmail)) == ("store", "workmail")
    assert target_names(BridgeConfiguration((), local=False, workmail=workmail)) == ("workmail",)


def test_a_source_that_is_not_there(installation, bridged):
    ran = bridged.run("mdm", "list", "--source", "jamf")
    assert (ran.code, "there is no source `jamf`: there are ws1" in ran.err) == (5, True)


def test_no_source_at_all(installation):
    ran = installation.run("mdm", "list")
    assert (ran.code, "no source is configured" in ran.err) == (3, True)

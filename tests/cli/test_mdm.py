from tests.support.cli import run


def test_what_there_is():
    told = run("mdm", "--help").out
    for command in ("status", "list", "explain", "parked", "replay", "reconcile", "release"):
        assert f"│ {command} " in told

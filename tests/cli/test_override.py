from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatepost.model import Effect, Owner
from gatepost.store import mobile_device_access_overrides


def put(installation, *more, user="alice@example.com", effect="DENY"):
    return installation.run("override", "put", "--user", user, "--device", "abc1", "--effect", effect, *more)


def test_an_override_is_put_listed_explained_and_taken_back(installation):
    ran = put(installation, "--description", "lost", effect="deny")
    assert (ran.code, ran.out) == (0, "DENY for alice@example.com, device ABC1\n")
    (shown,) = installation.run("override", "list", "--json").json
    assert (shown["user"], shown["device_id"], shown["effect"], shown["owner"], shown["in_force"], shown["expires"]) == (
        "alice@example.com", "ABC1", "DENY", "person", True, None,
    )  # fmt: skip
    assert "lost" in installation.run("override", "list", "--user", "alice", "--device", "ABC1").out
    explained = installation.run("explain", "--user", "alice@example.com", "--device", "abc1")
    assert "a person's override names device `ABC1`: lost" in explained.out
    ran = installation.run("override", "delete", "--user", "alice@example.com", "--device", "abc1")
    assert ran.code == 0
    assert installation.run("override", "list").out == "no overrides\n"
    ran = installation.run("override", "delete", "--user", "alice@example.com", "--device", "abc1")
    assert ran.code == 5


@pytest.mark.parametrize(("given", "seconds"), [("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600)])
def test_it_may_end_by_itself(installation, given, seconds):
    assert ", until 20" in put(installation, "--expires", given).out
    (shown,) = installation.run("override", "list", "--json").json
    until = datetime.fromisoformat(shown["expires"]) - datetime.now(UTC)
    assert timedelta(seconds=seconds - 60) < until <= timedelta(seconds=seconds)


def test_it_may_end_at_a_moment(installation):
    put(installation, "--expires", "2099-12-24T18:00+01:00")
    (shown,) = installation.run("override", "list", "--json").json
    assert shown["expires"] == "2099-12-24T17:00:00Z"


@pytest.mark.parametrize("given", ["tomorrow", "7", "7y", "2020-01-01", "-1d"])
def test_an_end_that_is_none_is_refused(installation, given):
    ran = put(installation, f"--expires={given}")
    assert ran.code == 2
    assert "--expires" in ran.err
    assert installation.run("override", "list").out == "no overrides\n"


@pytest.mark.parametrize(("user", "code"), [("nobody@elsewhere.example", 5), ("nobody", 5)])
def test_nobody_s_override_is_refused(installation, user, code):
    assert put(installation, user=user).code == code


def test_a_device_id_has_letters_and_digits(installation):
    ran = installation.run("override", "put", "--user", "alice", "--device", "a-b", "--effect", "DENY")
    assert (ran.code, "no DeviceId" in ran.err) == (2, True)


def test_what_is_in_force_follows_the_settings(installation):
    put(installation, effect="ALLOW")
    store = installation.store()
    with store.begin() as transaction:
        (persons,) = mobile_device_access_overrides.page(transaction, installation.organization_id, None, 10)
        bridges = replace(persons, owner=Owner.BRIDGE, effect=Effect.DENY)
        mobile_device_access_overrides.put(transaction, bridges)
    store.close()
    ask = ("explain", "--user", "alice@example.com", "--device", "abc1")
    assert installation.run(*ask).code == 0
    with installation.config.open("a") as file:
        file.write("\n[mdm]\nbridge_deny_wins = true\n")
    assert installation.run(*ask).code == 10
    shown = {one["owner"]: one["in_force"] for one in installation.run("override", "list", "--json").json}
    assert shown == {"person": False, "bridge": True}


def test_one_whose_time_is_up_counts_nowhere_while_nobody_has_taken_it_back(installation):
    put(installation, effect="ALLOW")
    ask = ("--user", "alice@example.com", "--device", "abc1")
    allowed = installation.run("explain", *ask)
    assert "a person's override" in allowed.out
    store = installation.store()
    with store.begin() as transaction:
        (one,) = mobile_device_access_overrides.page(transaction, installation.organization_id, None, 10)
        mobile_device_access_overrides.put(transaction, replace(one, expires=datetime.now(UTC)))
    store.close()
    assert "a person's override" not in installation.run("explain", *ask).out
    assert installation.run("override", "list").out == "no overrides\n"
    assert installation.run("override", "delete", *ask).code == 5

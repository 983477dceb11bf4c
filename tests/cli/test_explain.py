"""`gatepost explain`, asked for every decision in the corpus and read as a person reads it."""

import dataclasses
import shutil

import pytest
from tests.support.cli import run
from tests.support.conformance import NOW, ORGANIZATION_ID, Case, Expected, load_cases

from gatepost.engine import Reason, explain
from gatepost.model import Action, Device, DeviceFacts, Effect
from gatepost.operations.organizations import create as create_organization
from gatepost.store import (
    access_control_rules,
    devices,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    users,
)
from gatepost.store.database import Store

EXIT_CODES = {Effect.ALLOW: 0, Effect.DENY: 10, None: 11}

CASES = [
    case
    for case in load_cases("explain")
    if case.request.action is Action.ACTIVE_SYNC
    and case.raw["request"]["login"]
    and case.device_ids
    and {override.user_id for override in case.overrides} <= {user.user_id for user in case.users}
]


@pytest.fixture
def seed(empty_sqlite_file, tmp_path, monkeypatch):
    path = tmp_path / "gatepost.db"
    shutil.copy(empty_sqlite_file, path)
    monkeypatch.setenv("GATEPOST_STORE__URL", f"sqlite:///{path}")

    def seed(case: Case, *known: Device) -> None:
        store = Store.open(f"sqlite:///{path}")
        with store.begin() as transaction:
            organizations.put(transaction, case.organization)
            for module, nouns in _nouns(case):
                for noun in nouns:
                    module.put(transaction, noun)
            devices.save(transaction, known)
        store.close()

    return seed


def _nouns(case: Case):
    return (
        (users, case.users),
        (mobile_device_access_rules, case.mobile_device_access_rules),
        (access_control_rules, case.access_control_rules),
        (mobile_device_access_overrides, case.overrides),
    )


def device_of(case: Case) -> Device:
    """What the store knows of the device after it has shown what the case says."""
    raw = case.raw["request"]
    return Device(
        organization_id=ORGANIZATION_ID,
        user_id=case.request.user_id or "nobody",
        device_id=case.device_ids[0],
        device_type=raw["device_type"] or "",
        http_user_agent=raw["http_user_agent"],
        protocol_version=raw["protocol_version"],
        last_ip_address=raw["ip_address"],
        first_seen=NOW,
        last_seen=NOW,
        facts=DeviceFacts(
            reported=raw["reported"],
            model=raw["device_model"],
            operating_system=raw["device_operating_system"],
            user_agent=raw["settings_user_agent"],
        ),
    )


def _typed(case: Case) -> bool:
    raw = case.raw["request"]
    said = raw["device_model"] or raw["device_operating_system"] or raw["http_user_agent"]
    return case.file in ("real-clients", "two-user-agents") and raw["reported"] and bool(said)


def ask(case: Case, *facts: str):
    spellings = [part for one in case.device_ids for part in ("--device", one.lower())]
    return run(
        "explain",
        "--user",
        case.raw["request"]["login"],
        *spellings,
        "--organization-id",
        ORGANIZATION_ID,
        "--json",
        *facts,
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_it_answers_as_the_corpus_says_from_what_the_store_knows(case: Case, seed):
    # who is not in the directory yet has no devices and no overrides there
    known = {user.user_id for user in case.users}
    if case.request.user_id in known or case.request.user_id is None:
        seed(case, device_of(case))
        ran = ask(case)
    else:
        seed(case)
        ran = ask(case, *_as_options(case))
    assert ran.code == EXIT_CODES[case.expected.effect], ran.err
    assert _expected(case, ran.json) == case.expected
    explained = explain(case.ruleset, case.request)
    assert [step["outcome"] for step in ran.json["steps"]] == [step.outcome for step in explained.steps]
    assert [step["rules"] for step in ran.json["steps"]] == [
        [_as_json(one) for one in step.rules] for step in explained.steps
    ]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES if _typed(case)])
def test_it_answers_as_the_corpus_says_from_what_is_typed(case: Case, seed):
    seed(case)
    assert _expected(case, ask(case, *_as_options(case)).json) == case.expected


def test_what_is_typed_wins_over_what_the_store_knows(seed):
    (case,) = (one for one in CASES if one.id == "real-clients-iOS-Mail-14")
    seed(case, device_of(case))
    asked = ask(case, "--device-type", "Toaster", "--ip", "2001:db8::1", "--device-user-agent", "").json["request"]
    assert (asked["device_type"], asked["ip_address"], asked["user_agents"]) == ("Toaster", "2001:db8::1", [])
    assert asked["device_model"] == case.request.device.device_model


def test_for_people(seed):
    (case,) = (one for one in CASES if one.id == "real-clients-iOS-Mail-14")
    seed(case, device_of(case))
    ran = run("explain", "--user", "alice", "--device", case.device_ids[0])
    for text in (case.expected.effect, case.expected.reason, *case.expected.matched_rules, "this decided", "alice"):
        assert text in ran.out


def test_an_address_that_is_none(installation):
    ran = installation.run("explain", "--user", "alice", "--device", "X1", "--ip", "10.0.0")
    assert ran.code == 2
    assert "expected an IPv4 or IPv6 address" in ran.err


def test_which_organization(installation):
    ran = installation.run("explain", "--user", "alice", "--device", "X1", "--organization-id", "m-" + "9" * 32)
    assert (ran.code, ran.err) == (5, f"gatepost: there is no organization `m-{'9' * 32}`\n")
    store = installation.store()
    created = create_organization(installation.context(store), alias="second", domains=["example.org"])
    store.close()
    ran = installation.run("explain", "--user", "alice", "--device", "X1")
    assert ran.code == 2
    assert created in ran.err
    assert installation.run("explain", "--user", "alice", "--device", "X1", "--organization-id", created).code == 0


def _as_json(value):
    if dataclasses.is_dataclass(value):
        return {field.name: _as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [_as_json(one) for one in value] if isinstance(value, tuple) else value


def _expected(case: Case, answered) -> Expected:
    effect = None if answered["effect"] is None else Effect(answered["effect"])
    return Expected(effect, Reason(answered["reason"]), case.names(answered["matched_rules"]))


def _as_options(case: Case) -> list[str]:
    raw = case.raw["request"]
    options = []
    shown = [("--ip", raw["ip_address"]), ("--device-type", raw["device_type"])]
    reported = [
        ("--device-model", raw["device_model"]),
        ("--device-operating-system", raw["device_operating_system"]),
        ("--device-user-agent", raw["http_user_agent"]),
        ("--device-user-agent", raw["settings_user_agent"]),
    ]
    for option, value in shown + reported if raw["reported"] else shown:
        options += [option, value] if value else []
    return options

from types import SimpleNamespace

import pytest
from tests.support.engine import ORGANIZATION_ID, change, organization, user

from gatepost.engine import RuleSet
from gatepost.gateway import identify
from gatepost.gateway.identify import Identifier, Identity
from gatepost.model import Directory, EntityState, Kind, enrolled_user_id

OTHER_ID = "m-ffffffffffffffffffffffffffffffff"
ALICE = Identity(ORGANIZATION_ID, "alice-id")


def replica(*rulesets):
    return SimpleNamespace(
        rulesets={ruleset.organization.organization_id: ruleset for ruleset in rulesets},
        domains={
            domain: ruleset.organization.organization_id
            for ruleset in rulesets
            for domain in ruleset.organization.domains
        },
    )


def one(directory=Directory.CLOSED):
    return RuleSet.build(
        organization(directory=directory),
        users=[
            user(aliases=("a@example.org",)),
            user("bob-id", "bob", None),
            user("gone-id", "gone", "gone@example.com", state=EntityState.DELETED),
        ],
    )


def other():
    return RuleSet.build(
        organization(organization_id=OTHER_ID, domains=("other.example",), default_domain="other.example"),
        users=[user("other-alice", "alice", "alice@other.example")],
    )


def unknown(address):
    return Identity(ORGANIZATION_ID, enrolled_user_id(ORGANIZATION_ID, address), address)


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("alice", ALICE),
        ("ALICE", ALICE),
        (" alice ", ALICE),
        ("EXAMPLE\\alice", ALICE),
        ("alice@example.com", ALICE),
        ("Alice@Example.COM", ALICE),
        ("EXAMPLE\\alice@example.com", ALICE),
        ("a@example.org", ALICE),
        ("bob", Identity(ORGANIZATION_ID, "bob-id")),
        ("bob@example.com", Identity(ORGANIZATION_ID, "bob-id")),
        ("gone", Identity(ORGANIZATION_ID, "gone-id")),
        ("carol", None),
        ("carol@example.com", None),
        ("alice@elsewhere.com", None),
        ("alice@sub.example.com", None),
        ("A\\B\\alice", None),
        ("alice%40example.com", None),
        ("\\alice", ALICE),
        ("EXAMPLE\\", None),
        ("@", None),
        ("@example.com", None),
        ("", None),
    ],
)
def test_a_login_in_a_closed_directory(login, expected):
    assert Identifier(replica(one()), None).identify(login) == expected


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("alice", ALICE),
        ("gone", Identity(ORGANIZATION_ID, "gone-id")),
        ("carol", unknown("carol@example.com")),
        ("EXAMPLE\\Carol", unknown("carol@example.com")),
        ("carol@example.com", unknown("carol@example.com")),
        ("carol@example.org", unknown("carol@example.org")),
        ("carol@elsewhere.com", None),
        # what no user could be created with
        ("carol smith", None),
        ("carol\u00e9@example.com", None),
        ("carol'--@example.com", None),
        ("a@b@example.com", None),
        ("x" * 65, None),
        ("x" * 64, unknown("x" * 64 + "@example.com")),
        ("A\\B\\carol", None),
        # SOGo takes these for alice and for carol
        ("alice%40example.com", None),
        ("EXAMPLE\\alice%40example.com", None),
        ("%61lice@example.com", None),
        ("carol%40example.com@example.com", None),
    ],
)
def test_a_login_in_an_open_directory(login, expected):
    assert Identifier(replica(one(Directory.OPEN)), None).identify(login) == expected


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        # what SOGo, or a database that leaves out accents, takes for alice's pays from alice's budget
        ("alice%40example.com", "alice-id"),
        ("%61l%69ce@example.com", "alice-id"),
        ("EXAMPLE\\%2561lice", "alice-id"),
        ("A\\B\\alice", "alice-id"),
        ("EXAMPLE%5Calice", "alice-id"),
        ("\u00e1lice@example.com", "alice-id"),
        ("alic\u00e9@example.com", "alice-id"),
        ("\uff41lice", "alice-id"),
        # nobody's spellings are one nobody's
        ("carol", "carol@example.com"),
        (" Carol ", "carol@example.com"),
        ("EXAMPLE\\carol", "carol@example.com"),
        ("ELSEWHERE\\carol", "carol@example.com"),
        ("carol@example.com", "carol@example.com"),
        ("carol%40example.com", "carol@example.com"),
        ("carol@elsewhere.com", "carol@elsewhere.com"),
        ("%", "%@example.com"),
        ("%zz", "%zz@example.com"),
        ("", "@example.com"),
    ],
)
def test_all_spellings_of_a_login_have_one_name(login, expected):
    assert Identifier(replica(one()), None).stranger(login) == expected


def test_a_long_login_costs_little_and_is_not_remembered():
    identifier = Identifier(replica(one()), None)
    assert len(identifier.stranger("%25" * 2_000)) <= 320 + len("@example.com")
    assert identifier.identify("x" * 6_000) is None
    assert all(len(login) <= 320 for login in identifier._remembered)


def test_the_mail_domain_tells_the_organization():
    identifier = Identifier(replica(one(), other()), None)
    assert identifier.identify("alice@example.com") == ALICE
    assert identifier.identify("alice@other.example") == Identity(OTHER_ID, "other-alice")


def test_a_login_without_a_domain_needs_one_organization_or_a_setting():
    two = replica(one(), other())
    assert Identifier(two, None).identify("alice") is None
    assert Identifier(two, OTHER_ID).identify("alice") == Identity(OTHER_ID, "other-alice")
    assert Identifier(two, "m-unknown").identify("alice") is None
    assert Identifier(replica(), None).identify("alice") is None


def test_an_answer_is_remembered_until_it_is_forgotten():
    rules = replica(one())
    identifier = Identifier(rules, None)
    assert identifier.identify("carol") is None
    carol = user("carol-id", "carol", "carol@example.com")
    rules.rulesets[ORGANIZATION_ID] = rules.rulesets[ORGANIZATION_ID].apply(
        change(1, Kind.USER, ("carol-id",), carol),
    )
    assert identifier.identify("carol") is None
    identifier.forget()
    assert identifier.identify("carol") == Identity(ORGANIZATION_ID, "carol-id")


def test_made_up_logins_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(identify, "_MOST_REMEMBERED", 10)
    identifier = Identifier(replica(one(Directory.OPEN)), None)
    for number in range(100):
        assert identifier.identify(f"made-up-{number}") == unknown(f"made-up-{number}@example.com")
        assert len(identifier._remembered) <= 10

import shlex

from tests.support.engine import ALLOW, DEFAULT_ACCESS, access_rule, organization, user

from gatepost.cli.check_findings import Asked, aws_command, only_active_sync
from gatepost.engine import RuleSet
from gatepost.model import Action
from gatepost.operations.modes import RuleCall


def asked(*rules, users=()):
    return Asked(RuleSet.build(organization(), access_control_rules=rules, users=users), "http://127.0.0.1:8081")


def test_a_command_survives_the_shell():
    call = RuleCall(
        "put_access_control_rule", {"name": "a b", "description": "Alice's", "not_ip_ranges": ("::/0", "x")}
    )
    words = shlex.split(aws_command(call, "m-1", "http://127.0.0.1:1"))
    assert words[3:] == [
        "workmail", "put-access-control-rule", "--organization-id", "m-1", "--name", "a b",
        "--description", "Alice's", "--not-ip-ranges", "::/0", "x",
    ]  # fmt: skip


def test_openings_that_are_alike_are_one_sentence_and_users_are_named():
    phones = access_rule("Phones", ALLOW, actions=(Action.ACTIVE_SYNC,))
    some = access_rule("Some", ALLOW, actions=(Action.IMAP, Action.SMTP), user_ids=("alice-id",))
    ranges = tuple(f"203.0.113.{number}/32" for number in range(0, 12, 2))
    few = access_rule("Few", ALLOW, actions=(Action.EWS,), ip_ranges=ranges)
    finding = only_active_sync(asked(phones, some, few, users=(user(),)), ())
    assert finding.says == (
        "EWS open from 203.0.113.0/32, 203.0.113.2/32, 203.0.113.4/32, 203.0.113.6/32 and 2 more networks, by `Few`; "
        "IMAP, SMTP open from everywhere for alice@example.com, by `Some`"
    )


def test_advice_is_there_only_where_something_is_missing():
    phones = access_rule("Phones", ALLOW, actions=(Action.ACTIVE_SYNC,))
    assert only_active_sync(asked(phones), ()).to_do == ()
    assert only_active_sync(asked(DEFAULT_ACCESS), ()).to_do != ()

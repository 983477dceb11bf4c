from datetime import UTC, datetime, timedelta

import pytest

from gatepost.engine.posture import Policy, PostureReason, Verdict
from gatepost.mdm.targets.base import (
    Action,
    Conflict,
    Present,
    Step,
    described,
    no_longer_wanted,
    renewal,
    slack_of,
    step,
    wish_for,
)
from gatepost.model import AppliedOverride, Effect

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SLACK = timedelta(hours=7)
PAIR = ("m-1", "alice", "AAA")
WEEK = NOW + timedelta(days=7)
ALLOW = Verdict(Effect.ALLOW, PostureReason.COMPLIANT, WEEK, WEEK, "mdm", "1")
DENY = Verdict(Effect.DENY, PostureReason.COMPROMISED, source="mdm", device_key="1")
KEEP = Verdict(None, PostureReason.PENDING, source="mdm", device_key="1")


def written(effect=Effect.ALLOW, expires=WEEK, theirs_since=None):
    return AppliedOverride("store", *PAIR, effect, "text", expires, "mdm", "1", NOW, theirs_since)


def there(effect=Effect.ALLOW, expires=WEEK, description="text", *, owned=True):
    return Present(effect, description, expires, owned)


def todo(verdict, applied, present, **policy):
    return step(wish_for(PAIR, verdict, Policy(**policy)), applied, present, NOW, SLACK)


OLD = there(expires=NOW)
CASES = {
    "nothing there, allow": (ALLOW, None, None, Step(Action.PUT)),
    "nothing there, deny": (DENY, None, None, Step(Action.NOTHING)),
    "nothing there, keep": (KEEP, None, None, Step(Action.NOTHING)),
    "as it should be": (ALLOW, written(), there(), Step(Action.NOTHING)),
    "kept": (KEEP, written(), there(), Step(Action.NOTHING)),
    "revoked": (DENY, written(), there(), Step(Action.DELETE, turns=True)),
    "revoked after its end": (DENY, written(expires=NOW), OLD, Step(Action.DELETE)),
    "ended and was taken back": (ALLOW, written(expires=NOW), None, Step(Action.PUT)),
    "ended, was taken back and is not wanted": (DENY, written(expires=NOW), None, Step(Action.FORGET)),
    "ended, was taken back and is kept": (KEEP, written(expires=NOW), None, Step(Action.FORGET)),
    "ended and is still there": (ALLOW, written(expires=NOW), OLD, Step(Action.PUT)),
    "ended, and somebody has his own now": (
        DENY,
        written(expires=NOW),
        there(owned=False),
        Step(Action.FORGET, conflict=Conflict.OVERRULED),
    ),
    "ended, and somebody has the same now": (ALLOW, written(expires=NOW), there(owned=False), Step(Action.FORGET)),
    "ended after somebody had edited it": (
        DENY,
        written(expires=NOW, theirs_since=NOW),
        there(owned=False),
        Step(Action.NOTHING, conflict=Conflict.EDITED),
    ),
    "would end later by little": (
        ALLOW,
        written(expires=WEEK - SLACK / 2),
        there(expires=WEEK - SLACK / 2),
        Step(Action.NOTHING),
    ),
    "would end later by much": (ALLOW, written(expires=WEEK - SLACK), there(expires=WEEK - SLACK), Step(Action.PUT)),
    "would end earlier": (ALLOW, written(expires=WEEK + SLACK / 2), there(expires=WEEK + SLACK / 2), Step(Action.PUT)),
    "ours, though not remembered": (ALLOW, None, there(), Step(Action.PUT)),
    "ours, though not remembered, revoked": (DENY, None, there(), Step(Action.DELETE, turns=True)),
    "taken away by a person": (ALLOW, written(), None, Step(Action.YIELD, conflict=Conflict.DELETED)),
    "taken away, and to be so": (DENY, written(), None, Step(Action.YIELD, conflict=Conflict.DELETED)),
    "edited effect": (ALLOW, written(), there(Effect.DENY), Step(Action.YIELD, conflict=Conflict.EDITED)),
    "edited text": (DENY, written(), there(description="mine"), Step(Action.YIELD, conflict=Conflict.EDITED)),
    "edited end": (DENY, written(), there(expires=None), Step(Action.YIELD, conflict=Conflict.EDITED)),
    "overwritten by another": (DENY, written(), there(owned=False), Step(Action.YIELD, conflict=Conflict.EDITED)),
    "theirs": (DENY, written(theirs_since=NOW), there(), Step(Action.NOTHING, conflict=Conflict.EDITED)),
    "theirs, away": (
        ALLOW,
        written(expires=NOW, theirs_since=NOW),
        None,
        Step(Action.NOTHING, conflict=Conflict.DELETED),
    ),
    "foreign, agrees": (ALLOW, None, there(owned=False), Step(Action.NOTHING)),
    "foreign, contradicts": (DENY, None, there(owned=False), Step(Action.NOTHING, conflict=Conflict.OVERRULED)),
}


@pytest.mark.parametrize(("verdict", "applied", "present", "expected"), CASES.values(), ids=CASES)
def test_step(verdict, applied, present, expected):
    assert todo(verdict, applied, present) == expected


def test_a_deny_in_so_many_words():
    assert todo(DENY, None, None, write_deny=True) == Step(Action.PUT)
    assert todo(DENY, written(), there(), write_deny=True) == Step(Action.PUT, turns=True)
    denied = written(Effect.DENY, None), there(Effect.DENY, None)
    assert todo(DENY, *denied, write_deny=True) == Step(Action.NOTHING)
    assert todo(DENY, *denied) == Step(Action.DELETE)
    assert todo(ALLOW, *denied) == Step(Action.PUT)


def test_what_nothing_accounts_for():
    wish = no_longer_wanted(written())
    assert step(wish, written(), there(), NOW, SLACK) == Step(Action.DELETE, turns=True)
    assert step(wish, written(), None, NOW, SLACK) == Step(Action.FORGET)
    assert step(wish, written(theirs_since=NOW), None, NOW, SLACK) == Step(Action.FORGET)


@pytest.mark.parametrize(("left", "action"), [(1, Action.FORGET), (-1, Action.FORGET), (600, Action.YIELD)])
def test_what_another_clock_ended_is_nobodys_act(left, action):
    assert todo(DENY, written(expires=NOW + timedelta(seconds=left)), None).action is action


def test_renewal_is_early_and_never_past():
    assert renewal(WEEK, NOW, SLACK) == WEEK - SLACK
    assert renewal(NOW + SLACK, NOW, SLACK) == NOW + SLACK
    assert renewal(NOW, NOW, SLACK) is None
    assert slack_of(Policy(allow_hours=168)) == SLACK


def test_a_description_is_short_and_printable():
    long = Verdict(Effect.ALLOW, PostureReason.COMPLIANT, source="s" * 200, device_key="\x00" * 200)
    text = described(long, None)
    assert len(text) == 256
    assert text.isprintable()

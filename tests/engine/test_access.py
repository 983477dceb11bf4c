from gatepost.engine import Decision, Reason
from gatepost.model import Effect


def test_allowed_is_for_allow_and_nothing_else():
    assert Decision(Effect.ALLOW, Reason.MOBILE_DEVICE_ACCESS_RULE).allowed
    assert not Decision(Effect.DENY, Reason.MOBILE_DEVICE_ACCESS_RULE).allowed
    assert not Decision(None, Reason.DEVICE_INFORMATION_REQUIRED).allowed


def test_reasons_are_fit_for_a_header():
    assert all(reason.value.isalpha() and reason.value.isascii() for reason in Reason)

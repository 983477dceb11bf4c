"""Which no: from a decision to the words that this command in this protocol version understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.engine import Reason
from gatepost.wire.eas import refusal
from gatepost.wire.eas.refusal import Status

if TYPE_CHECKING:
    from gatepost.engine import Decision
    from gatepost.wire.eas.refusal import Refusal
    from gatepost.wire.eas.request import EasRequest

_USER_LEVEL = frozenset({Reason.USER_NOT_FOUND, Reason.USER_NOT_ENABLED, Reason.ORGANIZATION_NOT_FOUND})


def answer(eas: EasRequest, decision: Decision) -> Refusal:
    """Refuse, or ask an undecided phone to say what it is; `decision` is not ALLOW."""
    if decision.effect is None and eas.command != "Provision":
        return refusal.ask_to_provision(eas.command, eas.protocol_version, decision.reason.value)
    if decision.effect is None:
        status = Status.DEVICE_INFORMATION_REQUIRED
    elif decision.reason in _USER_LEVEL:
        status = Status.USER_DISABLED_FOR_SYNC
    else:
        status = Status.DEVICE_IS_BLOCKED_FOR_THIS_USER
    return refusal.refuse(eas.command, eas.protocol_version, status, decision.reason.value)


def one_device_too_many(eas: EasRequest) -> Refusal:
    """The user has as many devices as one may have."""
    return refusal.refuse(eas.command, eas.protocol_version, Status.MAXIMUM_DEVICES_REACHED, "MaximumDevicesReached")

"""From a decision to the status that a phone understands."""

import pytest

from gatepost.engine import Decision, Reason
from gatepost.gateway import refusing
from gatepost.model import Effect
from gatepost.wire.eas.request import parse_query


def asked(command, version="14.1"):
    return parse_query(f"Cmd={command}&User=alice&DeviceId=PHONE1&DeviceType=iPhone".encode(), version.encode(), None)


@pytest.mark.parametrize(
    ("reason", "effect", "command", "status"),
    [
        (Reason.MOBILE_DEVICE_ACCESS_RULE, Effect.DENY, "FolderSync", b"129"),
        (Reason.MOBILE_DEVICE_ACCESS_OVERRIDE, Effect.DENY, "Sync", b"129"),
        (Reason.USER_NOT_ENABLED, Effect.DENY, "FolderSync", b"126"),
        (Reason.USER_NOT_FOUND, Effect.DENY, "Settings", b"126"),
        (Reason.DEVICE_INFORMATION_REQUIRED, None, "Provision", b"165"),
        (Reason.DEVICE_INFORMATION_REQUIRED, None, "FolderSync", b"142"),
    ],
)
def test_the_status_says_whose_fault_it_is(reason, effect, command, status):
    answer = refusing.answer(asked(command), Decision(effect, reason))
    assert (answer.http_status, status in answer.body) == (200, True)
    assert ("X-MS-ASThrottle", reason.value) in answer.headers


@pytest.mark.parametrize(
    ("version", "http_status", "status"), [("14.1", 200, b"177"), ("14.0", 403, b""), ("12.1", 403, b"")]
)
def test_one_device_too_many_is_177_where_that_is_known(version, http_status, status):
    answer = refusing.one_device_too_many(asked("FolderSync", version))
    assert answer.http_status == http_status
    assert status in answer.body

"""The refusals: golden files for every command and version, and the specification's bytes as a second opinion."""

import pytest
from tests.wire.eas.refusals_as_text import GOLDEN, NAMES, as_text, golden_path

from gatepost.wire.eas.commands import COMMAND_ROOTS, COMMANDS, VERSIONS, at_least
from gatepost.wire.eas.refusal import Status, ask_to_provision, end_parked, refuse
from gatepost.wire.wbxml import decode, root

# written by hand from the code pages: root element with status 129
DENIED = {
    "Sync": "03016a00454e03313239000101",
    "MoveItems": "03016a000005454b03313239000101",
    "GetItemEstimate": "03016a000006454e03313239000101",
    "FolderSync": "03016a000007564c03313239000101",
    "FolderCreate": "03016a000007534c03313239000101",
    "FolderDelete": "03016a000007544c03313239000101",
    "FolderUpdate": "03016a000007554c03313239000101",
    "MeetingResponse": "03016a000008474b03313239000101",
    "ResolveRecipients": "03016a00000a454703313239000101",
    "ValidateCert": "03016a00000b454a03313239000101",
    "Ping": "03016a00000d454703313239000101",
    "Provision": "03016a00000e454b03313239000101",
    "Search": "03016a00000f454c03313239000101",
    "Settings": "03016a000012454603313239000101",
    "ItemOperations": "03016a000014454d03313239000101",
    "SendMail": "03016a000015455203313239000101",
    "SmartForward": "03016a000015465203313239000101",
    "SmartReply": "03016a000015475203313239000101",
    "Find": "03016a000019454a03313239000101",
}
BLOCKED = Status.DEVICE_IS_BLOCKED_FOR_THIS_USER


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_golden(name, version):
    assert as_text(name, version) == golden_path(name, version).read_text()


def test_there_is_a_golden_file_for_each_and_no_other():
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}-{version}.txt" for name in NAMES for version in VERSIONS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_from_14_0_on_the_body_refuses_in_the_commands_own_root(command):
    for version in ("14.0", "14.1", "16.0", "16.1"):
        refusal = refuse(command, version, BLOCKED, "Individual")
        assert refusal.body.hex() == DENIED.get(command, "")
        assert refusal.http_status == (200 if command in DENIED else 403)
        assert ("Content-Type" in dict(refusal.headers)) == (command in DENIED)
        assert dict(refusal.headers)["X-MS-ASThrottle"] == "Individual"
        if command in DENIED:
            assert root(refusal.body) == COMMAND_ROOTS[command]


@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_before_14_0_every_command_is_forbidden_without_a_body(command):
    for version in ("2.5", "12.0", "12.1", "99"):
        refusal = refuse(command, version, BLOCKED, "Individual")
        assert (refusal.http_status, refusal.phrase, refusal.body) == (403, "Forbidden", b"")
        assert refusal.headers == (("X-MS-ASThrottle", "Individual"),)


@pytest.mark.parametrize("status", Status)
def test_a_status_is_said_to_no_version_that_does_not_know_it(status):
    for version in VERSIONS:
        refusal = refuse("FolderSync", version, status, "")
        if at_least(version, "14.1" if status > 163 else "14.0"):
            assert decode(refusal.body).text_at("FolderHierarchy:Status") == str(int(status))
        else:
            assert refusal.http_status == {137: 501, 138: 400}.get(status, 449 if 140 <= status <= 144 else 403)
            assert refusal.phrase
            assert refusal.body == b""


def test_asked_to_provision():
    assert decode(ask_to_provision("FolderSync", "14.1").body).text_at("FolderHierarchy:Status") == "142"
    for command, version in (("FolderSync", "12.1"), ("Ping", "12.1"), ("GetAttachment", "14.1"), (None, "14.1")):
        asked = ask_to_provision(command, version)
        assert (asked.http_status, asked.phrase, asked.body) == (449, "Retry after sending a PROVISION command", b"")
        assert dict(asked.headers) == {"X-MS-ASThrottle": "DeviceInformationRequired"}


def test_a_ping_is_sent_to_folder_sync_first():
    assert ask_to_provision("Ping", "14.0").body == end_parked("Ping").body


def test_parked_requests_end_with_a_folder_sync_in_every_version():
    assert end_parked("Ping").body.hex() == "03016a00000d45470337000101"
    assert end_parked("Sync").body.hex() == "03016a00454e033132000101"
    assert end_parked("Sync").headers == (("Content-Type", "application/vnd.ms-sync.wbxml"),)
    with pytest.raises(ValueError, match="`FolderSync` is never parked"):
        end_parked("FolderSync")


@pytest.mark.parametrize("reason", ["two words", "a\r\nSet-Cookie: x", "x" * 65, "ä"])
def test_a_reason_cannot_be_more_than_a_word(reason):
    with pytest.raises(ValueError, match="is not a reason"):
        refuse("Sync", "14.1", BLOCKED, reason)

"""The refusals as the golden files show them; `python -m tests.wire.eas.refusals_as_text` writes the files anew."""

from pathlib import Path

from gatepost.wire.eas.commands import COMMANDS, VERSIONS
from gatepost.wire.eas.refusal import Refusal, Status, ask_to_provision, end_parked, refuse

GOLDEN = Path(__file__).parent / "golden"
NAMES = (*COMMANDS, "OPTIONS", "Unknown")


def _shown(title: str, refusal: Refusal) -> str:
    headers = "".join(f"{name}: {value}\n" for name, value in refusal.headers)
    return (
        f"# {title}\nHTTP/1.1 {refusal.http_status} {refusal.phrase}\n{headers}\n{refusal.body.hex() or '(no body)'}\n"
    )


def as_text(name: str, version: str) -> str:
    """Every answer of the gateway's own to command `name` in protocol `version`."""
    command = name if name in COMMANDS else None
    shown = [
        _shown("denied", refuse(command, version, Status.DEVICE_IS_BLOCKED_FOR_THIS_USER, "MobileDeviceAccessRule")),
        _shown("user disabled", refuse(command, version, Status.USER_DISABLED_FOR_SYNC, "UserNotEnabled")),
        _shown("asked to provision", ask_to_provision(command, version)),
    ]
    if name == "Provision":
        status = Status.DEVICE_INFORMATION_REQUIRED
        shown.append(
            _shown("without device information", refuse(command, version, status, "DeviceInformationRequired"))
        )
    if name in ("Ping", "Sync"):
        shown.append(_shown("ended while parked", end_parked(name, "MobileDeviceAccessOverride")))
    return "\n".join(shown)


def golden_path(name: str, version: str) -> Path:
    """The golden file of one command in one version."""
    return GOLDEN / f"{name}-{version}.txt"


if __name__ == "__main__":
    for each in NAMES:
        for protocol_version in VERSIONS:
            golden_path(each, protocol_version).write_text(as_text(each, protocol_version))

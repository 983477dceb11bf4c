"""`gatepost mdm list`: every device of the MDMs, how it is, and what follows from that."""

from typing import Annotated, Any

import typer

from gatepost.cli.mdm_reading import SourceName, read_bridge, require_source
from gatepost.cli.opening import opened
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, moment, print_json, table
from gatepost.engine.posture import Verdict, assess
from gatepost.model import KnownDevice, Posture
from gatepost.store import mdm_devices
from gatepost.store.database import Reader

_PAGE = 500


def list_devices(
    *,
    source: SourceName = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="ADDRESS", help="Only devices that this user has or had.", show_default=False),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="D", help="Only devices that have or had this DeviceId.", show_default=False),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the devices that the MDMs manage, or did, and what each one's state means by itself."""
    settings, bridge = read_bridge(config)
    sources = require_source(bridge, source)
    with opened(settings) as store, store.read() as reader:
        known = _known(reader, sources, user, device)
        found = [(one, assess(one.posture, bridge.policy, reader.now, one.moments)) for one in known]
    if as_json:
        print_json([as_object(one, verdict) for one, verdict in found])
    elif not found:
        answers().print("no such device is known: it comes with a notification, or with the next sweep")
    else:
        columns = ("source", "key", "name", "users", "device ids", "managed", "compliance", "last heard of", "verdict")
        answers().print(table(columns, (_row(one, verdict) for one, verdict in found)))


def _known(reader: Reader, sources: tuple[str, ...], user: str | None, device: str | None) -> list[KnownDevice]:
    if user is not None or device is not None:
        found = mdm_devices.find(reader, device_id=device, address=user, limit=_PAGE)
        return [one for one in found if one.posture.source in sources]
    return [one for name in sources for one in all_devices(reader, name)]


def all_devices(reader: Reader, source: str) -> list[KnownDevice]:
    """Every device of the source, by its key."""
    found: list[KnownDevice] = []
    after: tuple[str, str] | None = None
    while page := mdm_devices.page(reader, after, _PAGE, source=source):
        found += page
        after = (page[-1].posture.source, page[-1].posture.device_key)
    return found


def as_object(known: KnownDevice, verdict: Verdict) -> dict[str, Any]:
    """For `--json`: what the MDM says, what is remembered, and the verdict."""
    posture = known.posture
    return {
        "source": posture.source,
        "device_key": posture.device_key,
        "friendly_name": posture.friendly_name,
        "gone": posture.gone,
        "managed": posture.managed.value,
        "compliance": posture.compliance.value,
        "compromised": posture.compromised,
        "users": list(posture.user_addresses),
        "users_ever": list(known.addresses),
        "device_ids": list(posture.device_ids),
        "device_ids_ever": list(known.device_ids),
        "serial": posture.serial,
        "imei": posture.imei,
        "last_heard": moment(posture.state_time),
        "asked": moment(posture.observed_at),
        "effect": verdict.effect.value if verdict.effect else None,
        "reason": verdict.reason.value,
        "expires": moment(verdict.expires),
    }


def state(posture: Posture) -> str:
    """How the device is, in a word or two."""
    if posture.gone:
        return "gone"
    return f"{posture.compliance.value}{', compromised' if posture.compromised else ''}"


def _row(known: KnownDevice, verdict: Verdict) -> tuple[str | None, ...]:
    posture = known.posture
    effect = verdict.effect.value if verdict.effect else "as it was"
    return (
        posture.source,
        posture.device_key,
        posture.friendly_name,
        ", ".join(posture.user_addresses),
        ", ".join(posture.device_ids) or "none yet",
        posture.managed.value,
        state(posture),
        moment(posture.state_time),
        f"{effect} ({verdict.reason.value})",
    )

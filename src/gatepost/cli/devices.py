"""`gatepost devices`: every phone that logged in, and what is decided about it at present."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from gatepost.cli.asking import find_device, name_of, question, require_user_id
from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.opening import Rules, acting, opened, read_rules, read_settings
from gatepost.cli.options import AsJson, Config, Organization
from gatepost.cli.screen import answers, moment, print_json, table
from gatepost.engine import Decision, decide
from gatepost.model import Device, canonical_device_id
from gatepost.operations.devices import forget

app = typer.Typer(help="Every phone that logged in, refused ones included.", no_args_is_help=True)


@app.command("list")
def list_devices(
    *,
    user: Annotated[
        str | None, typer.Option("--user", metavar="U", help="Only this user's devices.", show_default=False)
    ] = None,
    organization_id: Organization = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the devices with the present decision about each; this is how you find a DeviceId."""
    rules = _read(config, organization_id)
    user_id = require_user_id(rules.ruleset, user) if user else None
    devices = sorted(
        (one for one in rules.devices if user_id in (None, one.user_id)),
        key=lambda one: (_name(rules, one), one.device_id),
    )
    if as_json:
        print_json([_as_json(rules, one) for one in devices])
    elif not devices:
        answers().print("no device has logged in yet")
    else:
        columns = ("user", "device id", "type", "model", "operating system", "last seen", "decision", "reason")
        answers().print(table(columns, (_row(rules, one) for one in devices)))


@app.command("show")
def show_device(
    *,
    user: Annotated[
        str, typer.Option("--user", metavar="U", help="A login, address, alias or user id.", show_default=False)
    ],
    device: Annotated[
        str, typer.Option("--device", metavar="D", help="The DeviceId, in any case.", show_default=False)
    ],
    organization_id: Organization = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that is known of one device."""
    rules = _read(config, organization_id)
    found = find_device(rules.devices, require_user_id(rules.ruleset, user), device)
    if found is None:
        raise Failure(
            ExitCode.NOT_FOUND, f"`{user}` has not logged in with a device `{device}`: see `gatepost devices list`"
        )
    shown = _as_json(rules, found)
    if as_json:
        print_json(shown)
    else:
        rows = ((name.replace("_", " "), _text(value)) for name, value in shown.items())
        answers().print(table(("", ""), rows), end="")


@app.command("forget")
def forget_devices(
    *,
    user: Annotated[
        str | None, typer.Option("--user", metavar="U", help="Only this user's devices.", show_default=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="D", help="Only this DeviceId, in any case.", show_default=False)
    ] = None,
    not_seen_for: Annotated[
        int | None,
        typer.Option("--not-seen-for", metavar="DAYS", min=0, help="Only devices that were away for so many days."),
    ] = None,
    organization_id: Organization = None,
    config: Config = None,
) -> None:
    """Forget devices that are not used any more, so that they do not count against the user's limit.

    Their overrides stay. A device that comes back is taken up again.
    """
    if not_seen_for is None and (user is None or device is None):
        raise Failure(ExitCode.USAGE, "say which: --user and --device, or --not-seen-for DAYS (0: all)")
    settings = read_settings(config)
    with opened(settings) as store:
        rules = read_rules(store, settings, organization_id)
        user_id = require_user_id(rules.ruleset, user) if user else None
        since = datetime.now(UTC) - timedelta(days=not_seen_for or 0)
        these = [
            one
            for one in rules.devices
            if user_id in (None, one.user_id)
            and (device is None or one.device_id == canonical_device_id(device))
            and one.last_seen <= since
        ]
        forgotten = forget(acting(store), these)
    if not forgotten and device is not None:
        raise Failure(ExitCode.NOT_FOUND, f"`{user}` has no such device `{device}`: see `gatepost devices list`")
    answers().print(f"{forgotten} device{'' if forgotten == 1 else 's'} forgotten")


def _read(config: Any, organization_id: str | None) -> Rules:
    settings = read_settings(config)
    with opened(settings) as store:
        return read_rules(store, settings, organization_id)


def _decision(rules: Rules, device: Device) -> Decision:
    return decide(rules.ruleset, question(device.user_id, (device.device_id,), device))


def _name(rules: Rules, device: Device) -> str:
    return name_of(rules.ruleset.users.get(device.user_id), device.user_id)


def _row(rules: Rules, device: Device) -> tuple[str | None, ...]:
    decision = _decision(rules, device)
    facts = device.facts
    return (
        _name(rules, device),
        device.device_id,
        device.device_type,
        facts.model,
        facts.operating_system,
        moment(device.last_seen),
        decision.effect or "UNDECIDED",
        decision.reason,
    )


def _as_json(rules: Rules, device: Device) -> dict[str, Any]:
    decision, facts = _decision(rules, device), device.facts
    return {
        "user": _name(rules, device),
        "user_id": device.user_id,
        "organization_id": device.organization_id,
        "device_id": device.device_id,
        "device_type": device.device_type,
        "device_model": facts.model,
        "device_operating_system": facts.operating_system,
        "http_user_agent": device.http_user_agent,
        "device_user_agent": facts.user_agent,
        "protocol_version": device.protocol_version,
        "reported": facts.reported,
        "imei": facts.imei,
        "friendly_name": facts.friendly_name,
        "os_language": facts.os_language,
        "phone_number": facts.phone_number,
        "mobile_operator": facts.mobile_operator,
        "last_ip_address": device.last_ip_address,
        "first_seen": moment(device.first_seen),
        "last_seen": moment(device.last_seen),
        "effect": decision.effect,
        "reason": decision.reason,
        "matched_rules": list(decision.matched_rules),
    }


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)

"""`gatepost mdm reconcile`: compare everything with the MDMs now; or only say what that would change."""

from typing import Annotated

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.mdm_dry_run import Changes, preview
from gatepost.cli.mdm_reading import SourceName, read_bridge, require_source
from gatepost.cli.opening import opened
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, moment, print_json, remarks, table
from gatepost.mdm.guard import stands
from gatepost.mdm.sweep import WHOLE, sweep_key
from gatepost.store import mdm_devices, mdm_sources, mdm_work
from gatepost.store.database import Reader, Store


def reconcile(
    *,
    source: SourceName = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="D", help="Only this device: its key in the MDM, or a DeviceId.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the MDMs now, and only say what would change.")
    ] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Let mass changes go ahead that are held back.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have the bridge compare everything, or one device, with the MDMs now."""
    if confirm and (dry_run or device is not None):
        raise Failure(ExitCode.USAGE, "--confirm is for a whole source: leave out --dry-run and --device")
    settings, bridge = read_bridge(config)
    names = require_source(bridge, source)
    with opened(settings) as store:
        keys = None if device is None else _keys(store, names, device, source)
        if dry_run:
            _print(preview(store, bridge, names, keys), as_json=as_json)
            return
        if confirm:
            _confirm(store, names)
        with store.bookkeeping() as writer:
            mdm_work.dirty_many(writer, keys or [(sweep_key(name), WHOLE) for name in names], urgent=True)
    what = f"device {device}" if device is not None else f"a sweep of {', '.join(names)}"
    if as_json:
        print_json({"asked_for": [list(key) for key in keys] if keys else list(names)})
    else:
        answers().print(f"asked for {what}: the bridge does it as soon as it can, see `gatepost mdm status`")


def _keys(store: Store, names: tuple[str, ...], device: str, source: str | None) -> list[tuple[str, str]]:
    """The devices that are meant; with --source also one that nobody has heard of yet. Raises Failure."""
    with store.read() as reader:
        found = _found(reader, names, device)
    if not found and source is not None:
        return [(source, device)]
    if not found:
        raise Failure(ExitCode.NOT_FOUND, f"no device `{device}` is known; with --source it is asked for all the same")
    return found


def _found(reader: Reader, names: tuple[str, ...], device: str) -> list[tuple[str, str]]:
    known = [one for name in names if (one := mdm_devices.known(reader, name, device)) is not None]
    known = known or [one for one in mdm_devices.find(reader, device_id=device) if one.posture.source in names]
    return [(one.posture.source, one.posture.device_key) for one in known]


def _confirm(store: Store, names: tuple[str, ...]) -> None:
    with store.bookkeeping() as writer:
        held = [name for name in names if stands(mdm_sources.get(writer, name))]
        for name in sorted(held):  # as everybody locks them
            mdm_sources.change(writer, name, guard_confirmed_at=writer.now)
    if not held:
        raise Failure(ExitCode.NOT_FOUND, f"nothing is held back at {', '.join(names)}: see `gatepost mdm status`")


def _print(changes: Changes, *, as_json: bool) -> None:
    if as_json:
        print_json(changes.as_json())
    else:
        _print_table(changes)
    if changes.unanswered:
        raise typer.Exit(ExitCode.FAILED)


def _print_table(changes: Changes) -> None:
    columns = ("user", "device id", "now", "then", "until", "reason", "device")
    rows = (
        (one.user, one.device_id, one.before or "nothing", one.after or "nothing", moment(one.expires),
         one.conflict or one.reason, f"{one.device_key} of {one.source}")
        for one in changes.changes
    )  # fmt: skip
    if changes.changes:
        answers().print(table(columns, rows))
    else:
        answers().print("nothing would change")
    remarks().print(f"{changes.asked} devices were asked for, {changes.missing} of them are not there (any more)")
    for line in changes.unanswered:
        remarks().print(f"no answer: {line}")

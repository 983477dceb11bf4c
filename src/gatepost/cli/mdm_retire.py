"""`gatepost mdm retire`: take away what a source wrote that was taken out of the configuration, and forget it."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.mdm_left import counted, reachable
from gatepost.cli.mdm_reading import STORE, WORKMAIL, read_bridge
from gatepost.cli.opening import opened
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, print_json, remarks
from gatepost.mdm.configuration import BridgeConfiguration
from gatepost.mdm.retiring import Leaving, Retired, StillServed, require_unserved
from gatepost.mdm.retiring import retire as carry_out
from gatepost.mdm.sweep import sweep_key
from gatepost.model import Effect
from gatepost.store import mdm_devices, mdm_retirement
from gatepost.store.database import Reader

_TELL_SECONDS = 5.0


def retire(
    *,
    source: Annotated[str, typer.Argument(metavar="SOURCE", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take away the overrides of a source that is not configured any more, and forget it."""
    settings, bridge = read_bridge(config)
    if source in {one.name for one in bridge.sources}:
        raise Failure(
            ExitCode.USAGE,
            f"source `{source}` is still configured: take it out of the configuration and start Gatepost anew, then "
            "run this again",
        )
    with opened(settings) as store:
        try:
            with store.read() as reader:
                lines = _to_be_done(reader, bridge, source)
            console = remarks() if as_json else answers()
            for line in lines:
                console.print(line, soft_wrap=True)
            _ask(yes=yes)
            done = carry_out(store, _leaving(bridge, source), _telling(time.monotonic))
        except StillServed:
            raise Failure(
                ExitCode.FAILED,
                f"a bridge has served source `{source}` within the last minute: start it anew without that source, wait "
                "a minute, then run this again",
            ) from None
    if as_json:
        print_json({"source": source, **_as_json(done)})
    else:
        answers().print("\n".join(_said(done)), soft_wrap=True)
    if done.unreachable:
        raise typer.Exit(ExitCode.NOT_MET)


def _leaving(bridge: BridgeConfiguration, source: str) -> Leaving:
    workmail = bridge.workmail if bridge.sources else None  # without a source no bridge runs
    there = None if workmail is None else (WORKMAIL, workmail.organization_id)
    return Leaving(source, frozenset(one.name for one in bridge.sources), STORE, there)


def _to_be_done(reader: Reader, bridge: BridgeConfiguration, source: str) -> list[str]:
    """What is about to happen, line by line. Raises Failure, StillServed."""
    if not mdm_retirement.is_known(reader, source, (sweep_key(source),)):
        raise Failure(ExitCode.NOT_FOUND, f"nothing is known of a source `{source}`: see `gatepost mdm status`")
    require_unserved(reader, source)
    counts: dict[str, dict[Effect, int]] = {}
    configured = {one.name for one in bridge.sources}
    for one in mdm_retirement.left_behind(reader, configured):
        if one.source == source:
            can = reachable(bridge, one.target, one.organization_id)
            of = counts.setdefault(_place(one.target, shared=one.shared, can=can), {})
            of[one.effect] = of.get(one.effect, 0) + one.count
    said = [f"   {place}: {counted(of.get(Effect.ALLOW, 0), of.get(Effect.DENY, 0))}" for place, of in counts.items()]
    devices = mdm_devices.count(reader, source)
    return [f"source {source}", *(said or ["   it has no overrides"]), f"   to be forgotten: {devices} devices"]


def _place(target: str, *, shared: bool, can: bool) -> str:
    where = "in this store" if target == STORE else f"at {target}"
    if not can:
        return f"left {where}, to which no bridge delivers"
    if shared:
        return f"{where}, left to the devices of other sources that have their DeviceIds"
    return f"to be taken away {where}"


def _ask(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure(ExitCode.USAGE, "nothing was changed: nobody is there to be asked; say --yes")
    if not typer.confirm("\nDo it?", err=True):
        raise Failure(ExitCode.FAILED, "nothing was changed")


def _telling(clock: Callable[[], float]) -> Callable[[Retired], None]:
    """Says every few seconds how far it is."""
    told = clock()

    def tell(done: Retired) -> None:
        nonlocal told
        if clock() - told >= _TELL_SECONDS:
            told = clock()
            remarks().print(f"{done.seen_to} overrides seen to, {done.devices} devices forgotten")

    return tell


def _said(done: Retired) -> list[str]:
    lines = [f"taken away in this store: {counted(done.allow, done.deny)}"]
    for count, what in (
        (done.delivered, f"at {WORKMAIL} are taken away by the bridge, which has to run: see `gatepost mdm status`"),
        (done.handed_over, f"are left to {len(done.looked_at)} devices of other sources, which are looked at now"),
        (done.edited, "were edited by somebody, and are left alone"),
        (done.theirs, "had been left to people before, and stay so"),
        (done.unreachable, f"stay at {WORKMAIL}, to which no bridge delivers: see `gatepost mdm status`"),
    ):
        if count:
            lines.append(f"{count} {what}")
    return [*lines, f"forgotten: {done.devices} devices, {done.notifications} notifications"]


def _as_json(done: Retired) -> dict[str, Any]:
    return asdict(done) | {"looked_at": len(done.looked_at)}

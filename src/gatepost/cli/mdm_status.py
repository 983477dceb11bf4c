"""`gatepost mdm status`: how the bridge, its sources, its queue and its targets are doing."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from gatepost.cli.mdm_left import left
from gatepost.cli.mdm_reading import STORE, backlog, read_bridge, target_names
from gatepost.cli.opening import opened
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, moment, print_json, table
from gatepost.mdm.configuration import BridgeConfiguration
from gatepost.mdm.guard import stands
from gatepost.model import Effect
from gatepost.store import mdm_applied, mdm_devices, mdm_inbox, mdm_sources, mdm_work, mobile_device_access_overrides
from gatepost.store.database import Reader


def status(*, config: Config = None, as_json: AsJson = False) -> None:
    """Show how the bridge is doing: each source, what waits, what is parked, and what it has written."""
    settings, bridge = read_bridge(config)
    with opened(settings) as store, store.read() as reader:
        found = _read(reader, bridge)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _read(reader: Reader, bridge: BridgeConfiguration) -> dict[str, Any]:
    queue = backlog(reader, bridge)
    return {
        "now": moment(reader.now),
        "queue": {
            "due": queue.due,
            "later": queue.later,
            "in_work": queue.leased,
            "parked": queue.parked,
            "oldest_due": moment(queue.oldest_due),
        },
        "sources": [_source(reader, one.name) for one in bridge.sources],
        "targets": [_target(reader, name) for name in target_names(bridge)],
        "left": [one.as_json() for one in left(reader, bridge)],
    }


def _source(reader: Reader, name: str) -> dict[str, Any]:
    state = mdm_sources.get(reader, name)
    queue = mdm_work.backlog(reader, name)
    return {
        "source": name,
        "alive_at": moment(state.alive_at),
        "answered_at": moment(state.answered_at),
        "notified_at": moment(mdm_inbox.last_received(reader, name)),
        "sweep_started_at": moment(state.sweep_started_at),
        "sweep_finished_at": moment(state.sweep_finished_at),
        "listed": state.listed,
        "devices": mdm_devices.count(reader, name),
        "due": queue.due,
        "parked": queue.parked,
        "failures": state.failures,
        "last_error": state.last_error,
        "closed_until": moment(state.closed_until),
        "quota_remaining": state.quota_remaining,
        "quota_reset_at": moment(state.quota_reset_at),
        "guard": state.guard if stands(state) else None,
        "guard_since": moment(state.guard_since) if stands(state) else None,
    }


def _target(reader: Reader, name: str) -> dict[str, Any]:
    stand = mdm_applied.counts(reader, name, theirs=False)
    theirs = sum(mdm_applied.counts(reader, name, theirs=True).values())
    return {
        "target": name,
        "allow": stand.get(Effect.ALLOW, 0),
        "deny": stand.get(Effect.DENY, 0),
        "theirs": theirs,
        # elsewhere a (user, device) has one override: what a person says there is among `theirs`
        "contradicted": mobile_device_access_overrides.contradicted(reader) if name == STORE else None,
    }


def _print(found: dict[str, Any]) -> None:
    console = answers()
    queue = found["queue"]
    oldest = f", the oldest since {queue['oldest_due']}" if queue["oldest_due"] else ""
    console.print(
        f"devices to look at: {queue['due']} due{oldest}, {queue['in_work']} in work, {queue['later']} later, "
        f"{queue['parked']} parked{' (gatepost mdm parked list)' if queue['parked'] else ''}"
    )
    for source in found["sources"]:
        console.print()
        console.print(Text(f"source {source['source']}", "bold"))
        console.print(table(("", ""), _rows(source, found["now"])), end="")
    if not found["sources"]:
        console.print("\nno source is configured")
    for target in found["targets"]:
        console.print()
        console.print(Text(f"target {target['target']}", "bold"))
        console.print(
            f"{target['allow']} ALLOW, {target['deny']} DENY, {target['theirs']} left to the people who edited them"
        )
        if target["contradicted"]:
            console.print(f"{target['contradicted']} contradicted by a person's (gatepost override list)")
    for one in found["left"]:
        console.print()
        console.print(Text(one["says"], "bold"), soft_wrap=True)
        console.print(one["to_do"] or "it was retired: a bridge takes them away as soon as it can", soft_wrap=True)


def _rows(source: dict[str, Any], now: str) -> Iterator[tuple[str, str | None]]:
    yield "bridge alive", source["alive_at"] or "never"
    yield "answered", source["answered_at"] or "never"
    yield "notified", source["notified_at"] or "never, as far as it is remembered"
    listed = "" if source["listed"] is None else f", {source['listed']} devices listed"
    yield "last sweep", f"{source['sweep_finished_at']}{listed}" if source["sweep_finished_at"] else "never finished"
    yield "devices", f"{source['devices']} known, {source['due']} due, {source['parked']} parked"
    if source["failures"]:
        yield "failures", f"{source['failures']} in a row: {source['last_error']}"
    if source["closed_until"] and source["closed_until"] > now:
        yield "not asked until", source["closed_until"]
    if source["quota_remaining"] is not None:
        reset = f" until {source['quota_reset_at']}" if source["quota_reset_at"] else ""
        yield "quota", f"{source['quota_remaining']} requests{reset}"
    if source["guard"]:
        yield "held back", f"{source['guard']} (since {source['guard_since']})"
        yield "", f"if that is right: gatepost mdm reconcile --confirm --source {source['source']}"

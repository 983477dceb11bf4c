"""`gatepost mdm explain`: from what the MDMs say of a device to what is in force for its user, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from gatepost.cli.asking import find_device, question, require_user_id
from gatepost.cli.failure import ExitCode
from gatepost.cli.mdm_devices import as_object, state
from gatepost.cli.mdm_reading import read_bridge, written_for
from gatepost.cli.mdm_work import all_parked
from gatepost.cli.opening import Rules, opened, read_rules
from gatepost.cli.options import AsJson, Config, Organization
from gatepost.cli.screen import answers, moment, print_json
from gatepost.engine import Decision, decide
from gatepost.engine.posture import Verdict, assess, wanted
from gatepost.mdm.configuration import BridgeConfiguration
from gatepost.mdm.deciding import Everybody
from gatepost.model import (
    AppliedOverride,
    Effect,
    KnownDevice,
    MobileDeviceAccessOverride,
    Owner,
    Parked,
    canonical_device_id,
)
from gatepost.store import mdm_devices
from gatepost.store.database import Reader

_CODES = {Effect.ALLOW: ExitCode.OK, Effect.DENY: ExitCode.DENIED, None: ExitCode.UNDECIDED}


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything about one (user, device)."""

    user_id: str
    device_id: str
    devices: list[tuple[KnownDevice, Verdict]]
    verdict: Verdict | None
    applied: list[AppliedOverride]
    overrides: list[MobileDeviceAccessOverride]
    parked: list[Parked]
    decision: Decision


def explain(
    *,
    user: Annotated[str, typer.Argument(metavar="USER", show_default=False)],
    device: Annotated[str, typer.Argument(metavar="DEVICE", show_default=False)],
    organization_id: Organization = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say what the MDMs say of a user's device, what follows from it, what was written, and what is in force."""
    settings, bridge = read_bridge(config)
    with opened(settings) as store:
        rules = read_rules(store, settings, organization_id)
        user_id = require_user_id(rules.ruleset, user)
        with store.read() as reader:
            found = _find(reader, bridge, rules, user_id, canonical_device_id(device))
    if as_json:
        print_json(_as_json(rules, found))
    else:
        _print(user, found)
    raise typer.Exit(_CODES[found.decision.effect])


def _find(reader: Reader, bridge: BridgeConfiguration, rules: Rules, user_id: str, device_id: str) -> _Found:
    names = [one.name for one in bridge.sources]
    known = [one for one in mdm_devices.find(reader, device_id=device_id) if one.posture.source in names]
    organization_id = rules.ruleset.organization.organization_id
    everybody = Everybody(reader, bridge.organizations)
    verdicts = wanted(known, bridge.policy, reader.now, by_source=everybody.of)
    pair = (organization_id, user_id, device_id)
    theirs = (rules.ruleset.overrides, rules.ruleset.bridge_overrides)
    keys = {(one.posture.source, one.posture.device_key) for one in known}
    return _Found(
        user_id,
        device_id,
        [(one, assess(one.posture, bridge.policy, reader.now, one.moments)) for one in known],
        verdicts.get((f"{organization_id}/{user_id}", device_id)),
        written_for(reader, bridge, rules.ruleset.users.get(user_id), pair),
        [one for those in theirs if (one := those.get((user_id, device_id))) is not None],
        [one for name in names for one in all_parked(reader, name) if (one.source, one.device_key) in keys],
        decide(rules.ruleset, question(user_id, [device_id], find_device(rules.devices, user_id, device_id))),
    )


def _as_json(rules: Rules, found: _Found) -> dict[str, Any]:
    verdict = found.verdict
    return {
        "organization_id": rules.ruleset.organization.organization_id,
        "user_id": found.user_id,
        "device_id": found.device_id,
        "devices": [as_object(known, one) for known, one in found.devices],
        "verdict": None
        if verdict is None
        else {
            "effect": verdict.effect.value if verdict.effect else None,
            "reason": verdict.reason.value,
            "expires": moment(verdict.expires),
            "source": verdict.source,
            "device_key": verdict.device_key,
        },
        "written": [
            {
                "target": one.target,
                "effect": one.effect.value,
                "expires": moment(one.expires),
                "written_at": moment(one.written_at),
                "theirs_since": moment(one.theirs_since),
            }
            for one in found.applied
        ],
        "overrides": [
            {"owner": one.owner.value, "effect": one.effect.value, "expires": moment(one.expires), "description": one.description}
            for one in found.overrides
        ],
        "parked": [{"source": one.source, "device_key": one.device_key, "last_error": one.last_error} for one in found.parked],
        "effect": found.decision.effect,
        "reason": found.decision.reason,
    }  # fmt: skip


def _print(user: str, found: _Found) -> None:
    console = answers()
    decision = found.decision
    headline = Text(decision.effect or "UNDECIDED", "bold")
    headline.append(f"  {decision.reason}  {user}, device {found.device_id}", "default")
    console.print(headline)
    for title, lines in _sections(found):
        console.print(Text(f"\n{title}", "bold"))
        for line in lines:
            console.print(Text(f"  {line}"), soft_wrap=True)


def _sections(found: _Found) -> Iterator[tuple[str, list[str]]]:
    said = [line for known, verdict in found.devices for line in _device(known, verdict)]
    yield (
        "what the MDMs say",
        said
        or ["no device with this DeviceId is known: it comes with a notification, a sweep, or the phone's first visit"],
    )
    yield "what follows from it for this user", [_verdict(found.verdict)]
    yield "what the bridge has written", [_applied(one) for one in found.applied] or ["nothing"]
    yield "overrides", [_override(one) for one in found.overrides] or ["none: the rules decide"]
    if found.parked:
        lines = [f"device {one.device_key} of {one.source}: {one.last_error}" for one in found.parked]
        yield "parked (gatepost mdm parked retry)", lines


def _device(known: KnownDevice, verdict: Verdict) -> Iterator[str]:
    posture = known.posture
    name = f" `{posture.friendly_name}`" if posture.friendly_name else ""
    yield f"{posture.source}, device {posture.device_key}{name}: managed {posture.managed.value}, {state(posture)}"
    heard = moment(posture.state_time) or "at a time that the MDM does not say"
    yield f"  the MDM last heard of it {heard}; it was asked {moment(posture.observed_at)}"
    yield f"  users {_now_and_ever(posture.user_addresses, known.addresses)}"
    yield f"  DeviceIds {_now_and_ever(posture.device_ids, known.device_ids)}"
    yield f"  → {verdict.effect.value if verdict.effect else 'keep what is'}: {verdict.reason.value}"


def _now_and_ever(now: tuple[str, ...], ever: tuple[str, ...]) -> str:
    former = [one for one in ever if one not in now]
    return (", ".join(now) or "none") + (f"; formerly {', '.join(former)}" if former else "")


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return "nothing: no device of an MDM has, or had, both this user and this DeviceId"
    effect = verdict.effect.value if verdict.effect else "keep what is"
    until = f" until {moment(verdict.expires)}" if verdict.expires else ""
    return f"{effect}{until}: {verdict.reason.value} (device {verdict.device_key} of {verdict.source})"


def _applied(one: AppliedOverride) -> str:
    until = f" until {moment(one.expires)}" if one.expires else ""
    written = f"{one.target}: {one.effect.value}{until}, at {moment(one.written_at)}"
    if one.theirs_since is None:
        return written
    return f"{written}; edited or deleted by somebody, seen {moment(one.theirs_since)}: left alone until `gatepost mdm release`"


def _override(one: MobileDeviceAccessOverride) -> str:
    whose = "a person's" if one.owner is Owner.PERSON else "the bridge's"
    until = f" until {moment(one.expires)}" if one.expires else ""
    return f"{whose} {one.effect.value}{until}{f': {one.description}' if one.description else ''}"

"""`gatepost mdm compare`: what posture wants, what stands in this store, and what stands in Amazon WorkMail, side by side."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.mdm_devices import all_devices
from gatepost.cli.mdm_reading import read_bridge, require_source
from gatepost.cli.opening import opened
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, print_json, remarks, table
from gatepost.engine.posture import Expression, express, wanted
from gatepost.mdm.configuration import BridgeConfiguration
from gatepost.mdm.deciding import Addresses
from gatepost.mdm.targets.base import Present
from gatepost.mdm.targets.workmail import TargetRefused, TargetUnavailable, WorkMailTarget
from gatepost.model import Owner
from gatepost.operations import mobile_device_access_overrides
from gatepost.store.database import Reader

_WANTED = {Expression.PUT_ALLOW: "ALLOW", Expression.PUT_DENY: "DENY", Expression.REMOVE: None}


@dataclass(frozen=True, slots=True)
class Difference:
    """A user's address and DeviceId with overrides that are not what posture wants; None: there is no override."""

    user: str
    device_id: str
    wanted: str | None
    reason: str
    store: str | None
    workmail: str | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    effect: str | None
    reason: str


def compare(*, config: Config = None, as_json: AsJson = False) -> None:
    """Say where the overrides here, or in Amazon WorkMail, are not what the MDMs' devices ask for."""
    settings, bridge = read_bridge(config)
    names = require_source(bridge, None)
    with opened(settings) as store, store.read() as reader:
        pairs = _pairs(reader, bridge, names)
        addresses = Addresses(reader, _only_organization(bridge))
        here = {pair: _here(reader, addresses, *pair) for pair in pairs} if bridge.local else {}
    try:
        there = asyncio.run(_there(bridge, pairs))
    except (TargetUnavailable, TargetRefused) as error:
        raise Failure(ExitCode.FAILED, f"Amazon WorkMail: {error}") from error
    found = list(_differences(pairs, here, there))
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        answers().print("nothing differs")
    else:
        columns = ("user", "device id", "wanted", "store", "workmail", "reason")
        answers().print(table(columns, (_row(bridge, one) for one in found)))
    remarks().print(f"{len(pairs)} pairs of a user and a DeviceId were compared")
    if found:
        raise typer.Exit(ExitCode.NOT_MET)


def _pairs(reader: Reader, bridge: BridgeConfiguration, names: tuple[str, ...]) -> dict[tuple[str, str], _Wanted]:
    """By address and DeviceId, for every device; where what is there shall stay, nothing is compared."""
    devices = [one for name in names for one in all_devices(reader, name)]
    verdicts = wanted(devices, bridge.policy, reader.now)
    return {
        pair: _Wanted(_WANTED[expression], verdict.reason.value)
        for pair, verdict in verdicts.items()
        if (expression := express(verdict, bridge.policy)) is not Expression.KEEP
    }


def _only_organization(bridge: BridgeConfiguration) -> str | None:
    """Where all sources' users are looked for; None: by their mail domains."""
    named = {one.organization_id for one in bridge.sources}
    return named.pop() if len(named) == 1 else None


def _here(reader: Reader, addresses: Addresses, address: str, device_id: str) -> str | None:
    """The override that is in force in this store, and whose it is."""
    user = addresses.user_of(address)
    if user is None:
        return "no such user"
    organization_id, _, user_id = user.partition("/")
    both = mobile_device_access_overrides.both(reader, organization_id, user_id, device_id)
    by_owner = {one.owner: one for one in both if one.expires is None or one.expires > reader.now}
    if Owner.PERSON in by_owner:
        return f"{by_owner[Owner.PERSON].effect.value}, a person's"
    return by_owner[Owner.BRIDGE].effect.value if Owner.BRIDGE in by_owner else None


async def _there(bridge: BridgeConfiguration, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
    """What stands in Amazon WorkMail for each pair. Raises TargetUnavailable, TargetRefused."""
    if bridge.workmail is None:
        return {}
    target = WorkMailTarget(bridge.workmail, bridge.instance)
    listed = {(one.user_id, one.device_id): one.present async for one in target.list()}
    found: dict[tuple[str, str], str | None] = {}
    for address, device_id in pairs:
        user_id = await target.user_of(address)
        found[address, device_id] = "no such user" if user_id is None else _effect(listed.get((user_id, device_id)))
    return found


def _effect(present: Present | None) -> str | None:
    if present is None:
        return None
    return present.effect.value if present.owned else f"{present.effect.value}, a person's"


def _differences(
    pairs: dict[tuple[str, str], _Wanted],
    here: dict[tuple[str, str], str | None],
    there: dict[tuple[str, str], str | None],
) -> Iterable[Difference]:
    for pair, want in sorted(pairs.items()):
        stands = [those[pair] for those in (here, there) if pair in those]
        if any(one != want.effect and not (one == "no such user" and want.effect is None) for one in stands):
            yield Difference(*pair, want.effect, want.reason, here.get(pair), there.get(pair))


def _row(bridge: BridgeConfiguration, one: Difference) -> tuple[str, ...]:
    store = (one.store or "nothing") if bridge.local else ""
    workmail = (one.workmail or "nothing") if bridge.workmail is not None else ""
    return one.user, one.device_id, one.wanted or "nothing", store, workmail, one.reason

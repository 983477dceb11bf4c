"""`gatepost mdm compare`: what posture wants, what stands in this store, and what stands in Amazon WorkMail, side by side.

Each target is compared by its own users, as the bridge writes there: two addresses of one user are one pair with a DeviceId.
What is shown is an address, so that the targets' rows for one person come together.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.mdm_devices import all_devices
from gatepost.cli.mdm_reading import STORE, WORKMAIL, read_bridge, require_source, target_names
from gatepost.cli.opening import acting, opened
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, print_json, remarks, table
from gatepost.engine.posture import Expression, Policy, Verdict, assess, express, wanted
from gatepost.mdm.configuration import BridgeConfiguration
from gatepost.mdm.deciding import Addresses, Everybody
from gatepost.mdm.targets.workmail import TargetRefused, TargetUnavailable, WorkMailTarget
from gatepost.model import Effect, KnownDevice, Owner
from gatepost.operations import mobile_device_access_overrides
from gatepost.operations.context import Context
from gatepost.store.database import Reader

_WANTED = {Expression.PUT_ALLOW: "ALLOW", Expression.PUT_DENY: "DENY", Expression.REMOVE: None}
_NOBODY = "no such user"
_TOGETHER = 100  # addresses that are looked up at once


@dataclass(frozen=True, slots=True)
class _Pair:
    """A user, by his address, and a DeviceId, with the effect that is wanted for them; None: no override."""

    user: str
    device_id: str
    wanted: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair that is not everywhere as posture wants it; `stands` is what there is, by target that has the pair."""

    pair: _Pair
    stands: Mapping[str, str | None]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        one = self.pair
        return {
            "user": one.user,
            "device_id": one.device_id,
            "wanted": one.wanted,
            "reason": one.reason,
            **self.stands,
        }


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the sources' devices are judged by."""

    devices: Sequence[KnownDevice]
    policy: Policy
    now: datetime


_View: TypeAlias = tuple[Sequence[KnownDevice], Callable[[str], str | None]]
"""Devices, and whose their addresses are: a source's in this store, or all of them at a target that is elsewhere."""


def compare(*, config: Config = None, as_json: AsJson = False) -> None:
    """Say where the overrides here, or in Amazon WorkMail, are not what the MDMs' devices ask for."""
    settings, bridge = read_bridge(config)
    names = require_source(bridge, None)
    stands: dict[str, dict[_Pair, str | None]] = {}
    with opened(settings) as store, store.read() as reader:
        asked = _Asked([one for name in names for one in all_devices(reader, name)], bridge.policy, reader.now)
        if bridge.local:
            stands[STORE] = _here(reader, acting(store, settings), bridge, asked)
    if bridge.workmail is not None:
        try:
            stands[WORKMAIL] = asyncio.run(_there(WorkMailTarget(bridge.workmail, bridge.instance), asked))
        except (TargetUnavailable, TargetRefused) as error:
            raise Failure(ExitCode.FAILED, f"Amazon WorkMail: {error}") from error
    pairs = {pair for those in stands.values() for pair in those}
    found = list(_differences(pairs, stands))
    if as_json:
        print_json([one.as_json() for one in found])
    elif not found:
        answers().print("nothing differs")
    else:
        columns = ("user", "device id", "wanted", *target_names(bridge), "reason")
        answers().print(table(columns, (_row(bridge, one) for one in found)))
    remarks().print(f"{len(pairs)} pairs of a user and a DeviceId were compared")
    if found:
        raise typer.Exit(ExitCode.NOT_MET)


def _here(reader: Reader, context: Context, bridge: BridgeConfiguration, asked: _Asked) -> dict[_Pair, str | None]:
    """What is in force in this store for each pair, and whose it is; users are looked for where each source has them."""
    everybody = Everybody(reader, bridge.organizations)
    views: list[_View] = []
    for source in bridge.sources:
        mine = [one for one in asked.devices if one.posture.source == source.name]
        _look_up(everybody.addresses(source.name), mine)
        views.append((mine, everybody.of(source.name)))
    verdicts = wanted(asked.devices, asked.policy, asked.now, by_source=everybody.of)
    names = _names(views)
    found: dict[_Pair, str | None] = dict.fromkeys(_strangers(views, asked), _NOBODY)
    for (user, device_id), verdict in verdicts.items():
        for pair in _compared(names[user], device_id, verdict, asked.policy):
            organization_id, _, user_id = user.partition("/")
            both = mobile_device_access_overrides.both(reader, organization_id, user_id, device_id)
            counts = mobile_device_access_overrides.in_force(context, both)
            found[pair] = None if counts is None else _said(counts.effect, owned=counts.owner is Owner.BRIDGE)
    return found


async def _there(target: WorkMailTarget, asked: _Asked) -> dict[_Pair, str | None]:
    """What stands in Amazon WorkMail for each pair. Raises TargetUnavailable, TargetRefused."""
    listed = {(one.user_id, one.device_id): one.present async for one in target.list()}
    users = {address: await target.user_of(address) for address in _addresses(asked.devices)}
    views: list[_View] = [(asked.devices, users.get)]
    names = _names(views)
    found: dict[_Pair, str | None] = dict.fromkeys(_strangers(views, asked), _NOBODY)
    for (user, device_id), verdict in wanted(asked.devices, asked.policy, asked.now, user_of=users.get).items():
        present = listed.get((user, device_id))
        for pair in _compared(names[user], device_id, verdict, asked.policy):
            found[pair] = None if present is None else _said(present.effect, owned=present.owned)
    return found


def _look_up(addresses: Addresses, devices: Iterable[KnownDevice]) -> None:
    """Find whose the devices' addresses are together, and not one by one."""
    every = _addresses(devices)
    for start in range(0, len(every), _TOGETHER):
        addresses.look_up(every[start : start + _TOGETHER])


def _compared(name: str, device_id: str, verdict: Verdict, policy: Policy) -> Iterator[_Pair]:
    """The pair; none where what is there shall stay."""
    expression = express(verdict, policy)
    if expression is not Expression.KEEP:
        yield _Pair(name, device_id, _WANTED[expression], verdict.reason.value)


def _strangers(views: Iterable[_View], asked: _Asked) -> Iterator[_Pair]:
    """Who should read mail with a device that is in order, and is nobody."""
    for devices, user_of in views:
        for one in devices:
            posture = one.posture
            verdict = assess(posture, asked.policy, asked.now, one.moments)
            if (
                verdict.effect is Effect.ALLOW
                and posture.user_addresses
                and not any(map(user_of, posture.user_addresses))
            ):
                for device_id in posture.device_ids:
                    yield from _compared(min(posture.user_addresses), device_id, verdict, asked.policy)


def _names(views: Iterable[_View]) -> dict[str, str]:
    """The address by which each user is shown: one that a device has today, where there is one."""
    found: dict[str, tuple[bool, str]] = {}
    for devices, user_of in views:
        for one in devices:
            for address in one.addresses:
                user = user_of(address)
                if user is not None:
                    name = (address not in one.posture.user_addresses, address)
                    found[user] = min(found.get(user, name), name)
    return {user: address for user, (_, address) in found.items()}


def _addresses(devices: Iterable[KnownDevice]) -> list[str]:
    return sorted({address for one in devices for address in one.addresses})


def _said(effect: Effect, *, owned: bool) -> str:
    return effect.value if owned else f"{effect.value}, a person's"


def _differences(pairs: Iterable[_Pair], stands: Mapping[str, Mapping[_Pair, str | None]]) -> Iterator[Difference]:
    for pair in sorted(pairs, key=lambda one: (one.user, one.device_id, one.wanted or "", one.reason)):
        there = {target: those[pair] for target, those in stands.items() if pair in those}
        if any(one != pair.wanted for one in there.values()):
            yield Difference(pair, there)


def _row(bridge: BridgeConfiguration, one: Difference) -> tuple[str, ...]:
    stands = [(one.stands[name] or "nothing") if name in one.stands else "" for name in target_names(bridge)]
    return one.pair.user, one.pair.device_id, one.pair.wanted or "nothing", *stands, one.pair.reason

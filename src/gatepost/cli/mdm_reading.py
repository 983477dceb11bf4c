"""What the `gatepost mdm` commands share: the bridge as it is configured, and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.opening import read_settings
from gatepost.mdm.settling import target_key
from gatepost.mdm.sweep import sweep_key
from gatepost.model import address_key
from gatepost.settings import bridge_configuration
from gatepost.store import mdm_applied, mdm_devices, mdm_work

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost.mdm.configuration import BridgeConfiguration
    from gatepost.model import AppliedOverride, User
    from gatepost.settings import Settings
    from gatepost.store.database import Reader

STORE = "store"
WORKMAIL = "workmail"
"""The targets, by the names under which the store remembers what was written there."""

SourceName: TypeAlias = Annotated[
    str | None, typer.Option("--source", metavar="S", help="Only this source.", show_default=False)
]
DeviceKey: TypeAlias = Annotated[
    str | None,
    typer.Option("--device", metavar="KEY", help="Only the device with this key in the MDM.", show_default=False),
]


def read_bridge(config: Path | None) -> tuple[Settings, BridgeConfiguration]:
    """The settings, and the bridge that they describe. Raises Failure."""
    settings = read_settings(config)
    return settings, bridge_configuration(settings.mdm)


def target_names(bridge: BridgeConfiguration) -> tuple[str, ...]:
    """Where the bridge writes, as it is remembered in the store."""
    names = {STORE: bridge.local, WORKMAIL: bridge.workmail is not None}
    return tuple(name for name, there in names.items() if there)


def backlog(reader: Reader, bridge: BridgeConfiguration) -> mdm_work.Backlog:
    """How much there is to do for what is configured: sources, their sweeps, and targets that are elsewhere."""
    names = [one.name for one in bridge.sources]
    places = [*names, *map(sweep_key, names), *([] if bridge.workmail is None else [target_key(WORKMAIL)])]
    parts = [mdm_work.backlog(reader, place) for place in places]
    return mdm_work.Backlog(
        due=sum(one.due for one in parts),
        later=sum(one.later for one in parts),
        leased=sum(one.leased for one in parts),
        parked=sum(one.parked for one in parts),
        oldest_due=min((one.oldest_due for one in parts if one.oldest_due is not None), default=None),
    )


def written_for(
    reader: Reader, bridge: BridgeConfiguration, user: User | None, pair: tuple[str, str, str]
) -> list[AppliedOverride]:
    """What was written for (organization, user id, DeviceId); in Amazon WorkMail, which has other ids, for the devices of his."""
    here = mdm_applied.get(reader, STORE, *pair) if bridge.local else None
    found = [] if here is None else [here]
    if bridge.workmail is not None and user is not None:
        logins = {address_key(one) for one in (user.email, *user.aliases) if one}
        known = [one for one in mdm_devices.find(reader, device_id=pair[2]) if logins & set(one.addresses)]
        rows = (mdm_applied.of_device(reader, one.posture.source, one.posture.device_key, WORKMAIL) for one in known)
        found += [one for those in rows for one in those if one.device_id == pair[2]]
    return found


def require_source(bridge: BridgeConfiguration, source: str | None) -> tuple[str, ...]:
    """The names of all sources, or of the one that was asked for. Raises Failure."""
    names = tuple(one.name for one in bridge.sources)
    if not names:
        raise Failure(
            ExitCode.CONFIGURATION, "no source is configured: see [[mdm.sources]] in docs/operations-guide/settings.md"
        )
    if source is not None and source not in names:
        raise Failure(ExitCode.NOT_FOUND, f"there is no source `{source}`: there are {', '.join(names)}")
    return names if source is None else (source,)

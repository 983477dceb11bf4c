"""From a user, a device and what is known of it to the question that the engine answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from gatepost.cli.failure import ExitCode, Failure
from gatepost.engine import AccessRequest, DeviceProperties
from gatepost.model import Action, Device, canonical_device_id
from gatepost.wire.eas import device_information

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost.engine import RuleSet
    from gatepost.model import User


@dataclass(frozen=True, slots=True)
class Shown:
    """What somebody says about a device; None is what they leave to the store."""

    device_type: str | None = None
    model: str | None = None
    operating_system: str | None = None
    user_agents: tuple[str, ...] | None = None
    ip: str | None = None


def find_user_id(ruleset: RuleSet, user: str) -> str | None:
    """The user id that `user` (a login, an address, an alias or an id) stands for; None for nobody."""
    return user if user in ruleset.users else ruleset.identify(user)


def require_user_id(ruleset: RuleSet, user: str) -> str:
    """`find_user_id`, or Failure."""
    user_id = find_user_id(ruleset, user)
    if user_id is None:
        raise Failure(
            ExitCode.NOT_FOUND, f"there is no user `{user}` in organization {ruleset.organization.organization_id}"
        )
    return user_id


def name_of(user: User | None, user_id: str) -> str:
    """What people call the user: the address, else the name; the id of one who is not known."""
    return user_id if user is None else user.email or user.name


def find_device(devices: Iterable[Device], user_id: str | None, device_id: str) -> Device | None:
    """The user's device of this DeviceId, in any case."""
    wanted = canonical_device_id(device_id)
    return next((one for one in devices if one.user_id == user_id and one.device_id == wanted), None)


def question(
    user_id: str | None, device_ids: Iterable[str], device: Device | None, shown: Shown = Shown()
) -> AccessRequest:
    """What the gateway would ask about the device now: what is said about it first, then what the store knows.

    Raises ValueError for an address that is none.
    """
    address = shown.ip or (device.last_ip_address if device else None)
    return AccessRequest(
        action=Action.ACTIVE_SYNC,
        ip_address=ip_address(address) if address else None,
        user_id=user_id,
        device_ids=tuple(map(canonical_device_id, device_ids)),
        device=_with(_known(device), shown),
    )


def _known(device: Device | None) -> DeviceProperties:
    if device is None:
        return DeviceProperties(complete=False)
    return DeviceProperties(
        device_type=device.device_type or None,
        device_model=device.facts.model or None,
        device_operating_system=device.facts.operating_system or None,
        user_agents=tuple(agent for agent in (device.http_user_agent, device.facts.user_agent) if agent),
        complete=device.facts.reported or device.protocol_version in device_information.WITHOUT,
    )


def _with(known: DeviceProperties, shown: Shown) -> DeviceProperties:
    said = shown.model is not None or shown.operating_system is not None or shown.user_agents is not None
    return replace(
        known,
        device_type=known.device_type if shown.device_type is None else shown.device_type or None,
        device_model=known.device_model if shown.model is None else shown.model or None,
        device_operating_system=known.device_operating_system
        if shown.operating_system is None
        else shown.operating_system or None,
        user_agents=known.user_agents if shown.user_agents is None else tuple(filter(None, shown.user_agents)),
        complete=known.complete or said,
    )

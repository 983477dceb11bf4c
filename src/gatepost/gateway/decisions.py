"""From an identified request to a decision; whatever goes wrong on the way is a DENY."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gatepost.engine import AccessRequest, Decision, DeviceProperties, Reason, decide
from gatepost.gateway.devices import NOTHING_REPORTED
from gatepost.model import Action, Effect
from gatepost.wire.eas import device_information

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from gatepost.gateway.devices import DeviceState
    from gatepost.gateway.identify import Identity
    from gatepost.gateway.replica import Replica
    from gatepost.wire.eas.request import EasRequest

log = structlog.get_logger(__name__)

_DENIED_UNKNOWN_USER = Decision(Effect.DENY, Reason.USER_NOT_FOUND)
_DENIED_NO_ORGANIZATION = Decision(Effect.DENY, Reason.ORGANIZATION_NOT_FOUND)
_DENIED_RULES_TOO_OLD = Decision(Effect.DENY, Reason.RULES_TOO_OLD)
_DENIED_ERROR = Decision(Effect.DENY, Reason.ERROR)


class Decider:
    """Decides by the replica, as long as that is not older than `max_age` seconds."""

    def __init__(self, replica: Replica, max_age: float) -> None:
        self._replica = replica
        self._max_age = max_age
        self.too_old = False

    def look(self) -> None:
        """Called about every second: are the rules older than may be relied on?"""
        self.too_old = self._replica.age > self._max_age

    def decide(
        self,
        identity: Identity | None,
        eas: EasRequest,
        http_user_agent: str | None,
        ip_address: IPv4Address | IPv6Address | None,
        state: DeviceState | None,
    ) -> Decision:
        """ALLOW, DENY, or undecided until the device has reported; never an exception."""
        try:
            if self.too_old:
                return _DENIED_RULES_TOO_OLD
            if identity is None:
                return _DENIED_UNKNOWN_USER
            ruleset = self._replica.rulesets.get(identity.organization_id)
            if ruleset is None:
                return _DENIED_NO_ORGANIZATION
            if state is None:
                return decide(ruleset, _access_request(identity, eas, http_user_agent, ip_address, None))
            request = state.request
            if (
                request is None
                or request.ip_address is not ip_address
                or state.http_user_agent != http_user_agent
                or state.device_type != eas.device_type
                or request.device_ids != eas.device_ids
                or state.protocol_version != eas.protocol_version
            ):
                request = _access_request(identity, eas, http_user_agent, ip_address, state)
                state.decision = None
                # kept only if it speaks of what the state says, so that the comparison above stays true
                same = (
                    state.http_user_agent == http_user_agent
                    and state.device_type == eas.device_type
                    and state.protocol_version == eas.protocol_version
                )
                state.request = request if same else None
            decision = state.decision
            if decision is None or state.ruleset is not ruleset:
                decision = decide(ruleset, request)
                state.ruleset = ruleset
                state.decision = decision if state.request is request else None
        except Exception:
            log.exception("decision.failed", command=eas.command, device_id=eas.device_id)
            return _DENIED_ERROR
        return decision


def _access_request(
    identity: Identity,
    eas: EasRequest,
    http_user_agent: str | None,
    ip_address: IPv4Address | IPv6Address | None,
    state: DeviceState | None,
) -> AccessRequest:
    facts = NOTHING_REPORTED if state is None else state.facts
    return AccessRequest(
        action=Action.ACTIVE_SYNC,
        ip_address=ip_address,
        user_id=identity.user_id,
        device_ids=eas.device_ids,
        device=DeviceProperties(
            device_type=eas.device_type or None,
            device_model=facts.model or None,
            device_operating_system=facts.operating_system or None,
            user_agents=tuple(agent for agent in (http_user_agent, facts.user_agent) if agent),
            complete=facts.reported or eas.protocol_version in device_information.WITHOUT,
        ),
    )

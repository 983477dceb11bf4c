"""Of direct mode with Amazon WorkMail as a target: whether the bridge may write there, and what becomes of unknown devices."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from gatepost.cli.check_findings import Finding
from gatepost.mdm.targets.workmail import NoSuchUser, TargetRefused, TargetUnavailable, WorkMailTarget
from gatepost.model import Effect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gatepost.mdm.configuration import BridgeConfiguration, WorkMailConfiguration

HOW_TO = "docs/how-to/mdm-direct-mode.md"

_DESCRIPTION = "gatepost check: whether this key may write; of nobody's device"


def may_not(bridge: BridgeConfiguration) -> str | None:
    """What of a bridge's work cannot be done there, and why; None: nothing, or there is no such target."""
    if bridge.workmail is None:
        return None
    return asyncio.run(_may_not(WorkMailTarget(bridge.workmail, bridge.instance)))


def default_deny_there(bridge: BridgeConfiguration) -> list[Finding]:
    """That organization denies a device that nobody has vouched for; no finding where nothing rests on that.

    Without `write_deny` the bridge takes an ALLOW away and leaves the rest to the rules, which are that organization's own.
    """
    if bridge.workmail is None or bridge.policy.write_deny:
        return []
    requirement = "an unknown device is denied in Amazon WorkMail"
    target = WorkMailTarget(bridge.workmail, bridge.instance)
    try:
        effect, rules = asyncio.run(target.effect_for_unknown())
    except (TargetUnavailable, TargetRefused) as error:
        may = f"the key needs workmail:GetMobileDeviceAccessEffect: {HOW_TO}"
        return [Finding(requirement, False, f"its rules cannot be asked: {error}", (may,))]
    if effect is Effect.DENY:
        return [Finding(requirement, True, f"the rules of {target.organization_id} deny it")]
    by = f" by {', '.join(f'`{rule}`' for rule in rules)}" if rules else ""
    says = f"{target.organization_id} lets it in{by}, so there whoever loses an ALLOW goes on reading mail"
    write_deny = "or set mdm.write_deny: the bridge then says DENY for every device that an MDM knows"
    return [Finding(requirement, False, says, (_deny_all(bridge.workmail), write_deny))]


async def _may_not(target: WorkMailTarget) -> str | None:
    """Each operation is tried on a user and a device that there cannot be, so nothing is read of anybody or changed.

    Should a server take an override of nobody's all the same, it is a DENY, and taken away by what is tried last.
    """
    nobody, nothing = str(uuid4()), uuid4().hex.upper()
    tries: dict[str, Callable[[], Awaitable[object]]] = {
        "ListMobileDeviceAccessOverrides": lambda: _first(target),
        "DescribeUser": lambda: target.user_of(nobody),
        "GetMobileDeviceAccessOverride": lambda: target.get(nobody, nothing),
        "PutMobileDeviceAccessOverride": lambda: target.put(nobody, nothing, Effect.DENY, _DESCRIPTION),
        "DeleteMobileDeviceAccessOverride": lambda: target.delete(nobody, nothing),
    }
    refused: list[str] = []
    for operation, ask in tries.items():
        try:
            with suppress(NoSuchUser):
                await ask()
        except TargetUnavailable as error:
            return f"{operation}: {error}"
        except TargetRefused as error:
            refused.append(f"{operation}: {error}")
    return "; ".join(refused) or None


async def _first(target: WorkMailTarget) -> None:
    async for _ in target.list():
        return


def _deny_all(workmail: WorkMailConfiguration) -> str:
    words = ["aws", *(("--endpoint-url", workmail.endpoint_url) if workmail.endpoint_url else ())]
    words += ["--region", workmail.region, "workmail", "create-mobile-device-access-rule"]
    words += ["--organization-id", workmail.organization_id, "--name", "DefaultDenyAll", "--effect", "DENY"]
    return shlex.join(words)

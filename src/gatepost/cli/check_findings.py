"""What `gatepost check` finds: a requirement, whether it is met, and what to do where it is not."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatepost.cli.asking import name_of
from gatepost.operations import modes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatepost.engine import RuleSet
    from gatepost.operations.modes import RuleCall
    from gatepost.operations.openings import Network, Opening

_SHOWN = 4  # networks that are named before "and so many more"


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement: `says` is what was found, `to_do` are commands and advice, a line each."""

    requirement: str
    met: bool
    says: str
    to_do: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"requirement": self.requirement, "met": self.met, "says": self.says, "to_do": list(self.to_do)}


@dataclass(frozen=True, slots=True)
class Asked:
    """The organization that is looked at, with the endpoint that commands for it go to."""

    ruleset: RuleSet
    endpoint: str

    def aws(self, call: RuleCall) -> str:
        """The call as a command to type."""
        return aws_command(call, self.ruleset.organization.organization_id, self.endpoint)

    def show_access_rules(self) -> str:
        """The command that lists the access control rules."""
        organization_id = self.ruleset.organization.organization_id
        return (
            f"aws --endpoint-url {self.endpoint} workmail list-access-control-rules --organization-id {organization_id}"
        )


def aws_command(call: RuleCall, organization_id: str, endpoint: str) -> str:
    """The call as the `aws` command spells it."""
    words = ["aws", "--endpoint-url", endpoint, "workmail", call.operation.replace("_", "-")]
    words += ["--organization-id", organization_id]
    for name, value in call.parameters.items():
        words += [f"--{name.replace('_', '-')}", *((value,) if isinstance(value, str) else value)]
    return shlex.join(words)


def only_active_sync(asked: Asked, inside: Sequence[str]) -> Finding:
    """Direct mode: ActiveSync is the only way in for devices from outside, and it is open."""
    requirement = "ActiveSync is the only way in from outside"
    judged = inside or modes.PRIVATE_NETWORKS
    open_ways = modes.other_ways_in(asked.ruleset, judged)
    comes_in = modes.phones_come_in(asked.ruleset, judged)
    if comes_in and not open_ways:
        return Finding(requirement, True, "ActiveSync is open, every other way to mail is closed outside your networks")
    says = _openings(asked, open_ways)
    if not comes_in:
        says.append("ActiveSync itself is closed, so no phone comes in")
    advice = _commands(asked, modes.direct_mode(asked.ruleset, inside), {"put_access_control_rule"})
    if open_ways:
        advice += ("networks of your own: name them with --inside, here and for `gatepost setup direct-mode`",)
    if not comes_in and _still_closed(asked, inside):
        advice += (f"and look for the rule that denies ActiveSync: {asked.show_access_rules()}",)
    return Finding(requirement, False, "; ".join(says), advice)


def default_deny(asked: Asked) -> Finding:
    """Direct mode: a device that nobody has vouched for is denied."""
    requirement = "an unknown device is denied"
    found = modes.unvouched(asked.ruleset)
    if found is None:
        return Finding(requirement, True, "device rules deny every device that has no override")
    device = found.device
    said = [f"of type `{device.device_type}`"] if device.device_type else []
    said += [f"with user agent `{agent}`" for agent in device.user_agents]
    names = {rule.key: rule.source.name for rule in asked.ruleset.device_rules}
    if found.decision.allowed:
        rules = ", ".join(f"`{names[key]}`" for key in found.decision.matched_rules)
        says = f"a device {' '.join(said) or 'that says nothing of itself'} is let in by {rules}"
    else:
        waits = " and ".join(found.decision.waits_for)
        says = f"a device {' '.join(said) or 'that has said nothing yet'} is let in if its {waits} is right"
    advice = _commands(
        asked,
        modes.direct_mode(asked.ruleset),
        {"create_mobile_device_access_rule", "update_mobile_device_access_rule"},
    )
    return Finding(requirement, False, says, advice)


def only_from_proxy(asked: Asked, proxies: Sequence[str]) -> Finding:
    """Proxy mode: ActiveSync comes from the proxy, and from nowhere else."""
    requirement = "ActiveSync comes from the proxy only"
    beyond = modes.past_the_proxy(asked.ruleset, proxies)
    kept_out = modes.proxies_kept_out(asked.ruleset, proxies)
    if beyond is None and not kept_out:
        return Finding(requirement, True, f"ActiveSync is open from {', '.join(proxies)} and from nowhere else")
    says = [] if beyond is None else _openings(asked, [beyond])
    if kept_out:
        says.append(f"ActiveSync is closed from {_networks(kept_out)}, which is the proxy")
    calls = modes.proxy_mode(asked.ruleset, proxies)
    advice = _commands(asked, calls, {"put_access_control_rule"})
    if modes.proxies_kept_out(modes.after(asked.ruleset, calls), proxies):
        advice += (f"and look for the rule that denies ActiveSync: {asked.show_access_rules()}",)
    return Finding(requirement, False, "; ".join(says), advice)


def _still_closed(asked: Asked, inside: Sequence[str]) -> bool:
    then = modes.after(asked.ruleset, modes.direct_mode(asked.ruleset, inside))
    return not modes.phones_come_in(then, inside or modes.PRIVATE_NETWORKS)


def _commands(asked: Asked, calls: Iterable[RuleCall], operations: set[str]) -> tuple[str, ...]:
    return tuple(asked.aws(call) for call in calls if call.operation in operations)


def _openings(asked: Asked, openings: Sequence[Opening]) -> list[str]:
    """Those that are alike in one sentence."""
    actions: dict[str, list[str]] = {}
    for one in openings:
        actions.setdefault(_where(asked, one), []).append(one.action.value)
    return [f"{', '.join(those)} open {where}" for where, those in actions.items()]


def _where(asked: Asked, opening: Opening) -> str:
    who = "" if opening.user_ids is None else f" for {', '.join(_name(asked, one) for one in opening.user_ids)}"
    rules = ", ".join(f"`{rule}`" for rule in opening.rules)
    return f"from {'everywhere' if opening.everywhere else _networks(opening.networks)}{who}, by {rules}"


def _networks(networks: Sequence[Network]) -> str:
    more = len(networks) - _SHOWN
    return ", ".join(map(str, networks[:_SHOWN])) + (f" and {more} more networks" if more > 0 else "")


def _name(asked: Asked, user_id: str) -> str:
    return name_of(asked.ruleset.users.get(user_id), user_id)

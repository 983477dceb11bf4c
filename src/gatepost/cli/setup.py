"""`gatepost setup`: the rules that direct mode, or proxy mode, rests on; shown first, then made."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.text import Text

from gatepost.cli.asking import question
from gatepost.cli.check import networks
from gatepost.cli.check_findings import Asked, Finding, default_deny, only_active_sync, only_from_proxy
from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.init import endpoint
from gatepost.cli.opening import Rules, acting, opened, read_rules, read_settings
from gatepost.cli.options import Config, Organization
from gatepost.cli.screen import answers, remarks
from gatepost.engine import RuleSet, decide
from gatepost.model import MobileDeviceAccessRule
from gatepost.operations import modes
from gatepost.operations.context import Context
from gatepost.operations.errors import LimitExceededException
from gatepost.operations.modes import Rule, RuleCall

app = typer.Typer(help="Make the rules that direct mode or proxy mode rests on.", no_args_is_help=True)

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("direct-mode")
def direct_mode(
    *,
    inside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR",
            help="A network of your own, where other protocols stay open; may be repeated.",
            show_default=False,
        ),
    ] = None,
    yes: Yes = False,
    organization_id: Organization = None,
    config: Config = None,
) -> None:
    """Leave ActiveSync as the only way in from outside, and deny every device that has no override."""
    own = networks("--inside", inside)
    then = _bring_about(lambda ruleset: modes.direct_mode(ruleset, own), config, organization_id, yes=yes)
    _end([only_active_sync(then, own), default_deny(then)])


@app.command("proxy-mode")
def proxy_mode(
    *,
    proxy: Annotated[
        list[str],
        typer.Option(metavar="CIDR", help="The MDM's proxy comes from here; may be repeated.", show_default=False),
    ],
    yes: Yes = False,
    organization_id: Organization = None,
    config: Config = None,
) -> None:
    """Let ActiveSync in from the addresses of an MDM's proxy only."""
    proxies = networks("--proxy", proxy)
    then = _bring_about(lambda ruleset: modes.proxy_mode(ruleset, proxies), config, organization_id, yes=yes)
    _end([only_from_proxy(then, proxies)])


def _bring_about(
    missing: Callable[[RuleSet], Sequence[RuleCall]], config: Path | None, organization_id: str | None, *, yes: bool
) -> Asked:
    """Show the calls that are missing, and make them; answers the rules as they then are."""
    settings = read_settings(config)
    with opened(settings) as store:
        rules = read_rules(store, settings, organization_id)
        calls = missing(rules.ruleset)
        then = Asked(modes.after(rules.ruleset, calls), endpoint(settings.control.listen))
        _show(rules, calls, then)
        _make(acting(store), rules, calls, yes=yes)
    return then


def _show(rules: Rules, calls: Sequence[RuleCall], then: Asked) -> None:
    console = answers()
    organization = rules.ruleset.organization
    if not calls:
        console.print(f"{organization.organization_id} ({organization.default_domain}): nothing to do")
        return
    console.print(Text(f"{organization.organization_id} ({organization.default_domain}), to be done:", "bold"))
    for call in calls:
        verb = "make" if call.before is None else "replace"
        console.print(f"\n{verb} {_shown(call)}", soft_wrap=True)
        if call.before is not None:
            console.print(
                f"   which was: {call.before.effect.value}, {_lists(_conditions(call.before))}", soft_wrap=True
            )
        console.print(Text(f"   {then.aws(call)}", "dim"), soft_wrap=True)
    lost = _cut_off(rules, then)
    if lost:
        console.print(f"\nphones that are let in at present and then will be refused: {lost} (gatepost devices list)")


def _shown(call: RuleCall) -> str:
    kind = "access control rule" if call.operation == "put_access_control_rule" else "mobile device access rule"
    lists = {name: value for name, value in call.parameters.items() if not isinstance(value, str)}
    return f"the {kind} `{call.parameters['name']}`: {call.parameters['effect']}, {_lists(lists)}"


def _lists(lists: Mapping[str, tuple[str, ...]]) -> str:
    said = (f"{name.replace('_', ' ')}: {', '.join(values)}" for name, values in lists.items() if values)
    return "; ".join(said) or "without conditions"


def _conditions(rule: Rule) -> dict[str, tuple[str, ...]]:
    lists = asdict(rule.conditions if isinstance(rule, MobileDeviceAccessRule) else rule)
    return {name: value for name, value in lists.items() if isinstance(value, tuple)}


def _cut_off(rules: Rules, then: Asked) -> int:
    """How many phones are let in now and would not be then."""
    questions = [question(one.user_id, (one.device_id,), one) for one in rules.devices]
    return sum(decide(rules.ruleset, one).allowed and not decide(then.ruleset, one).allowed for one in questions)


def _make(context: Context, rules: Rules, calls: Sequence[RuleCall], *, yes: bool) -> None:
    if not calls:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise Failure(ExitCode.USAGE, "nothing was changed: nobody is there to be asked; say --yes")
        if not typer.confirm("\nDo it?", err=True):
            raise Failure(ExitCode.FAILED, "nothing was changed")
    try:
        modes.carry_out(context, rules.ruleset.organization.organization_id, calls)
    except LimitExceededException:
        raise Failure(
            ExitCode.FAILED, "there are as many rules already as WorkMail allows (10): delete one, then run this again"
        ) from None
    remarks().print("done")


def _end(findings: Sequence[Finding]) -> None:
    """Say what the rules that were made do not reach: another rule is in the way."""
    missing = [one for one in findings if not one.met]
    for one in missing:
        remarks().print(Text(f"{one.requirement}: {one.says}"))
        for line in one.to_do:
            remarks().print(Text(f"   → {line}"), soft_wrap=True)
    if missing:
        raise typer.Exit(ExitCode.NOT_MET)

"""`gatepost explain`: what would be decided about a device, and why."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from gatepost.cli.asking import Shown, find_device, find_user_id, question
from gatepost.cli.failure import ExitCode
from gatepost.cli.opening import opened, read_rules, read_settings
from gatepost.cli.options import AsJson, Config, Organization
from gatepost.cli.screen import answers, print_json
from gatepost.engine import AccessRequest, Explanation, Outcome, RuleExplained, RuleSet, StepExplained
from gatepost.engine import explain as engine_explain
from gatepost.model import Effect

_CODES = {Effect.ALLOW: ExitCode.OK, Effect.DENY: ExitCode.DENIED, None: ExitCode.UNDECIDED}
_COLOURS = {Effect.ALLOW: "bold green", Effect.DENY: "bold red", None: "bold yellow"}
_MARKS = {True: "✓", False: "✗", None: "?"}


def explain(
    *,
    user: Annotated[
        str, typer.Option("--user", metavar="U", help="A login, address, alias or user id.", show_default=False)
    ],
    device: Annotated[
        list[str],
        typer.Option(
            "--device", metavar="D", help="The DeviceId, in any case; a second spelling too.", show_default=False
        ),
    ],
    ip: Annotated[
        str | None,
        typer.Option(
            "--ip", metavar="A", help="The phone's address; otherwise the one it had last.", show_default=False
        ),
    ] = None,
    device_type: Annotated[
        str | None, typer.Option(metavar="T", help="Instead of what the store knows.", show_default=False)
    ] = None,
    device_model: Annotated[
        str | None, typer.Option(metavar="M", help="Instead of what the store knows.", show_default=False)
    ] = None,
    device_operating_system: Annotated[
        str | None, typer.Option(metavar="OS", help="Instead of what the store knows.", show_default=False)
    ] = None,
    device_user_agent: Annotated[
        list[str] | None,
        typer.Option(metavar="UA", help="Instead of what the store knows; may be repeated.", show_default=False),
    ] = None,
    organization_id: Organization = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say what is decided about a user's device, and why: every rule considered, what matched, what failed."""
    agents = tuple(device_user_agent) if device_user_agent else None
    shown = Shown(device_type, device_model, device_operating_system, agents, ip)
    settings = read_settings(config)
    with opened(settings) as store:
        rules = read_rules(store, settings, organization_id)
    user_id = find_user_id(rules.ruleset, user)
    known = find_device(rules.devices, user_id, device[0])
    try:
        request = question(user_id, device, known, shown)
    except ValueError:
        raise typer.BadParameter(f"expected an IPv4 or IPv6 address, got `{ip}`", param_hint="--ip") from None
    explanation = engine_explain(rules.ruleset, request)
    if as_json:
        print_json(_as_json(rules.ruleset, request, explanation))
    else:
        _print(user, rules.ruleset, request, explanation)
    raise typer.Exit(_CODES[explanation.decision.effect])


def _as_json(ruleset: RuleSet, request: AccessRequest, explanation: Explanation) -> dict[str, Any]:
    known = ruleset.users.get(request.user_id or "")
    return {
        **asdict(explanation.decision),
        "request": {
            "organization_id": ruleset.organization.organization_id,
            "action": request.action,
            "user_id": request.user_id,
            "user": known.name if known else None,
            "user_state": known.state if known else None,
            "ip_address": str(request.ip_address) if request.ip_address else None,
            "device_ids": list(request.device_ids),
            **asdict(request.device),
        },
        "steps": [asdict(step) for step in explanation.steps],
    }


def _print(user: str, ruleset: RuleSet, request: AccessRequest, explanation: Explanation) -> None:
    console, decision = answers(), explanation.decision
    headline = Text(decision.effect or "UNDECIDED", _COLOURS[decision.effect])
    headline.append(f"  {decision.reason}", "default")
    headline.append(f"  (rules at revision {decision.revision})", "dim")
    console.print(headline)
    for name, value in _subject(user, ruleset, request):
        console.print(Text.assemble((f"  {name:<9}", "dim"), value))
    for number, step in enumerate(explanation.steps, start=1):
        console.print()
        _print_step(number, step)


def _subject(user: str, ruleset: RuleSet, request: AccessRequest) -> list[tuple[str, str]]:
    known, device = ruleset.users.get(request.user_id or ""), request.device
    state = known.state if known else "not in the directory yet" if request.user_id else "nobody that these rules know"
    missing = "empty" if device.complete else "not reported yet"
    properties = [
        ("type", device.device_type),
        ("model", device.device_model),
        ("system", device.device_operating_system),
        ("agents", ", ".join(device.user_agents)),
    ]
    return [
        ("user", f"{known.name if known else user}  {request.user_id or ''}  {state}"),
        ("device", ", ".join(request.device_ids)),
        ("address", str(request.ip_address) if request.ip_address else "unknown"),
        *((name, value or missing) for name, value in properties),
    ]


def _print_step(number: int, step: StepExplained) -> None:
    console = answers()
    style = "bold" if step.outcome is Outcome.DECIDED else "dim" if step.outcome is Outcome.NOT_REACHED else "default"
    console.print(Text.assemble((f"{number}  {step.step}: {step.outcome}", style), (f"  {step.because}", "dim")))
    for rule in step.rules:
        _print_rule(rule, faint=step.outcome is Outcome.NOT_REACHED)


def _print_rule(rule: RuleExplained, *, faint: bool) -> None:
    console = answers()
    line = Text(f"{_MARKS[rule.matched]} {rule.effect:<5}  {rule.name}", "dim" if faint else "default")
    if rule.produced:
        line.stylize("bold")
        line.append("  ← this decided")
    if rule.error:
        line.append(f"  {rule.error}", "red")
    elif not rule.conditions:
        line.append("  no conditions: matches everything", "dim")
    console.print(Padding.indent(line, 3))
    for condition in rule.conditions:
        detail = Text(
            f"{_MARKS[condition.matched]} {condition.name} [{', '.join(condition.listed)}]",
            "dim" if faint else "default",
        )
        detail.append(f"  {condition.because}", "dim")
        console.print(Padding.indent(detail, 10))

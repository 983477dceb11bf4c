"""`gatepost check`: whether everything is there that direct mode, or proxy mode, rests on, and what to do where it is not."""

from ipaddress import ip_network
from typing import Annotated

import typer
from rich.text import Text

from gatepost.cli.check_bridge import able_to_write, heard_from
from gatepost.cli.check_findings import Asked, Finding, default_deny, only_active_sync, only_from_proxy
from gatepost.cli.check_workmail import default_deny_there
from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.init import endpoint
from gatepost.cli.mdm_reading import read_bridge
from gatepost.cli.opening import opened
from gatepost.cli.options import AsJson, Config, Organization
from gatepost.cli.screen import answers, print_json
from gatepost.engine import RuleSet
from gatepost.mdm.configuration import BridgeConfiguration
from gatepost.model import Organization as OrganizationNoun
from gatepost.model import OrganizationState
from gatepost.operations.access_control_rules import all_rules as all_access_control_rules
from gatepost.operations.mobile_device_access_rules import all_rules as all_device_rules
from gatepost.store import organizations, users
from gatepost.store.database import Reader, Store

_PAGE = 100


def check(
    *,
    inside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR", help="A network of your own; may be repeated.", show_default="the private networks"
        ),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR",
            help="Check proxy mode: the MDM's proxy comes from here; may be repeated.",
            show_default=False,
        ),
    ] = None,
    organization_id: Organization = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check what direct mode rests on (with --proxy: proxy mode), in each organization; the exit code says whether it holds."""
    own, proxies = networks("--inside", inside), networks("--proxy", proxy)
    settings, bridge = read_bridge(config)
    api = endpoint(settings.control.listen)
    found: list[tuple[RuleSet, list[Finding]]] = []
    with opened(settings) as store:
        rulesets = _rules(store, organization_id)
        # these ask Amazon WorkMail, so once for all
        writes = [] if proxies else [_able_to_write(store, bridge), *default_deny_there(bridge)]
        for ruleset in rulesets:
            asked = Asked(ruleset, api)
            if proxies:
                findings = [only_from_proxy(asked, proxies)]
            else:
                findings = [
                    only_active_sync(asked, own),
                    default_deny(asked),
                    _heard_from(store, bridge, asked),
                    *writes,
                ]
            found.append((ruleset, findings))
    mode = "proxy" if proxies else "direct"
    if as_json:
        print_json([_as_json(ruleset, mode, findings) for ruleset, findings in found])
    else:
        for ruleset, findings in found:
            _print(ruleset, mode, findings)
    if not all(one.met for _, findings in found for one in findings):
        raise typer.Exit(ExitCode.NOT_MET)


def _heard_from(store: Store, bridge: BridgeConfiguration, asked: Asked) -> Finding:
    with store.read() as reader:
        return heard_from(reader, bridge, asked.ruleset.organization.organization_id)


def _able_to_write(store: Store, bridge: BridgeConfiguration) -> Finding:
    with store.read() as reader:
        return able_to_write(reader, bridge)


def networks(option: str, given: list[str] | None) -> tuple[str, ...]:
    """What was typed, as networks. Raises Failure."""
    try:
        return tuple(str(ip_network(text)) for text in given or ())
    except ValueError as error:
        raise Failure(ExitCode.USAGE, f"{option}: expected a network such as 192.0.2.0/24: {error}") from None


def _rules(store: Store, organization_id: str | None) -> list[RuleSet]:
    """The rules of each active organization, or of the one that is named, with the users whom they name. Raises Failure."""
    with store.read() as reader:
        active = [one for one in _all(reader) if one.state is OrganizationState.ACTIVE]
        chosen = [one for one in active if organization_id in (None, one.organization_id)]
        if not chosen:
            there = "organization yet: `gatepost init` makes one"
            raise Failure(
                ExitCode.NOT_FOUND, f"there is no {f'organization `{organization_id}`' if organization_id else there}"
            )
        return [_ruleset(reader, one) for one in chosen]


def _all(reader: Reader) -> list[OrganizationNoun]:
    found: list[OrganizationNoun] = []
    while page := organizations.page(reader, found[-1].organization_id if found else None, _PAGE):
        found += page
    return found


def _ruleset(reader: Reader, organization: OrganizationNoun) -> RuleSet:
    organization_id = organization.organization_id
    access = all_access_control_rules(reader, organization_id)
    named = {user_id for rule in access for user_id in (*rule.user_ids, *rule.not_user_ids)}
    found = (users.get(reader, organization_id, user_id) for user_id in sorted(named))
    return RuleSet.build(
        organization,
        users=[user for user in found if user is not None],
        rules=all_device_rules(reader, organization_id),
        access_control_rules=access,
    )


def _as_json(ruleset: RuleSet, mode: str, findings: list[Finding]) -> dict[str, object]:
    return {
        "organization_id": ruleset.organization.organization_id,
        "mode": mode,
        "met": all(one.met for one in findings),
        "requirements": [one.as_json() for one in findings],
    }


def _print(ruleset: RuleSet, mode: str, findings: list[Finding]) -> None:
    console = answers()
    organization = ruleset.organization
    console.print(Text(f"{organization.organization_id} ({organization.default_domain}), {mode} mode", "bold"))
    for number, one in enumerate(findings, 1):
        console.print(Text(f"{'✓' if one.met else '✗'} {number}  {one.requirement}", "green" if one.met else "red"))
        console.print(Text(f"     {one.says}", "dim"), soft_wrap=True)
        for line in one.to_do:
            console.print(Text(f"     → {line}"), soft_wrap=True)

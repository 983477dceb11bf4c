"""`gatepost override`: what a person decides about one user's device, for a while or until it is taken back."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import typer

from gatepost.cli import moments
from gatepost.cli.asking import name_of
from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.opening import Rules, acting, opened, read_rules, read_settings
from gatepost.cli.options import AsJson, Config, Organization
from gatepost.cli.screen import answers, moment, print_json, table
from gatepost.model import Effect, MobileDeviceAccessOverride, canonical_device_id
from gatepost.operations import mobile_device_access_overrides
from gatepost.operations.errors import WorkMailError

app = typer.Typer(help="Decisions of people about one user's device.", no_args_is_help=True)

_DEVICE_ID = re.compile(r"[A-Za-z0-9]{1,32}")

User: TypeAlias = Annotated[
    str, typer.Option("--user", metavar="U", help="A login, address, alias or user id.", show_default=False)
]
DeviceOption: TypeAlias = Annotated[
    str, typer.Option("--device", metavar="D", help="The DeviceId, in any case.", show_default=False)
]


@app.command("put")
def put_override(
    *,
    user: User,
    device: DeviceOption,
    effect: Annotated[Effect, typer.Option(help="What it does.", case_sensitive=False, show_default=False)],
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; shown wherever it is.", show_default=False)
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="After 30m, 12h, 7d, 2w, or at 2026-12-24T18:00.", show_default=False),
    ] = None,
    organization_id: Organization = None,
    config: Config = None,
) -> None:
    """Allow or deny one device of one user, whatever the rules say."""
    if not _DEVICE_ID.fullmatch(device):
        raise Failure(ExitCode.USAGE, f"`{device}` is no DeviceId: 1 to 32 letters and digits")
    until = None if expires is None else moments.until(expires, datetime.now(UTC))
    settings = read_settings(config)
    with opened(settings) as store:
        rules = read_rules(store, settings, organization_id)
        try:
            mobile_device_access_overrides.put(
                acting(store, settings),
                organization_id=rules.ruleset.organization.organization_id,
                user_id=user,
                device_id=device,
                effect=effect,
                description=description,
                expires=until,
            )
        except WorkMailError as error:
            raise Failure(ExitCode.NOT_FOUND, f"`{user}`: {error}") from None
    answers().print(
        f"{effect.value} for {user}, device {canonical_device_id(device)}{'' if until is None else f', until {moment(until)}'}"
    )


@app.command("list")
def list_overrides(
    *,
    user: Annotated[
        str | None, typer.Option("--user", metavar="U", help="Only this user's.", show_default=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="D", help="Only this device's.", show_default=False)
    ] = None,
    organization_id: Organization = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the overrides, the MDM bridge's too, with what is in force and until when."""
    settings = read_settings(config)
    with opened(settings) as store:
        rules = read_rules(store, settings, organization_id)
    user_id = None if user is None else rules.ruleset.identify(user) or user
    found = sorted(
        (
            one
            for theirs in (rules.ruleset.overrides, rules.ruleset.bridge_overrides)
            for one in theirs.values()
            if user_id in (None, one.user_id) and (device is None or one.device_id == canonical_device_id(device))
        ),
        key=lambda one: (_name(rules, one), one.device_id, one.owner),
    )
    if as_json:
        print_json([_as_json(rules, one) for one in found])
    elif not found:
        answers().print("no overrides")
    else:
        columns = ("user", "device id", "effect", "owner", "in force", "expires", "modified", "description")
        answers().print(table(columns, (_row(rules, one) for one in found)))


@app.command("delete")
def delete_override(
    *, user: User, device: DeviceOption, organization_id: Organization = None, config: Config = None
) -> None:
    """Take back the override in force: the decision is the MDM bridge's again, if it has one, or the rules'."""
    settings = read_settings(config)
    with opened(settings) as store:
        rules = read_rules(store, settings, organization_id)
        user_id = rules.ruleset.identify(user) or user
        if rules.ruleset.override(user_id, (canonical_device_id(device),)) is None:
            raise Failure(
                ExitCode.NOT_FOUND, f"there is no override for `{user}` and `{device}`: see `gatepost override list`"
            )
        mobile_device_access_overrides.delete(
            acting(store, settings),
            organization_id=rules.ruleset.organization.organization_id,
            user_id=user_id,
            device_id=device,
        )
    answers().print(f"taken back for {user}, device {canonical_device_id(device)}")


def _name(rules: Rules, override: MobileDeviceAccessOverride) -> str:
    return name_of(rules.ruleset.users.get(override.user_id), override.user_id)


def _in_force(rules: Rules, override: MobileDeviceAccessOverride) -> bool:
    return rules.ruleset.override(override.user_id, (override.device_id,)) == override


def _row(rules: Rules, override: MobileDeviceAccessOverride) -> tuple[str | None, ...]:
    return (
        _name(rules, override),
        override.device_id,
        override.effect.value,
        override.owner.value,
        "yes" if _in_force(rules, override) else "no",
        moment(override.expires),
        moment(override.date_modified),
        override.description,
    )


def _as_json(rules: Rules, override: MobileDeviceAccessOverride) -> dict[str, Any]:
    return {
        "user": _name(rules, override),
        "user_id": override.user_id,
        "device_id": override.device_id,
        "effect": override.effect.value,
        "owner": override.owner.value,
        "in_force": _in_force(rules, override),
        "expires": moment(override.expires),
        "date_created": moment(override.date_created),
        "date_modified": moment(override.date_modified),
        "description": override.description,
    }

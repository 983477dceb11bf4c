"""`gatepost init`: configuration, key file, database, organization and the first access key.

Each is made where it is missing, and whatever is there is left alone; so a run that was broken off is finished by the next.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.opening import acting, read_settings, sealing_key, store_failures
from gatepost.cli.options import AsJson
from gatepost.cli.screen import answers, print_json, remarks
from gatepost.model import Directory, Organization, OrganizationState
from gatepost.operations import access_keys, organizations
from gatepost.operations.context import Context
from gatepost.operations.errors import WorkMailError
from gatepost.operations.sealing import new_key
from gatepost.settings import FILE_NAME, Address, Settings, SettingsError, load, write_key_file
from gatepost.store.database import Store

_ADMINISTRATOR = "made by gatepost init"

_TEMPLATE = """\
# Gatepost. Every key is explained in docs/operations-guide/settings.md; GATEPOST_SECTION__KEY in the environment wins.

[store]
{store}
key_file = "gatepost.key"

[gateway]
listen = "127.0.0.1:8080"
{upstream}

[control]
listen = "127.0.0.1:8081"
"""


@dataclass(frozen=True, slots=True)
class Initialised:
    """What there is after `initialise`; `secret_access_key` is None unless the key was made now, `made` says what was."""

    organization_id: str
    access_key_id: str
    secret_access_key: str | None = field(repr=False)
    config: Path
    settings: Settings
    made: tuple[str, ...]


def init(
    *,
    directory: Annotated[
        Path,
        typer.Option(metavar="D", help="The folder for configuration and database.", show_default="the present one"),
    ] = Path(),
    organization_id: Annotated[
        str | None, typer.Option(metavar="m-…", help="The organization's id.", show_default="a random one")
    ] = None,
    domain: Annotated[
        list[str] | None, typer.Option(metavar="D", help="A mail domain; may be repeated.", show_default=False)
    ] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="The mail server to stand in front of.", show_default=False)
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="The database.", show_default="an SQLite file in the folder")
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Know only users that were created.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a configuration, a database, an organization and an access key; a second run changes nothing."""
    made = initialise(
        directory,
        organization_id=organization_id,
        domains=domain or (),
        upstream=upstream,
        store_url=store,
        directory_kind=Directory.CLOSED if closed else Directory.OPEN,
    )
    if organization_id not in {None, made.organization_id}:
        remarks().print(f"{organization_id} was not created: the database has {made.organization_id} already")
    if as_json:
        print_json(
            {
                "organization_id": made.organization_id,
                "access_key_id": made.access_key_id,
                "secret_access_key": made.secret_access_key,
                "config": str(made.config),
                "control_endpoint": endpoint(made.settings.control.listen),
                "gateway_endpoint": endpoint(made.settings.gateway.listen),
            }
        )
    else:
        _print(made)


def initialise(
    folder: Path,
    *,
    organization_id: str | None = None,
    domains: Sequence[str] = (),
    upstream: str | None = None,
    store_url: str | None = None,
    directory_kind: Directory = Directory.OPEN,
    environ: Mapping[str, str] = os.environ,
) -> Initialised:
    """Make what is missing in `folder`. Raises Failure."""
    _check(organization_id, upstream, store_url)
    made = []
    config = folder.absolute() / FILE_NAME
    if _write_config(config, upstream=upstream, store_url=store_url, environ=environ):
        made.append(f"the configuration {config}")
    settings = read_settings(config, environ)
    try:
        write_key_file(settings.store.key_file, new_key())
        made.append(f"the key file {settings.store.key_file}")
    except FileExistsError:
        pass
    except OSError as error:
        raise Failure(ExitCode.FAILED, f"cannot write `{settings.store.key_file}`: {error.strerror}") from error
    with store_failures():
        opened = Store.open(settings.store.url, create=True)
        try:
            context = acting(opened)
            organization = _organization(context, organization_id)
            if organization is None:
                names = [*domains] or _domain_of(settings.gateway.upstream)
                organization = _create_organization(context, organization_id, names, directory_kind)
                made.append(
                    f"the organization {organization.organization_id} with the mail domains {', '.join(organization.domains)}"
                )
            access_key_id, secret = _administrator(context, settings)
        finally:
            opened.close()
    if secret is not None:
        made.append(f"the access key {access_key_id}")
    return Initialised(organization.organization_id, access_key_id, secret, config, settings, tuple(made))


def _check(organization_id: str | None, upstream: str | None, store_url: str | None) -> None:
    """Before anything is written, what was typed is held to what the settings of the same meaning have to be."""
    typed = {
        "GATEPOST_GATEWAY__ORGANIZATION_ID": organization_id,
        "GATEPOST_GATEWAY__UPSTREAM": upstream,
        "GATEPOST_STORE__URL": store_url,
    }
    try:
        load(None, {name: value for name, value in typed.items() if value is not None})
    except SettingsError as error:
        raise Failure(ExitCode.USAGE, str(error)) from error


def endpoint(address: Address) -> str:
    """The URL by which a client on this machine reaches what listens at `address`."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked for, not bound
    return f"http://{Address(everywhere.get(address.host, address.host), address.port)}"


def program() -> str:
    """How the person at the terminal can call this program again."""
    return "gatepost" if shutil.which("gatepost") else sys.argv[0]


def next_steps(made: Initialised, control: Address) -> str:
    """The lines that lead from here to the first answer of the API, which is served at `control`."""
    aws = f"aws --endpoint-url {endpoint(control)} workmail"
    return f"""\
export AWS_ACCESS_KEY_ID={made.access_key_id}
export AWS_SECRET_ACCESS_KEY={made.secret_access_key or "…"}
export AWS_DEFAULT_REGION=us-east-1
{aws} list-mobile-device-access-rules --organization-id {made.organization_id}
{aws} list-mobile-device-access-overrides --organization-id {made.organization_id}
"""


def _write_config(config: Path, *, upstream: str | None, store_url: str | None, environ: Mapping[str, str]) -> bool:
    # A store that the environment names is not written down: its URL may hold a password that lives there on purpose.
    named = store_url or (None if environ.get("GATEPOST_STORE__URL") else "sqlite:///gatepost.db")
    text = _TEMPLATE.format(
        store=f"url = {json.dumps(named)}"
        if named
        else '# url = "sqlite:///gatepost.db"   (GATEPOST_STORE__URL was set)',
        upstream=f"upstream = {json.dumps(upstream)}" if upstream else '# upstream = "https://mail.example.com"',
    )
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(config, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise Failure(ExitCode.FAILED, f"cannot write `{config}`: {error.strerror}") from error
    return True


def _organization(context: Context, organization_id: str | None) -> Organization | None:
    """The organization that is there already: the one asked for, or the first."""
    token, first = None, None
    while True:
        page = organizations.list(context, next_token=token)
        for one in page.items:
            if one.organization_id == organization_id and one.state is OrganizationState.ACTIVE:
                return one
            if first is None and one.state is OrganizationState.ACTIVE:
                first = one
        token = page.next_token
        if token is None:
            return first


def _create_organization(
    context: Context, organization_id: str | None, domains: Sequence[str], directory: Directory
) -> Organization:
    alias = domains[0].lower().replace(".", "-")[:62].strip("-") if domains else "gatepost"
    try:
        created = organizations.create(
            context, alias=alias, domains=domains, organization_id=organization_id, directory=directory
        )
    except WorkMailError as error:
        raise Failure(ExitCode.FAILED, f"the organization cannot be created: {error}") from error
    return organizations.describe(context, organization_id=created)


def _administrator(context: Context, settings: Settings) -> tuple[str, str | None]:
    for key in access_keys.list(context):
        if key.date_revoked is None:
            return key.access_key_id, None
    created, secret = access_keys.create(context, sealing_key(settings), description=_ADMINISTRATOR)
    return created.access_key_id, secret


def _domain_of(upstream: str | None) -> list[str]:
    """`https://mail.example.com` serves example.com, most likely."""
    host = (urlsplit(upstream).hostname if upstream else None) or ""
    _, _, domain = host.partition(".")
    return [domain] if "." in domain and not host.replace(".", "").isdigit() else []


def _print(made: Initialised) -> None:
    if not made.made:
        remarks().print(
            f"Everything is there already, nothing was changed: {made.config}, organization {made.organization_id}."
        )
        return
    for one in made.made:
        remarks().print(f"made {one}")
    run = f"{program()} serve --config {made.config}"
    answers().print("\nNext:\n")
    if made.settings.gateway.upstream is None:
        answers().print(f"  name your mail server in {made.config}: upstream under [gateway]")
    answers().print(f"  {run}\n\nThen, in another terminal:\n")
    for line in next_steps(made, made.settings.control.listen).splitlines():
        answers().print(f"  {line}")
    if made.secret_access_key:
        remarks().print("\nKeep the secret access key: it is not shown again.")

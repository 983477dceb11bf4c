"""`gatepost db`: the database's schema."""

import typer

from gatepost.cli.failure import ExitCode
from gatepost.cli.opening import read_settings, store_failures
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, print_json
from gatepost.store import migrate
from gatepost.store.connections import parse_url, shown

app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@app.command("status")
def status(*, config: Config = None, as_json: AsJson = False) -> None:
    """Say which schema the database has, and which one this program needs."""
    settings = read_settings(config)
    with store_failures():
        found = migrate.status(settings.store.url)
        url = shown(parse_url(settings.store.url))
    current = found.current == found.head
    if as_json:
        print_json({"url": url, "current": found.current, "needed": found.head, "up_to_date": current})
    elif current:
        answers().print(f"{url} is up to date: schema {found.head}")
    else:
        has = f"has schema {found.current}" if found.current else "has no tables yet"
        answers().print(f"{url} {has}, this program needs {found.head}: run `gatepost db upgrade`")
    raise typer.Exit(ExitCode.OK if current else ExitCode.STORE)


@app.command("upgrade")
def upgrade(*, config: Config = None) -> None:
    """Bring the database to the schema that this program needs; changes nothing when it has it."""
    settings = read_settings(config)
    with store_failures():
        before = migrate.status(settings.store.url)
        after = migrate.upgrade(settings.store.url)
    if before.pending:
        answers().print(f"upgraded from {before.current or 'nothing'} to schema {after.head}")
    else:
        answers().print(f"nothing to do: schema {after.head}")

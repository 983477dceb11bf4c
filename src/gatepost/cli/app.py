"""The commands, put together, and the one place where a failure becomes an exit code."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from gatepost import __version__
from gatepost.cli import check, db, demo, devices, explain, init, keys, mdm, override, serve, setup
from gatepost.cli.failure import Failure

app = typer.Typer(
    name="gatepost",
    help="Decides which phones may read mail over Exchange ActiveSync.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("explain")(explain.explain)
app.command("check")(check.check)
app.add_typer(setup.app, name="setup")
app.add_typer(devices.app, name="devices")
app.add_typer(override.app, name="override")
app.add_typer(mdm.app, name="mdm")
app.add_typer(keys.app, name="keys")
app.add_typer(db.app, name="db")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer passes it so
    if wanted:
        typer.echo(f"gatepost {__version__}")
        raise typer.Exit


@app.callback()
def _gatepost(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Decides which phones may read mail over Exchange ActiveSync."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that was typed (or `arguments`); ends the process with its exit code."""
    try:
        app(arguments, prog_name="gatepost")
    except Failure as failure:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"gatepost: {failure}")
        sys.exit(failure.code)

"""`gatepost demo`: the whole thing on one machine, with a story; or in front of a real mail server."""

import typer


def demo() -> None:
    """Not there yet."""
    raise typer.Exit(1)

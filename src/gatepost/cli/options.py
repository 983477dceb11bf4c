"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file; otherwise $GATEPOST_CONFIG, ./gatepost.toml or /etc/gatepost/gatepost.toml.",
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Organization: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--organization-id", metavar="m-…", help="The organization; not needed when there is one.", show_default=False
    ),
]

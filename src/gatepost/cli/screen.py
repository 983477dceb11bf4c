"""Where commands write: answers to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_WIDE = 240  # columns where nobody looks: nothing that a program greps for may be cut


def answers() -> Console:
    """The console for answers."""
    return _console(stderr=False)


def remarks() -> Console:
    """The console for everything else."""
    return _console(stderr=True)


def print_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> Table:
    """A plain table without lines, in which long values are folded and never cut."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*("" if cell is None else cell for cell in row))
    return made


def moment(at: datetime | None) -> str | None:
    """A moment as ISO 8601 in UTC, to the second."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        width=None if stream.isatty() else _WIDE,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )

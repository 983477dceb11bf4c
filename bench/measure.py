"""What is measured of a process: CPU seconds and memory, its children included; and the tables that show it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.daemons import process_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time that the processes and their children have used so far, in seconds, to the nanosecond.

    It is what utime + stime of /proc/PID/stat say, without their rounding to 10 ms (clock_getcpuclockid(3)).
    """
    family = {pid for top in pids for pid, _ in process_tree(top)}
    return sum(time.clock_gettime(((~pid) << 3) | 2) for pid in family)


def pss_kib(pids: Iterable[int]) -> int:
    """Memory of the processes and their children in KiB, shared pages divided among those that share them."""
    total = 0
    for pid in {pid for top in pids for pid, _ in process_tree(top)}:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def median(values: Sequence[float]) -> float:
    """The median; nan of nothing."""
    return statistics.median(values) if values else float("nan")


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the values are, the nearest one that was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table under a title: the first column on the left, numbers on the right."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(head), *lines]) for i in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
            + " |"
        )

    rule = "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([f"\n### {title}\n", row(list(head)), rule, *map(row, lines)])


def target(name: str, value: float, limit: float, *, at_least: bool = False, unit: str = "") -> str:
    """One line that says whether a target was reached."""
    reached = value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    return f"{'reached' if reached else 'MISSED '}  {name}: {value:.3g}{unit} (to reach: {sign} {limit:g}{unit})"

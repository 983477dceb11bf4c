"""`make fuzz`, or `python -m tests.fuzz`: many inputs for every parser, in two processes."""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import secrets
import sys
import time
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

from tests.fuzz.loop import Report, run, shrink
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.queues import Queue

FOUND = Path("build/fuzz")
"""Where findings are kept: one file for each input, named after its target."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"which parsers; all: {', '.join(TARGETS)}")
    parser.add_argument(
        "--inputs", type=int, default=100_000, help="how many in all, shared out by weight (%(default)s)"
    )
    parser.add_argument("--seed", default=None, help="whatever was printed by the run that is wanted again")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="give this file's bytes to the one TARGET, and stop"
    )
    asked = parser.parse_args(arguments)
    unknown = set(asked.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if asked.replay is not None:
        if len(asked.targets) != 1:
            parser.error("--replay needs the one TARGET")
        print("accepted" if TARGETS[asked.targets[0]].check(asked.replay.read_bytes()) else "refused")
        return 0
    seed = asked.seed or secrets.token_hex(4)
    names = asked.targets or list(TARGETS)
    print(f"fuzz: {asked.inputs:,} inputs for {', '.join(names)}; again with the same: --seed {seed}", flush=True)
    reports = _all(names, asked.inputs, seed, asked.processes)
    return _tell(reports)


def shares(names: list[str], inputs: int, processes: int) -> list[tuple[str, int, int]]:
    """(target, process, inputs): by weight."""
    weights = sum(TARGETS[name].weight for name in names)
    return [
        (name, process, max(1, inputs * TARGETS[name].weight // weights // processes))
        for process in range(processes)
        for name in names
    ]


def _all(names: list[str], inputs: int, seed: str, processes: int) -> list[Report]:
    context = multiprocessing.get_context("spawn")
    said: Queue[tuple[int, str, int] | Report | None] = context.Queue()
    jobs = shares(names, inputs, processes)
    workers = [
        context.Process(target=_work, args=([job for job in jobs if job[1] == process], seed, said), daemon=True)
        for process in range(processes)
    ]
    for worker in workers:
        worker.start()
    total, began, reports = sum(count for _, _, count in jobs), time.monotonic(), []
    done: dict[tuple[int, str], int] = {}
    ended = 0
    shown = 0.0
    while ended < processes:
        try:
            message = said.get(timeout=5)
        except Empty:
            if not any(worker.is_alive() for worker in workers):
                raise SystemExit("fuzz: a process has died; the target that it was at is the last one named") from None
            continue
        if message is None:
            ended += 1
        elif isinstance(message, Report):
            reports.append(message)
            done[message.seed, message.target] = message.inputs
            print(f"\r{_line(message)}", flush=True)
        else:
            process, name, count = message
            done[f"{seed}/{process}", name] = count
            every = 1.0 if sys.stdout.isatty() else 60.0
            if time.monotonic() - shown > every:
                shown = time.monotonic()
                _progress(sum(done.values()), total, shown - began, name)
    for worker in workers:
        worker.join()
    return reports


def _progress(count: int, total: int, seconds: float, name: str) -> None:
    rate = count / seconds if seconds else 0.0
    left = (total - count) / rate if rate else 0.0
    end = "" if sys.stdout.isatty() else "\n"
    line = f"{count:>12,} of {total:,} ({count / total:.0%}), {rate:,.0f} a second, {left / 60:.0f} min left, {name}"
    print(f"\r{line:<100}", end=end, flush=True)


def _work(jobs: list[tuple[str, int, int]], seed: str, said: Queue[tuple[int, str, int] | Report | None]) -> None:
    for name, process, inputs in jobs:
        target = TARGETS[name]
        report = run(
            target,
            f"{seed}/{process}",
            inputs,
            lambda count, process=process, name=name: said.put((process, name, count)),
        )
        report.findings = [shrink(target, finding) for finding in report.findings]
        said.put(report)
    said.put(None)


def _line(report: Report) -> str:
    return (
        f"{report.target:<18} {report.inputs:>9,} inputs, {report.accepted / report.inputs:>4.0%} accepted, "
        f"{report.corpus:>4} kept, {report.lines:>4} steps, {1e6 * report.seconds / report.inputs:>4.0f} µs each, "
        f"slowest {1000 * report.slowest:.1f} ms, {report.growth:,} KiB more memory, {len(report.findings)} findings"
    )


def _tell(reports: list[Report]) -> int:
    found = {(finding.target, finding.trace): finding for report in reports for finding in report.findings}
    inputs, seconds = sum(report.inputs for report in reports), sum(report.seconds for report in reports)
    print(f"fuzz: {inputs:,} inputs in {seconds:,.0f} seconds of processor time, {len(found)} findings")
    for finding in found.values():
        FOUND.mkdir(parents=True, exist_ok=True)
        path = FOUND / f"{finding.target}-{hashlib.sha256(finding.data).hexdigest()[:12]}"
        path.write_bytes(finding.data)
        print(f"\n{finding.target}: {finding.error}\n  {finding.trace}\n  {finding.data[:300]!r}")
        print(f"  python -m tests.fuzz {finding.target} --replay {path}")
    return 1 if found else 0

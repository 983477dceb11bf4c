"""The loop: makes inputs, keeps those that reach new lines, and writes down what breaks a promise.

Everything follows from the seed, so that a run can be had again.
"""

from __future__ import annotations

import random
import resource
import sys
import time
import traceback
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.target import Target

LONGEST_SECONDS = 0.25
"""Of processor time for one input of some kilobytes; usual are microseconds. More, three times over, is a finding."""
_MOST_GROWTH = 64 * 1024
"""KiB that the process may grow by in a target's run, corpus included."""
_WATCH_EVERY = 24
_MOST_KEPT = 1200


@dataclass(frozen=True)
class Finding:
    """An input and what became of it."""

    target: str
    data: bytes
    error: str
    trace: str


@dataclass
class Report:
    """What a run came to; `seconds` of processor time."""

    target: str
    seed: str
    inputs: int = 0
    accepted: int = 0
    corpus: int = 0
    lines: int = 0
    slowest: float = 0.0
    growth: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def run(
    target: Target, seed: str, inputs: int, progress: Callable[[int], None] | None = None, enough: int = 5
) -> Report:
    """Give `target` so many inputs, the seeds first; after `enough` different findings it stops."""
    report = Report(target.name, seed)
    corpus = list(target.seeds)
    lines = Lines(target)
    for data in target.seeds:
        lines.new(lambda data=data: _one(target, data, report))
    mutator = Mutator(target, corpus, random.Random(f"{seed}/{target.name}"))
    make, began, memory = mutator.make, time.process_time(), _memory()
    places: set[str] = set()
    for count in range(len(target.seeds), inputs):
        data = make()
        if count % _WATCH_EVERY:
            finding = _one(target, data, report)
        else:
            fresh, finding = lines.new(lambda: _one(target, data, report))  # noqa: B023 - called at once
            if fresh and finding is None:
                _keep(corpus, data, mutator, len(target.seeds))
        if finding is not None and finding.trace not in places:
            places.add(finding.trace)
            report.findings.append(finding)
            if len(report.findings) >= enough:
                break
        if progress is not None and count % 2000 == 0:
            progress(count)
    report.seconds = time.process_time() - began
    report.corpus, report.lines = len(corpus), len(lines.seen)
    report.growth = _memory() - memory
    if report.growth > _MOST_GROWTH:
        report.findings.append(Finding(target.name, b"", f"memory grew by {report.growth} KiB", ""))
    return report


def _keep(corpus: list[bytes], data: bytes, mutator: Mutator, seeds: int) -> None:
    if len(corpus) < _MOST_KEPT:
        corpus.append(data)
    else:
        corpus[seeds + mutator.below(len(corpus) - seeds)] = data


def _one(target: Target, data: bytes, report: Report) -> Finding | None:
    report.inputs += 1
    began = time.perf_counter()
    try:
        report.accepted += target.check(data)
    except Exception as error:
        return Finding(target.name, data, f"{type(error).__name__}: {error}", _place(error))
    seconds = time.perf_counter() - began
    if seconds > report.slowest and (seconds := processor_seconds(target, data)) > report.slowest:
        report.slowest = seconds
        if seconds > LONGEST_SECONDS:
            return Finding(target.name, data, f"{seconds:.2f} seconds", "slow")
    return None


def processor_seconds(target: Target, data: bytes) -> float:
    """What one input costs: the least of three, because others are at work too."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        target.check(data)
        spent.append(time.process_time() - began)
    return min(spent)


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno} {type(error).__name__} {error if isinstance(error, Broken) else ''}"


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Lines:
    """Which steps from line to line the target's own modules have taken."""

    def __init__(self, target: Target) -> None:
        self._files = {import_module(name).__file__ for name in target.watched}
        self.seen: set[tuple[int, int, int]] = set()
        self._codes: dict[object, int] = {}

    def new(self, call):
        """Whether `call` took a step that was not seen before, and what it answered."""
        before = len(self.seen)
        outer = sys.gettrace()
        sys.settrace(self._enter)
        try:
            answered = call()
        finally:
            sys.settrace(outer)
        return len(self.seen) > before, answered

    def _enter(self, frame, event, _):
        if frame.f_code.co_filename not in self._files:
            return None
        code = self._codes.setdefault(frame.f_code, len(self._codes))
        seen, last = self.seen, 0

        def step(frame, event, _):
            nonlocal last
            if event == "line":
                seen.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step


def shrink(target: Target, finding: Finding, tries: int = 2000) -> Finding:
    """The same finding with less input, as far as `tries` reach: halves, quarters … single bytes are left out."""
    if finding.trace in {"", "slow"}:
        return finding
    size = max(1, len(finding.data) // 2)
    while size and tries > 0:
        at = 0
        while at < len(finding.data) and tries > 0:
            tries -= 1
            found = _one(target, finding.data[:at] + finding.data[at + size :], Report(target.name, ""))
            if found is not None and found.trace == finding.trace:
                finding = found
            else:
                at += size
        size //= 2
    return finding

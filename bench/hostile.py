"""Ten thousand hostile connections: memory, log and database of the gateway, and what a good phone notices; beside nginx.

For each attack a fresh proxy: the memory and a good phone's answers are measured for some seconds, then the attackers
(`bench.attackers`, a process of its own) connect and stay, then they are killed. Of nginx, which asks nobody who they are, the
log is its error log. The mail server behind (`bench.judging_server`) knows one password and counts what it is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import sqlite3
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemons import Daemon, free_ports, port_answers, scratch_folder, start, wait_until
from tests.support.nginx import Nginx
from tests.support.stack import Gatepost, clean_environment

from bench import phones
from bench.attackers import KINDS
from bench.measure import median, percentile, pss_kib, table, target
from bench.proxies import PROXY, Subject, missing, start_gatepost

ROOT = Path(__file__).parent.parent
GROWTH_KIB = 24.0  # for each hostile connection; a head may have 32 KiB, and most of one may be in memory
LINES_PER_SECOND = 100.0
EACH_SECONDS = 0.02  # between two requests of the good phone
RECONNECT_EVERY = 10


@dataclass(frozen=True)
class Outcome:
    """Of one attack on one proxy; memory in MiB, times in milliseconds."""

    proxy: str
    kind: str
    connected: int
    before: float
    during: float
    after: float
    quiet: list[float]
    attacked: list[float]
    failed: int
    lines_per_second: float
    asked_per_second: float
    rows: int
    closed: int
    answers: dict[str, int]


@dataclass
class Proxy:
    """A proxy with what can be asked of it besides."""

    subject: Subject
    log: Path
    product: Gatepost | None = None

    def mib(self) -> float:
        """Its memory."""
        return pss_kib(self.subject.pids()) / 1024

    def lines(self) -> int:
        """How long its log is."""
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0

    def rows(self) -> int:
        """How many rows its database has, in all tables."""
        if self.product is None:
            return 0
        database = sqlite3.connect(self.product.store_url.removeprefix("sqlite:///"))
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        count = sum(database.execute(f'select count(*) from "{name}"').fetchone()[0] for name in tables)
        database.close()
        return int(count)


def start_module(name: str, *arguments: object) -> tuple[Daemon, Path]:
    """A part of the benchmark in a process of its own, and its folder."""
    folder = scratch_folder("hostile")
    command = [sys.executable, "-m", f"bench.{name}", *map(str, arguments)]
    return start(name, command, log=folder / "log", env=clean_environment(), cwd=ROOT), folder


def gatepost(upstream: int) -> Proxy:
    """The product."""
    subject, product = start_gatepost(upstream)
    return Proxy(subject, next(product.folder.glob("serve-*.log")), product)


def nginx(upstream: int) -> Proxy:
    """A bare proxy_pass; room for as many connections as the gateway."""
    port = free_ports(1)[0]
    server = Nginx(PROXY.format(port=port, upstream=upstream, more="", inside="", beside=""), port=port)
    server.wait()
    return Proxy(
        Subject("nginx, bare", port, lambda: [server.daemon.process.pid], server.stop), server.root / "error.log"
    )


async def good_phone(port: int, seconds: float, times: list[float]) -> int:
    """A phone that syncs its folders again and again, each tenth time over a new connection; how often it was let down."""
    failed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        phone: phones.Phone | None = None
        for number in range(RECONNECT_EVERY):
            began = time.perf_counter()
            try:
                async with asyncio.timeout(5):
                    if phone is None:
                        loop = asyncio.get_running_loop()
                        _, phone = await loop.create_connection(lambda: phones.Phone(0), "127.0.0.1", port)
                    phone.send("FolderSync", phones.FOLDER_SYNC)
                    answer = await phone.answer
                if b" 200 " not in answer[:16] or b"x-ms-asthrottle" in answer.lower():
                    raise ConnectionError(repr(answer[:100]))
                times.append((time.perf_counter() - began) * 1000)
            except (OSError, TimeoutError):
                failed += 1
                phone = None
            await asyncio.sleep(EACH_SECONDS if number else 0)
        if phone is not None:
            phone.transport.close()
    return failed


async def watch(proxy: Proxy, seconds: float) -> float:
    """The most memory in that time."""
    most, end = proxy.mib(), time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(1)
        most = max(most, proxy.mib())
    return most


def asked(upstream: int) -> int:
    """How many requests the mail server has had."""
    with urllib.request.urlopen(f"http://127.0.0.1:{upstream}/asked", timeout=60) as answer:
        return int(answer.read())


def told(log: Path) -> dict[str, object]:
    """What the attackers said last."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")] if log.exists() else []
    return json.loads(lines[-1]) if lines else {"connected": 0, "lost": 0, "answers": {}}


async def attack(proxy: Proxy, kind: str, count: int, seconds: float, upstream: int) -> Outcome:
    """One attack on one proxy."""
    port = proxy.subject.port
    quiet: list[float] = []
    attacked: list[float] = []
    await good_phone(port, 2, [])
    await good_phone(port, seconds / 2, quiet)
    before, rows, lines, requests = proxy.mib(), proxy.rows(), proxy.lines(), asked(upstream)
    attackers, folder = start_module("attackers", kind, port, count)
    try:
        began = time.monotonic()
        watching = asyncio.create_task(watch(proxy, seconds * 2))
        while not told(folder / "log")["connected"] and time.monotonic() < began + 60:
            await good_phone(port, 0.5, [])
        failed = await good_phone(port, seconds, attacked)
        during = max(await watching, proxy.mib())
        passed = time.monotonic() - began
        last = told(folder / "log")
        written, wanted = proxy.lines() - lines, asked(upstream) - requests - len(attacked) - len(quiet)
    finally:
        attackers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    await good_phone(port, 5, [])
    return Outcome(
        proxy=proxy.subject.name, kind=kind, connected=int(str(last["connected"])), before=before, during=during, after=proxy.mib(),
        quiet=quiet, attacked=attacked, failed=failed, lines_per_second=written / passed, asked_per_second=max(wanted, 0) / passed,
        rows=proxy.rows() - rows, closed=int(str(last["lost"])), answers=dict(last["answers"]),  # type: ignore[call-overload]
    )  # fmt: skip


def measure(kinds: list[str], count: int, seconds: float, *, alone: bool) -> list[Outcome]:
    """Every attack on a fresh proxy of each kind."""
    outcomes = []
    for kind in kinds:
        for make in (gatepost,) if alone else (gatepost, nginx):
            upstream = free_ports(1)[0]
            server, folder = start_module("judging_server", upstream)
            wait_until(lambda port=upstream: port_answers(port), "the judging server listens", alive=[server])
            proxy = make(upstream)
            try:
                outcomes.append(asyncio.run(attack(proxy, kind, count, seconds, upstream)))
            finally:
                proxy.subject.stop()
                server.stop()
                shutil.rmtree(folder, ignore_errors=True)
    return outcomes


def report(outcomes: list[Outcome], count: int) -> str:
    """The tables and what became of the targets."""
    rows = [
        [
            one.kind, one.proxy, f"{one.connected:,}", f"{one.before:.0f}", f"{one.during:.0f}", f"{one.after:.0f}",
            f"{(one.during - one.before) * 1024 / count:.1f}", f"{one.lines_per_second:.0f}", f"{one.rows:,}",
            f"{one.asked_per_second:,.0f}", f"{one.closed:,}",
        ]
        for one in outcomes
    ]  # fmt: skip
    phone = [
        [
            one.kind, one.proxy, f"{median(one.quiet):.1f}", f"{percentile(one.quiet, 0.99):.1f}", f"{median(one.attacked):.1f}",
            f"{percentile(one.attacked, 0.99) if one.attacked else float('nan'):.1f}", f"{len(one.attacked):,}", one.failed,
        ]
        for one in outcomes
    ]  # fmt: skip
    ours = [one for one in outcomes if one.proxy == "gatepost"]
    head = ["attack", "proxy", "connected", "MiB before", "most", "after", "KiB/connection", "log lines/s", "new rows", "asked/s", "closed"]  # fmt: skip
    lines = [
        table(f"{count:,} hostile connections", head, rows),
        table("A good phone meanwhile", ["attack", "proxy", "p50 ms before", "p99", "p50 ms during", "p99", "answers", "failed"], phone),
        "",
        target("memory for each hostile connection", max((o.during - o.before) * 1024 / count for o in ours), GROWTH_KIB, unit=" KiB"),
        target("log lines a second", max(one.lines_per_second for one in ours), LINES_PER_SECOND),
        target("rows that strangers make", max((o.rows for o in ours if o.kind != "slow readers"), default=0), 0),
        target("requests of the good phone that failed", sum(one.failed for one in ours), 0),
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="KIND")
    parser.add_argument("--alone", action="store_true", help="without nginx")
    options = parser.parse_args()
    if not options.alone and (reason := missing()):
        raise SystemExit(f"left out: {reason}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    print(
        report(measure(options.kinds, options.connections, options.seconds, alone=options.alone), options.connections)
    )


if __name__ == "__main__":
    main()

"""Ten thousand hostile connections: memory, log and database of the gateway, and what a good phone notices; beside nginx.

For each attack a fresh proxy: the memory and a good phone's answers are measured for some seconds, then the attackers
(`tests.support.attackers`, a process of its own) connect and stay, and are killed; then they come again. The mail server
behind, another nginx, knows some logins and counts what it is asked. Of the nginx in front, which asks nobody who they are,
the log is its error log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import shutil
import sqlite3
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.attackers import KINDS
from tests.support.daemons import free_ports, scratch_folder
from tests.support.nginx import Nginx

from bench import phones
from bench.measure import median, percentile, pss_kib, table, target
from bench.parked import start_module
from bench.proxies import PROXY, Subject, missing, start_gatepost

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.daemons import Daemon
    from tests.support.stack import Gatepost

UPSTREAM = """
  keepalive_requests 100000000;
  map $remote_user $known {{ default 0; "~^(user|reader)[0-9]+@example[.]com$" 1; }}
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    default_type application/vnd.ms-sync.wbxml;
    add_header MS-ASProtocolVersions 14.1,16.0,16.1;
    add_header WWW-Authenticate 'Basic realm="mail"' always;
    location = /asked {{ stub_status; }}
    location = /long {{ root {root}; error_page 405 =200 /long; }}
    location / {{
      if ($known = 0) {{ return 401; }}
      if ($arg_Cmd = ItemOperations) {{ rewrite ^ /long last; }}
      return 200 "<FolderSync><Status>1</Status><SyncKey>1</SyncKey><Changes><Count>0</Count></Changes></FolderSync>";
    }}
  }}
"""
LONG = (
    1 << 17
)  # bytes of an answer that nobody reads; more would use up what the kernel has for all of TCP, and measure that
STRANGER_KIB = 24.0  # of a body 16 KiB are kept until the mail server says who that is
USER_KIB = 160.0  # one piece of an answer, as it came from the mail server, waits for whoever does not read
USERS = ("slow bodies of a user", "slow readers")  # have passwords
USUAL = ("heads of 28 KiB", "slow bodies", "slow bodies of a user", "slow readers", "random logins")
LINES_PER_SECOND = 100.0
MOST_SECONDS = 60.0  # until all of them are there
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
    again: float
    quiet: list[float]
    slowest: float
    attacked: list[float]
    failed: int
    lines_per_second: float
    asked_per_second: float
    rows: int
    closed: int

    @property
    def kib_each(self) -> float:
        """Memory for each connection."""
        return (max(self.during, self.again) - self.before) * 1024 / max(self.connected, 1)


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


async def watch(proxy: Proxy, attackers: Daemon, seen: Wave) -> None:
    """The most memory while they are there."""
    while attackers.alive():
        seen.mib = max(seen.mib, proxy.mib())
        await asyncio.sleep(0.5)


def asked(upstream: int) -> int:
    """How many requests the mail server has had."""
    with urllib.request.urlopen(f"http://127.0.0.1:{upstream}/asked", timeout=60) as answer:
        counted = re.search(rb"requests\s+\d+ \d+ (\d+)", answer.read())
    assert counted is not None
    return int(counted[1])


def told(log: Path) -> dict[str, int]:
    """What the attackers said last."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")] if log.exists() else []
    return json.loads(lines[-1]) if lines else {"connected": 0, "lost": 0}


@dataclass
class Wave:
    """What was seen while the attackers came, and while they stayed."""

    coming: list[float]
    times: list[float]
    failed: int = 0
    mib: float = 0.0
    seconds: float = 0.0
    connected: int = 0
    closed: int = 0


async def wave(proxy: Proxy, kind: str, count: int, seconds: float) -> Wave:
    """They come, stay until all are there and `seconds` longer, and are killed."""
    port, seen = proxy.subject.port, Wave([], [])
    attackers, folder = start_module("tests.support.attackers", kind, port, count, 5, phones.PASSWORD)
    began = time.monotonic()
    watching = asyncio.create_task(watch(proxy, attackers, seen))
    try:
        while seen.connected + seen.closed < count and time.monotonic() < began + MOST_SECONDS:
            seen.failed += await good_phone(port, 0.5, seen.coming)
            there = told(folder / "log")
            seen.connected, seen.closed = there["connected"], there["lost"]
        seen.failed += await good_phone(port, seconds, seen.times)
        there = told(folder / "log")
        seen.connected, seen.closed = there["connected"], there["lost"]
    finally:
        attackers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    await watching
    seen.seconds = time.monotonic() - began
    return seen


async def attack(proxy: Proxy, kind: str, count: int, seconds: float, upstream: int) -> Outcome:
    """One attack on one proxy, and the same again."""
    port = proxy.subject.port
    quiet: list[float] = []
    await good_phone(port, 2, [])
    await good_phone(port, seconds / 2, quiet)
    before, rows, lines, requests = proxy.mib(), proxy.rows(), proxy.lines(), asked(upstream)
    first = await wave(proxy, kind, count, seconds)
    wanted, written = asked(upstream) - requests - len(first.times) - len(first.coming), proxy.lines() - lines
    await good_phone(port, 3, [])
    after = proxy.mib()
    second = await wave(proxy, kind, count, seconds / 2)
    await good_phone(port, 3, [])
    return Outcome(
        proxy=proxy.subject.name, kind=kind, connected=first.connected, before=before, during=first.mib, after=after,
        again=second.mib, quiet=quiet, slowest=max([*first.coming, *second.coming], default=0.0), attacked=first.times, failed=first.failed + second.failed,
        lines_per_second=written / first.seconds, asked_per_second=max(wanted, 0) / first.seconds,
        rows=proxy.rows() - rows, closed=first.closed,
    )  # fmt: skip


def measure(kinds: list[str], count: int, seconds: float, *, alone: bool) -> list[Outcome]:
    """Every attack on a fresh proxy of each kind."""
    outcomes = []
    for kind in kinds:
        for make in (gatepost,) if alone else (gatepost, nginx):
            upstream = free_ports(1)[0]
            folder = scratch_folder("mail-server")
            (folder / "long").write_bytes(bytes(LONG))
            server = Nginx(UPSTREAM.format(port=upstream, root=folder), port=upstream)
            server.wait()
            proxy = make(upstream)
            try:
                outcomes.append(asyncio.run(attack(proxy, kind, count, seconds, upstream)))
            finally:
                proxy.subject.stop()
                server.stop()
                shutil.rmtree(folder, ignore_errors=True)
    return outcomes


def report(outcomes: list[Outcome]) -> str:
    """The tables and what became of the targets."""
    rows = [
        [
            one.kind, one.proxy, f"{one.connected:,}", f"{one.before:.0f}", f"{one.during:.0f}", f"{one.after:.0f}", f"{one.again:.0f}",
            f"{one.kib_each:.1f}", f"{one.lines_per_second:.0f}", f"{one.rows:,}",
            f"{one.asked_per_second:,.0f}", f"{one.closed:,}",
        ]
        for one in outcomes
    ]  # fmt: skip
    phone = [
        [
            one.kind, one.proxy, f"{median(one.quiet):.1f}", f"{percentile(one.quiet, 0.99):.1f}", f"{one.slowest:,.0f}", f"{median(one.attacked):.1f}",
            f"{percentile(one.attacked, 0.99) if one.attacked else float('nan'):.1f}", f"{len(one.attacked):,}", one.failed,
        ]
        for one in outcomes
    ]  # fmt: skip
    ours = [one for one in outcomes if one.proxy == "gatepost"]
    strangers, users = [o for o in ours if o.kind not in USERS], [o for o in ours if o.kind in USERS]
    head = ["attack", "proxy", "connected", "MiB before", "most", "after", "again", "KiB/connection", "log lines/s", "new rows", "asked/s", "closed"]  # fmt: skip
    lines = [
        table("Hostile connections", head, rows),
        table("A good phone meanwhile", ["attack", "proxy", "p50 ms before", "p99", "slowest while they come", "p50 ms then", "p99", "answers", "failed"], phone),
        "",
    ]  # fmt: skip
    if strangers:
        lines += [
            target(
                "memory for a connection of a stranger", max(o.kib_each for o in strangers), STRANGER_KIB, unit=" KiB"
            ),
            target("rows that strangers make", max(one.rows for one in strangers), 0),
        ]
    if users:
        lines.append(target("memory for a connection of a user", max(o.kib_each for o in users), USER_KIB, unit=" KiB"))
    return "\n".join([
        *lines,
        target("memory, the second time : the first time", max(o.again / o.during for o in ours), 1.15),
        target("log lines a second", max(one.lines_per_second for one in ours), LINES_PER_SECOND),
        target("requests of the good phone that failed", sum(one.failed for one in ours), 0),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument(
        "--kinds", nargs="+", choices=[*KINDS, "all"], default=USUAL, metavar="KIND", help=f"or all: {', '.join(KINDS)}"
    )
    parser.add_argument("--alone", action="store_true", help="without nginx")
    options = parser.parse_args()
    if not options.alone and (reason := missing()):
        raise SystemExit(f"left out: {reason}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    kinds = list(KINDS) if "all" in options.kinds else list(options.kinds)
    # Two files for each connection, to the phone and to the mail server: with more of them the gateway makes room by closing
    # some, which is another measurement.
    count = min(options.connections, max(soft, hard) // 2 - 600)
    if count < options.connections:
        print(
            f"{count:,} instead of {options.connections:,} connections: no process may have more than {hard:,} files here"
        )
    print(report(measure(kinds, count, options.seconds, alone=options.alone)))


if __name__ == "__main__":
    main()

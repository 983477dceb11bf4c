"""Memory per parked request pair (the phone's connection and the mail server's), the gateway beside nginx.

N phones have synced their folders once (so that what is kept per device is there already), connect again, and park a
Ping; the memory is measured before and after that, as PSS of the proxy's processes. What is kept per device is shown
beside it. The kernel's socket buffers are not in it; they are the same for both.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import sys
import time
from pathlib import Path

from tests.support.daemons import Daemon, free_ports, port_answers, scratch_folder, start, wait_until
from tests.support.nginx import Nginx
from tests.support.stack import clean_environment

from bench import phones
from bench.measure import pss_kib, table, target
from bench.proxies import PROXY, Subject, missing, start_gatepost

LIMIT_KIB = 6.0


def start_module(name: str, *arguments: object) -> tuple[Daemon, Path]:
    """A part of the benchmark in a process of its own, and its folder."""
    folder = scratch_folder("bench")
    command = [sys.executable, "-m", name, *map(str, arguments)]
    return start(name, command, log=folder / "log", env=clean_environment(), cwd=Path(__file__).parent.parent), folder


def start_parking_server() -> tuple[Daemon, int, Path]:
    """The mail server in which Pings park: its process, port and folder."""
    port = free_ports(1)[0]
    daemon, folder = start_module("bench.parking_server", port)
    wait_until(lambda: port_answers(port), "the parking server listens", alive=[daemon])
    return daemon, port, folder


async def park_and_measure(subject: Subject, count: int) -> tuple[float, float]:
    """KiB per parked pair, and KiB per device that is known and has no connection."""
    numbers = range(100, 100 + count)
    first = await phones.connect(subject.port, range(100))  # what a process allocates once is not counted
    await phones.park(first)
    empty = pss_kib(subject.pids())
    for _ in range(3):  # what is needed to write so many devices down at once is there already, too
        await phones.introduce(subject.port, numbers)
        await asyncio.sleep(2.5)
    known = pss_kib(subject.pids())
    connected = await phones.connect(subject.port, numbers)
    await phones.park(connected)
    parked = pss_kib(subject.pids())
    phones.close(first + connected)
    return (parked - known) / count, (known - empty) / count


def measure(counts: list[int]) -> list[tuple[str, int, float, float]]:
    """(proxy, pairs, KiB per pair, KiB per known device); a fresh proxy for each."""
    rows = []
    server, port, folder = start_parking_server()
    try:
        for count in counts:
            for make in (lambda: start_gatepost(port)[0], lambda: start_bare(port)):
                subject = make()
                try:
                    pair, idle = asyncio.run(park_and_measure(subject, count))
                finally:
                    subject.stop()
                rows.append((subject.name, count, pair, idle))
                time.sleep(0.5)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def start_bare(upstream: int) -> Subject:
    """A bare nginx whose upstream connections are enough for all."""
    port = free_ports(1)[0]
    proxy = Nginx(PROXY.format(port=port, upstream=upstream, more="", inside="", beside=""), port=port)
    proxy.wait()
    return Subject("nginx, bare proxy_pass", port, lambda: [proxy.daemon.process.pid], proxy.stop)


def report(rows: list[tuple[str, int, float, float]]) -> str:
    """The table and what became of the target."""
    shown = [[name, f"{count:,}", f"{pair:.1f}", f"{idle:.1f}"] for name, count, pair, idle in rows]
    ours = [pair for name, _, pair, _ in rows if name == "gatepost"]
    head = ["proxy", "parked", "KiB per parked pair", "KiB per known device"]
    return "\n".join(
        [
            table("Memory per parked Ping (both connections)", head, shown),
            "",
            target("KiB per parked pair", max(ours), LIMIT_KIB, unit=" KiB"),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.parked", description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[2000, 5000])
    options = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"left out: {reason}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    print(report(measure(options.pairs)))


if __name__ == "__main__":
    main()

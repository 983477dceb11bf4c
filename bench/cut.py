"""From a DENY acknowledged by the API to the end of the parked Ping that it concerns.

N phones park a Ping. One after the other is denied by PutMobileDeviceAccessOverride, through AWS's own client; for
each, the time from the call's return to the arrival of the Ping's answer (Ping status 7) at the phone. In one process
on SQLite, and with the gateway in another process than the API on PostgreSQL. A Ping that ended before the call
returned counts as 0 ms; the time from the call's start is shown beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support import postgres_server
from tests.support.postgres_server import PostgresServer
from tests.support.stack import Gatepost

from bench import phones
from bench.measure import percentile, table, target
from bench.parked import start_parking_server

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_MS = 100.0
SQLITE, POSTGRES = "one process, SQLite", "gateway and API apart, PostgreSQL"


@dataclass(frozen=True)
class Cut:
    """One cut, in milliseconds: from the acknowledgement, and from the start of the call."""

    from_acknowledged: float
    from_called: float


async def cut_all(product: Gatepost, port: int, count: int) -> list[Cut]:
    """Park `count` Pings and end each of them by an override."""
    connected = await phones.connect(port, range(count))
    await phones.park(connected)
    await asyncio.to_thread(
        product.override, phones.login(count), phones.device_id(count), "DENY"
    )  # warms the client up
    cuts = []
    for phone in connected:
        called, acknowledged = await asyncio.to_thread(deny, product, phone.number)
        answer = await asyncio.wait_for(phone.answer, 30)
        if b"\x47\x03\x37\x00" not in answer:
            raise RuntimeError(f"expected Ping status 7, got {answer!r}")
        since = max(0.0, phone.arrived_at - acknowledged)
        cuts.append(Cut(since * 1000, (phone.arrived_at - called) * 1000))
    phones.close(connected)
    return cuts


def deny(product: Gatepost, number: int) -> tuple[float, float]:
    """Deny a phone; when the call began and when it returned (monotonic seconds)."""
    called = time.monotonic()
    product.override(phones.login(number), phones.device_id(number), "DENY")
    return called, time.monotonic()


def one_process(upstream: str, count: int) -> list[Cut]:
    """API and gateway in one process on SQLite."""
    product = Gatepost(upstream)
    try:
        product.serve()
        return asyncio.run(cut_all(product, gateway_port(product), count))
    finally:
        product.stop()


def two_processes(upstream: str, count: int) -> list[Cut]:
    """The gateway in a process of its own; both share a PostgreSQL."""
    server = PostgresServer()
    try:
        server.create()
        server.start()
        server.execute("create database gatepost")
        product = Gatepost(upstream, store_url=server.url("gatepost"))
        try:
            product.serve("control")
            product.serve("gateway")
            return asyncio.run(cut_all(product, gateway_port(product), count))
        finally:
            product.stop()
    finally:
        server.remove()


def gateway_port(product: Gatepost) -> int:
    """Where its gateway listens."""
    return int(product.gateway_url.rsplit(":", 1)[1].split("/")[0])


def measure(count: int) -> dict[str, list[Cut]]:
    """The cuts of each arrangement that can be started here."""
    arrangements: dict[str, Callable[[str, int], list[Cut]]] = {SQLITE: one_process}
    if postgres_server.programs() is not None:
        arrangements[POSTGRES] = two_processes
    server, port, folder = start_parking_server()
    try:
        return {name: run(f"http://127.0.0.1:{port}", count) for name, run in arrangements.items()}
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def report(cuts: dict[str, list[Cut]]) -> str:
    """The table and what became of the target."""
    rows = []
    for name, taken in cuts.items():
        since = [cut.from_acknowledged for cut in taken]
        called = [cut.from_called for cut in taken]
        rows.append(
            [
                name,
                f"{len(taken):,}",
                *(f"{percentile(since, part):.1f}" for part in (0.5, 0.99, 1)),
                f"{percentile(called, 0.5):.1f}",
                f"{percentile(called, 0.99):.1f}",
            ]
        )
    head = ["arrangement", "cuts", "p50 ms", "p99 ms", "max ms", "from the call's start: p50", "p99"]
    lines = [table("From DENY acknowledged to the parked Ping's end", head, rows), ""]
    lines += [
        target(f"p99, {name}", percentile([cut.from_acknowledged for cut in taken], 0.99), LIMIT_MS, unit=" ms")
        for name, taken in cuts.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cut", description=__doc__)
    parser.add_argument("--cuts", type=int, default=1000)
    print(report(measure(parser.parse_args().cuts)))


if __name__ == "__main__":
    main()

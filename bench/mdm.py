"""The bridge: notifications taken in, posture change to phone cut for one device, and everybody's posture at once.

A Workspace ONE twin in a process of its own has a device for each phone. In rounds: notifications over many connections,
each answered once it is on the disk (checked by counting rows); phones that park a Ping and lose their compliance one
after the other, from the change in the twin to the arrival of the Ping's answer; and all phones at once, from the change
to the last Ping's end and to the moment at which nothing is left to do. In one process on SQLite, and with API, gateway
and bridge in processes of their own on a PostgreSQL that waits for the disk, too.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import text
from tests.support import postgres_server
from tests.support.bridge_settings import WEBHOOK_USER, add_workspace_one, webhook_password
from tests.support.postgres_server import PostgresServer
from tests.support.stack import Gatepost

from bench import phones
from bench.cut import gateway_port
from bench.measure import cpu_seconds, median, percentile, table, target
from bench.parked import start_parking_server
from bench.uem import Notifier, Uem
from gatepost.model import Effect
from gatepost.store import mdm_applied, mdm_work
from gatepost.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

SQLITE, POSTGRESQL = "one process, SQLite", "three processes, PostgreSQL"
DURABLE = (
    "\nfsync = on\nsynchronous_commit = on\nfull_page_writes = on\nautovacuum = on\n"  # the tests' server does without
)
CONNECTIONS = 64
CHATTY = 50  # devices: a notification then seldom makes work, as the device is dirty already
RATE = 250  # notifications a second at which the time to an answer is measured: a quarter of what is wanted at most
INGESTED_LIMIT, ANSWERED_LIMIT = 1000.0, 0.05  # notifications a second, seconds
CUT_LIMIT, SETTLED_LIMIT = 2.0, 30.0  # seconds
PATIENCE = 300.0
WAITED_FOR = "select count(*) from mdm_notifications"


@dataclass
class Measured:
    """Of one arrangement; a list has an entry for each round, `cuts` and `wave` one for each phone. In seconds."""

    first_sweep: float = 0.0
    ingested: list[float] = field(default_factory=list)
    ingested_of_all: list[float] = field(default_factory=list)
    ingest_cpu: list[float] = field(default_factory=list)
    settle_cpu: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    answered_at_rate: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    wave: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    allowed: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Sizes:
    """How much of each."""

    devices: int
    cuts: int
    notifications: int
    rounds: int


class Bench:
    """One arrangement, started."""

    def __init__(self, product: Gatepost, uem: Uem, sizes: Sizes) -> None:
        self.product = product
        self.uem = uem
        self.sizes = sizes
        self.store = Store.open(product.store_url)
        self.notifier = Notifier(f"{product.mdm_url}/ws1", WEBHOOK_USER, webhook_password())
        self.measured = Measured()

    async def run(self) -> Measured:
        """All rounds."""
        for _ in range(self.sizes.rounds):
            await self.ingest(min(CHATTY, self.sizes.devices), self.measured.ingested)
            await self.ingest(self.sizes.devices, self.measured.ingested_of_all)
            await self.answer()
            await self.cut_singly()
            await self.cut_all()
        return self.measured

    async def ingest(self, devices: int, rates: list[float]) -> None:
        """Notifications about so many devices, in which nothing has changed; the bridge asks about them meanwhile."""
        bodies = self.uem.tell(number % devices for number in range(self.sizes.notifications))
        before = self.rows()
        began = time.monotonic()
        used = self.cpu()
        await self.send(bodies)
        taken = time.monotonic() - began
        if devices == CHATTY:
            self.measured.ingest_cpu.append((self.cpu() - used) / len(bodies))
        if self.rows() - before != len(bodies):
            raise RuntimeError(f"{len(bodies)} notifications were acknowledged, {self.rows() - before} stored")
        rates.append(len(bodies) / taken)
        say(f"{rates[-1]:,.0f} notifications/s, about {devices} devices")
        await self.settle(self.sizes.devices)

    async def answer(self) -> None:
        """Notifications at a steady rate about all devices, as on a busy day."""
        count = min(self.sizes.notifications, 10 * RATE)
        bodies = self.uem.tell(number % self.sizes.devices for number in range(count))
        statuses, seconds = await self.notifier.send_all(bodies, CONNECTIONS, RATE)
        if set(statuses) != {200}:
            raise RuntimeError(f"answers to notifications: {dict(statuses)}")
        self.measured.answered_at_rate += seconds
        say(f"answered at {RATE}/s: median {median(seconds) * 1000:.0f} ms")
        await self.settle(self.sizes.devices)

    async def cut_singly(self) -> None:
        """One phone after the other."""
        parked = await self.park(self.sizes.cuts)
        for phone in parked:
            happened, bodies = await asyncio.to_thread(self.uem.change, "violate", [phone.number])
            await self.send(bodies)
            self.measured.cuts.append(await ended(phone) - happened)
        say(f"cut off singly: median {median(self.measured.cuts):.3f} s, worst {max(self.measured.cuts):.3f} s")
        phones.close(parked)
        _, bodies = await asyncio.to_thread(self.uem.change, "comply", range(self.sizes.cuts))
        await self.send(bodies)
        await self.settle(self.sizes.devices)

    async def cut_all(self) -> None:
        """All phones at once; then all of them are compliant again."""
        parked = await self.park(self.sizes.devices)
        happened, bodies = await asyncio.to_thread(self.uem.change, "violate", range(self.sizes.devices))
        used = self.cpu()
        settled = asyncio.create_task(self.settle(0))
        await self.send(bodies)
        self.measured.settled.append(await settled - happened)
        self.measured.settle_cpu.append((self.cpu() - used) / self.sizes.devices)
        self.measured.wave += [await ended(phone) - happened for phone in parked]
        say(f"{self.sizes.devices} settled in {self.measured.settled[-1]:.1f} s")
        phones.close(parked)
        happened, bodies = await asyncio.to_thread(self.uem.change, "comply", range(self.sizes.devices))
        settled = asyncio.create_task(self.settle(self.sizes.devices))
        await self.send(bodies)
        self.measured.allowed.append(await settled - happened)

    async def send(self, bodies: list[bytes]) -> None:
        """Each must be taken."""
        statuses, seconds = await self.notifier.send_all(bodies, CONNECTIONS)
        if set(statuses) != {200}:
            raise RuntimeError(f"answers to notifications: {dict(statuses)}")
        if len(bodies) > 1:
            self.measured.answered += seconds

    async def park(self, count: int) -> list[phones.Phone]:
        """So many phones, each with a Ping; the gateway goes by what the bridge wrote."""
        await asyncio.sleep(1)
        parked = await phones.connect(gateway_port(self.product), range(count))
        await phones.park(parked)
        return parked

    async def settle(self, allowed: int) -> float:
        """When so many devices were allowed, and nothing was left to do (monotonic seconds)."""
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(self.left, allowed):  # noqa: ASYNC110 - the store of another process
                await asyncio.sleep(0.1)
        return time.monotonic()

    def left(self, allowed: int) -> bool:
        """Whether something is still to be done."""
        with self.store.read() as reader:
            if mdm_applied.counts(reader, "store").get(Effect.ALLOW, 0) != allowed:
                return True
            backlog = mdm_work.backlog(reader, "ws1")
            return bool(backlog.due or backlog.leased)

    def cpu(self) -> float:
        """CPU seconds of the process with the bridge: they are much the same on a busy machine."""
        return cpu_seconds([self.product.pid("mdm" if "mdm" in self.product.health_urls else "all")])

    def rows(self) -> int:
        """Notifications in the store."""
        with self.store.read() as reader:
            return int(reader.connection.execute(text(WAITED_FOR)).scalar_one())


async def ended(phone: phones.Phone) -> float:
    """When the phone's Ping ended (monotonic seconds), with status 7: look at the folders anew."""
    answer = await asyncio.wait_for(phone.answer, 60)
    if b"\x47\x03\x37\x00" not in answer:
        raise RuntimeError(f"expected Ping status 7, got {answer!r}")
    return phone.arrived_at


def arrange(upstream: str, sizes: Sizes, store_url: str | None, roles: tuple[str, ...]) -> Measured:
    """Start it, wait for the first sweep, measure."""
    uem = Uem(sizes.devices)
    product = Gatepost(upstream, store_url=store_url)
    try:
        add_workspace_one(product.configuration, uem.url, uem.login)
        product.gatepost("setup", "direct-mode", "--yes")
        began = time.monotonic()
        for role in roles:
            product.serve(role)
        bench = Bench(product, uem, sizes)
        try:
            bench.measured.first_sweep = asyncio.run(bench.settle(sizes.devices)) - began
            say(f"{', '.join(roles)}: first sweep {bench.measured.first_sweep:.1f} s")
            return asyncio.run(bench.run())
        finally:
            bench.store.close()
    finally:
        product.stop()
        uem.stop()


def measure(sizes: Sizes, names: list[str]) -> Iterator[tuple[str, Measured]]:
    """Each arrangement that can be started here."""
    server, port, folder = start_parking_server()
    upstream = f"http://127.0.0.1:{port}"
    try:
        if SQLITE in names:
            yield SQLITE, arrange(upstream, sizes, None, ("all",))
        if POSTGRESQL in names and postgres_server.programs() is not None:
            database = PostgresServer()
            try:
                database.create()
                with (database.root / "data" / "postgresql.conf").open("a") as configuration:
                    configuration.write(DURABLE)
                database.start()
                database.execute("create database gatepost")
                roles = ("control", "gateway", "mdm")
                yield POSTGRESQL, arrange(upstream, sizes, database.url("gatepost"), roles)
            finally:
                database.remove()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def say(progress: str) -> None:
    """It takes minutes."""
    print(progress, file=sys.stderr, flush=True)


def report(sizes: Sizes, measured: dict[str, Measured]) -> str:
    """The tables and what became of the targets."""
    taken = [
        [
            name,
            f"{median(one.ingested):,.0f}",
            f"{median(one.ingested_of_all):,.0f}",
            f"{median(one.ingest_cpu) * 1000:.2f}",
            *(f"{percentile(one.answered, part) * 1000:.0f}" for part in (0.5, 0.99)),
            *(f"{percentile(one.answered_at_rate, part) * 1000:.0f}" for part in (0.5, 0.99)),
        ]
        for name, one in measured.items()
    ]
    cut = []
    for name, one in measured.items():
        for devices, seconds in ((1, one.cuts), (sizes.devices, one.wave)):
            shown = (f"{percentile(seconds, part):.3f}" for part in (0.5, 0.99, 1))
            cut.append([name, f"{devices:,}", f"{len(seconds):,}", *shown])
    settled = [
        [name, f"{one.first_sweep:.1f}", f"{median(one.settled):.1f}", f"{max(one.settled):.1f}", f"{median(one.allowed):.1f}", f"{median(one.settle_cpu) * 1000:.1f}"]
        for name, one in measured.items()
    ]  # fmt: skip
    lines = [
        table(
            f"Notifications stored per second, {CONNECTIONS} connections, while the bridge asks about their devices",
            [
                "arrangement",
                f"about {CHATTY} devices",
                f"about {sizes.devices:,}",
                "CPU ms each",
                "answered in ms: p50",
                "p99",
                f"at {RATE}/s: p50",
                "p99",
            ],
            taken,
        ),
        table(
            "From a change of posture to the parked Ping's end, in seconds",
            ["arrangement", "devices at once", "cuts", "p50", "p99", "max"],
            cut,
        ),
        table(
            f"{sizes.devices:,} devices settled, in seconds",
            ["arrangement", "first sweep, from the start", "denied", "worst", "allowed", "CPU ms each"],
            settled,
        ),
        "",
    ]
    for name, one in measured.items():
        lines += [
            target(f"notifications/s, {name}", median(one.ingested), INGESTED_LIMIT, at_least=True),
            target(
                f"p50 of an answer at {RATE}/s, {name}",
                percentile(one.answered_at_rate, 0.5),
                ANSWERED_LIMIT,
                unit=" s",
            ),
            target(f"p99 of a single cut, {name}", percentile(one.cuts, 0.99), CUT_LIMIT, unit=" s"),
            target(f"{sizes.devices:,} devices settled, {name}", median(one.settled), SETTLED_LIMIT, unit=" s"),
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mdm", description=__doc__)
    parser.add_argument("--devices", type=int, default=5000)
    parser.add_argument(
        "--cuts", type=int, default=200, help="phones that are cut off one after the other, in each round"
    )
    parser.add_argument("--notifications", type=int, default=10_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    sizes = Sizes(given.devices, min(given.cuts, given.devices), given.notifications, given.rounds)
    names = {"sqlite": [SQLITE], "postgresql": [POSTGRESQL]}.get(given.only, [SQLITE, POSTGRESQL])
    print(report(sizes, dict(measure(sizes, names))))


if __name__ == "__main__":
    main()

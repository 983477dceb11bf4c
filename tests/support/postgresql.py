"""The PostgreSQL of the store's tests: one cluster for a pytest process, durable as in production, an empty store for each test."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import evidence, postgres_server
from tests.support.daemons import Daemon, run, start
from tests.support.postgres_server import PostgresServer

from gatepost.store import migrate
from gatepost.store.schema import metadata, revision_counter

if TYPE_CHECKING:
    from collections.abc import Iterator

DURABLE = """
fsync = on
synchronous_commit = on
full_page_writes = on
"""
_EMPTY = "; ".join(
    [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        *[f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables) if table is not revision_counter],
        "UPDATE revision_counter SET value = 0, compacted = 0, epoch = gen_random_uuid()",
        f"UPDATE alembic_version SET version_num = '{migrate.HEAD}'",
    ]
)


def programs() -> Path | None:
    """The folder of initdb and postgres: Debian's, or the one in the PATH; None when not installed."""
    in_path = shutil.which("initdb")
    return postgres_server.programs() or (Path(in_path).resolve().parent if in_path else None)


def require_programs() -> Path:
    """Skip the test where PostgreSQL is not installed; in CI that is a failure."""
    found = programs()
    if found is None:
        message = "PostgreSQL is not installed: as root on Debian, `scripts/install-packages test` installs it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found


class Cluster(PostgresServer):
    """A server whose commits reach the disk, as those do that we promise."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count(1)
        self._made: set[str] = set()
        self._free: list[str] = []

    def create(self) -> None:
        """Make the cluster's files."""
        if os.getuid() == 0:
            shutil.chown(self.root, self.user, self.user)
        initdb = [require_programs() / "initdb", "-D", self.root / "data", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-U", "postgres", "--no-sync"]  # fmt: skip
        run(initdb, user=self.user, cwd=self.root)
        with (self.root / "data" / "postgresql.conf").open("a") as configuration:
            configuration.write(f"{postgres_server.SETTINGS}{DURABLE}")
            configuration.write(f"port = {self.port}\nunix_socket_directories = '{self.root}'\n")

    def launch(self) -> Daemon:
        """Start it without waiting."""
        command = [require_programs() / "postgres", "-D", self.root / "data"]
        self._daemon = start("postgres", command, log=self.root / "postgres.log", user=self.user, cwd=self.root, stop_signal=signal.SIGINT, orphan_signal="INT")  # fmt: skip
        return self._daemon

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, which is dropped afterwards whoever is still connected."""
        name = f"empty_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def store(self) -> Iterator[str]:
        """The URL of an empty store; afterwards it is emptied for the next, which is ten times faster than a new one."""
        name = self._free.pop() if self._free else f"store_{next(self._numbers)}"
        if name not in self._made:
            self.execute(f"CREATE DATABASE {name}")
            migrate.upgrade(self.url(name))
            self._made.add(name)
        yield self.url(name)
        evidence.store_of(self.url(name))
        self.execute(_EMPTY, database=name)
        self._free.append(name)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster."""
    require_programs()
    server = Cluster()
    try:
        server.create()
        server.start()
        yield server
    finally:
        evidence.process_log("PostgreSQL", server.root / "postgres.log")
        server.remove()

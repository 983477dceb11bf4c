"""The PostgreSQL of the store's tests: one cluster for a pytest process, durable as in production, a database for each test."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import postgres_server
from tests.support.daemons import Daemon, run, start
from tests.support.postgres_server import PostgresServer

from gatepost.store import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

DURABLE = """
fsync = on
synchronous_commit = on
full_page_writes = on
"""
_TEMPLATE = "empty_store"


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
        self._names = count(1)

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
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a new database, which is dropped afterwards whoever is still connected."""
        name = f"test_{next(self._names)}"
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {_TEMPLATE}" if migrated else ""))
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster with an empty store to copy."""
    require_programs()
    server = Cluster()
    try:
        server.create()
        server.start()
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        migrate.upgrade(server.url(_TEMPLATE))
        yield server
    finally:
        server.remove()

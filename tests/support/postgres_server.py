"""A PostgreSQL cluster of our own: thrown away afterwards, never synced to disk, stoppable in the middle of a test."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
from pathlib import Path

import psycopg
from tests.support.daemons import Daemon, free_ports, run, scratch_folder, start, wait_until
from tests.support.secrets import password

PASSWORD = password("PostgreSQL's")
SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 100
autovacuum = off
"""


def programs() -> Path | None:
    """The folder of initdb and postgres (Debian keeps it out of the PATH), the newest version; None when not installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


class PostgresServer:
    """One cluster below `root` on a loopback port; `stop` and `start` may follow each other, the data stays."""

    def __init__(self, root: Path | None = None, *, port: int | None = None) -> None:
        self._scratch = None if root is not None else scratch_folder("postgres")
        self.root = root if root is not None else self._scratch
        self.port = port if port is not None else free_ports(1)[0]
        self.user = "postgres" if os.getuid() == 0 else getpass.getuser()
        self._daemon: Daemon | None = None

    def create(self) -> None:
        """Make the cluster's files."""
        assert self.root is not None
        found = programs()
        assert found is not None, "PostgreSQL is not installed"
        if os.getuid() == 0:
            shutil.chown(self.root, self.user, self.user)
        run(
            [
                found / "initdb",
                "-D",
                self.root / "data",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-U",
                "postgres",
                "--no-sync",
            ],
            user=self.user,
            cwd=self.root,
        )
        with (self.root / "data" / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS + f"port = {self.port}\nunix_socket_directories = '{self.root}'\n")

    def launch(self) -> Daemon:
        """Start it without waiting."""
        found = programs()
        assert found is not None
        assert self.root is not None
        self._daemon = start(
            "postgres",
            [found / "postgres", "-D", self.root / "data"],
            log=self.root / "postgres.log",
            user=self.user,
            cwd=self.root,
            stop_signal=signal.SIGINT,
            orphan_signal="INT",
        )
        return self._daemon

    def wait(self) -> None:
        """Return when it answers."""
        assert self._daemon is not None
        wait_until(self.answers, "PostgreSQL answers", alive=[self._daemon])

    def start(self) -> None:
        """Start it and return when it answers."""
        self.launch()
        self.wait()

    def answers(self) -> bool:
        """True when a connection can be made."""
        try:
            psycopg.connect(self.conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def conninfo(self, database: str) -> str:
        """What psycopg connects with."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def url(self, database: str) -> str:
        """The database as SQLAlchemy names it; with a password, which this server does not look at and nobody may see."""
        return f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside of a transaction; its rows, if it has any."""
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Stop it, connections or not."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def remove(self) -> None:
        """Stop it and forget its data."""
        self.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

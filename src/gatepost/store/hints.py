"""Hints: how a watcher learns that there may be something new, on each database.

A hint carries nothing and may be lost or come for nothing. SQLite: a signal inside the process, and for other processes
`PRAGMA data_version`, which moves when another connection has committed, on a connection of our own. PostgreSQL: NOTIFY,
on a connection of our own (behind a pooler that cannot LISTEN, the feed's heartbeat finds the changes instead).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from gatepost.store.connections import memory
from gatepost.store.database import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from gatepost.store.database import Store


_PATIENCE_SECONDS = 0.2


class Line(Protocol):
    """A watcher's line to the store."""

    def reading(self) -> AbstractContextManager[Connection]:
        """The connection to look at the feed with, once."""

    def wait(self, seconds: float) -> bool:
        """Return at a hint (True), or after `seconds` (False); another process's hint on SQLite is found only then."""


@contextmanager
def listen(store: Store) -> Iterator[Line]:
    """Hints from now on."""
    if memory(store.engine):
        yield _MemoryLine(store)
        return
    with store.engine.connect() as connection:
        postgresql = connection.dialect.name == "postgresql"
        if postgresql:
            connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # from the pool: this one is ours until the end, and is closed then
        yield _PostgresqlLine(connection) if postgresql else _SqliteLine(store, connection)


class _MemoryLine:
    """In memory there is one connection, so it is only borrowed, and there are no other processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = store.committed.sent

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._store.read() as reader:
            yield reader.connection

    def wait(self, seconds: float) -> bool:
        before, self._seen = self._seen, self._store.committed.wait(self._seen, seconds)
        return self._seen != before


class _SqliteLine:
    def __init__(self, store: Store, connection: Connection) -> None:
        self._connection = connection
        self._driver = _driver(connection)
        self._signal = store.committed
        self._seen = self._signal.sent
        self._version = self._data_version()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._connection.begin():
            yield self._connection

    def wait(self, seconds: float) -> bool:
        before = (self._seen, self._version)
        self._seen = self._signal.wait(self._seen, seconds)
        self._version = self._data_version()
        return (self._seen, self._version) != before

    def _data_version(self) -> int:
        version: int = self._driver.execute("PRAGMA data_version").fetchone()[0]
        return version


class _PostgresqlLine:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = _driver(connection)
        self._driver.execute(f"LISTEN {CHANNEL}")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._connection.begin():
            yield self._connection

    def wait(self, seconds: float) -> bool:
        # no shorter: a poll is for nothing here but to see that the watcher is to stop, and costs some 0.5 ms
        seconds = max(seconds, _PATIENCE_SECONDS)
        # to its end: with stop_after=1 psycopg still returns everything that came together
        return bool(list(self._driver.notifies(timeout=seconds, stop_after=1)))


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection

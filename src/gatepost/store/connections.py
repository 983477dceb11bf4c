"""Connections to SQLite and PostgreSQL, set up the same way wherever they are opened.

SQLite: WAL, `synchronous=FULL` (an acknowledged change survives a power failure), foreign keys, a busy timeout; sqlite3's
own idea of transactions is switched off and SQLAlchemy's `begin` event says BEGIN, or BEGIN IMMEDIATE for a writer, so
that a transaction is exactly what the code says. A reader's connection refuses writes (`query_only`).
PostgreSQL: psycopg 3, with timeouts that let a caller answer 5xx instead of hanging.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from gatepost.store.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from psycopg import Connection as PsycopgConnection

WRITE = "gatepost_write"  # execution option of a connection: this transaction will write
MEMORY = "gatepost_memory"  # execution option of an engine: the one connection is the database

WAIT_SECONDS = 5  # for a lock, a connection or a free place in the pool: an API client still waits, a person too
_STATEMENT_SECONDS = 30  # loading everything is the longest statement, and takes seconds at a million rows
_SECRET_PARAMETER = re.compile(
    r"password|secret|scram_.*_key", re.IGNORECASE
)  # password, sslpassword, oauth_client_secret
_SQLITE_POOL = {"pool_size": 5, "max_overflow": 35}  # a thread pool has up to 40 threads; a connection is a file handle
_POSTGRESQL_POOL = {"pool_size": 5, "max_overflow": 5}  # many gateways share a server that allows 100 by default


def parse_url(url: str) -> URL:
    """The URL as the program uses it: `sqlite:///path`, `sqlite://` (in memory) or `postgresql+psycopg://…`.

    Raises StoreError for anything else; `postgresql://` and `postgres://` are rewritten.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError with the text in it
        parsed = None
    if parsed is not None:
        if "@" in (parsed.host or ""):  # the rest of a password, which would be shown as the server's name
            raise StoreError("the store's url has more than one `@`: write the one in the password as `%40`")
        if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
            return parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
            return parsed.set(drivername="sqlite")
    # not the URL itself: it may hold a password
    raise StoreError(
        "the store's url is neither SQLite nor PostgreSQL: "
        "write `sqlite:////var/lib/gatepost/gatepost.db` or `postgresql://user:password@host/database`"
    )


def shown(url: URL) -> str:
    """The URL for people and logs: what libpq takes as a secret, in either place, is left out."""
    hidden = {key: "***" if _SECRET_PARAMETER.search(key) else value for key, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True)


def sqlite_file(url: URL) -> Path | None:
    """The database's file; None in memory and for PostgreSQL."""
    if url.drivername != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def memory(engine: Engine) -> bool:
    """True when the database lives in the engine's one connection."""
    return bool(engine.get_execution_options().get(MEMORY, False))


def create_file(path: Path) -> None:
    """Make an empty database file that only its owner can read (its `-wal` and `-shm` inherit that), unless it exists."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailable(f"cannot create the database `{path}`: {error.strerror}") from error


def connect(url: URL) -> Engine:
    """An engine for the database; opens no connection yet."""
    return _sqlite(url) if url.drivername == "sqlite" else _postgresql(url)


def _sqlite(url: URL) -> Engine:
    path = sqlite_file(url)
    # mode=rw: a file that was deleted under a running program is an error, not a new empty database
    target = ":memory:" if path is None else f"file:{quote(str(path.absolute()))}?mode=rw"

    def open_connection() -> sqlite3.Connection:
        connection = sqlite3.connect(
            target, uri=path is not None, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    # in memory the one connection is the database: whoever comes second waits for it
    pool: dict[str, Any] = {"pool_size": 1, "max_overflow": 0} if path is None else _SQLITE_POOL
    engine = create_engine(
        "sqlite://",
        creator=open_connection,
        poolclass=QueuePool,
        pool_timeout=WAIT_SECONDS,
        execution_options={MEMORY: path is None},
        **pool,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    defaults = {
        "connect_timeout": WAIT_SECONDS,
        "application_name": "gatepost",
        # a server that vanished without a word is noticed within ten seconds, also while only waiting for it
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=WAIT_SECONDS,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        **_POSTGRESQL_POOL,
    )

    @event.listens_for(engine, "connect")
    def set_timeouts(connection: PsycopgConnection[Any], _record: object) -> None:
        # not as startup options, which PgBouncer refuses
        connection.autocommit = True
        connection.execute(
            f"SET lock_timeout = '{WAIT_SECONDS}s'; SET statement_timeout = '{_STATEMENT_SECONDS}s'; "
            f"SET idle_in_transaction_session_timeout = '{2 * _STATEMENT_SECONDS}s'"
        )
        connection.autocommit = False

    return engine

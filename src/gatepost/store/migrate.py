"""Migrations: brings a database's tables to the version that this program needs, and tells how far they are.

Alembic is imported only where it works: a server that finds its database up to date starts without it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import column, func, inspect, select, table

from gatepost.store.connections import WRITE, connect, create_file, parse_url, sqlite_file
from gatepost.store.errors import StoreNotReady, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import Connection, Engine

HEAD = "0007"  # the newest file in migrations/versions; a test compares
_VERSIONS = table("alembic_version", column("version_num"))
_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_MILLISECONDS = 120_000  # a migration of a large table takes its time
_LOCK = 0x6761746570  # "gatep": the advisory lock under which one program at a time migrates


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database is: `current` is None when it has no tables; `pending` are the revisions still to run, in order."""

    current: str | None
    head: str
    pending: tuple[str, ...]


def upgrade(url: str) -> Status:
    """Run what is pending, all or nothing, one program at a time; creates a missing SQLite file. Raises StoreError."""
    with _engine(url, create=True) as engine:
        _upgrade(engine, only_if_empty=False)
        return _status(engine)


def status(url: str) -> Status:
    """What `upgrade` would run; changes nothing. Raises StoreError."""
    parsed = parse_url(url)
    path = sqlite_file(parsed)
    if path is not None and not path.exists():
        return Status(None, HEAD, _pending(None))
    with _engine(url, create=False) as engine:
        return _status(engine)


def create(engine: Engine) -> None:
    """Give an empty database its tables; leave any other alone."""
    _upgrade(engine, only_if_empty=True)


def require_head(engine: Engine) -> None:
    """Raise StoreNotReady unless the tables are the ones that this program needs."""
    with engine.connect() as connection:
        current = _current(connection)
    if current is None:
        raise StoreNotReady("the database has no tables of Gatepost: run `gatepost init` or `gatepost db upgrade`")
    if current != HEAD:
        raise StoreNotReady(
            f"the database is at version `{current}` and this program needs `{HEAD}`: run `gatepost db upgrade` "
            "(if that does not know the version either, the database belongs to a newer program)"
        )


@contextmanager
def _engine(url: str, *, create: bool) -> Iterator[Engine]:
    parsed = parse_url(url)
    path = sqlite_file(parsed)
    if path is not None and create:
        create_file(path)
    engine = connect(parsed)
    try:
        with translated():
            yield engine
    finally:
        engine.dispose()


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    version: str | None = connection.execute(select(_VERSIONS.c.version_num)).scalar()
    return version


def _status(engine: Engine) -> Status:
    with engine.connect() as connection:
        current = _current(connection)
    return Status(current, HEAD, _pending(current))


def _pending(current: str | None) -> tuple[str, ...]:
    if current == HEAD:
        return ()
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above
    from alembic.script.revision import RevisionError  # noqa: PLC0415

    scripts = ScriptDirectory.from_config(_configuration())
    try:
        return tuple(reversed([script.revision for script in scripts.iterate_revisions("head", current or "base")]))
    except RevisionError as error:
        raise StoreNotReady(_unknown(current)) from error


def _upgrade(engine: Engine, *, only_if_empty: bool) -> None:
    with engine.connect() as connection:
        current = _current(connection)
    if current == HEAD or (only_if_empty and current is not None):
        return
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415

    configuration = _configuration()
    with (
        engine.connect() as plain,
        _patient(plain),
        plain.execution_options(**{WRITE: True}) as connection,
        connection.begin(),
    ):
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        configuration.attributes["connection"] = connection
        try:
            command.upgrade(configuration, "head")
        except CommandError as error:
            raise StoreNotReady(_unknown(current)) from error


@contextmanager
def _patient(connection: Connection) -> Iterator[None]:
    """Whoever upgrades waits for another one that does, not only as long as for a writer; PostgreSQL has a lock for it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    raw: Any = connection.connection.dbapi_connection  # an sqlite3.Connection: this must not begin a transaction
    (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute(f"PRAGMA busy_timeout = {_UPGRADE_MILLISECONDS}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before}")


def _unknown(current: str | None) -> str:
    return f"the database is at version `{current}`, which this program does not know: run the newer program"


def _configuration() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see above

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration

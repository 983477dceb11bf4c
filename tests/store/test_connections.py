from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from gatepost.store import connections
from gatepost.store.errors import StoreError, StoreUnavailable


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:////var/lib/gatepost.db", "sqlite:////var/lib/gatepost.db"),
        ("sqlite+pysqlite:///gatepost.db", "sqlite:///gatepost.db"),
        ("sqlite://", "sqlite://"),
        ("postgresql://u:p@h:5433/d?sslmode=require", "postgresql+psycopg://u:p@h:5433/d?sslmode=require"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
    ],
)
def test_urls(given, used):
    assert connections.parse_url(given).render_as_string(hide_password=False) == used


@pytest.mark.parametrize(
    "url", ["", "gatepost.db", "mysql://u:s3cret@h/d", "postgresql+asyncpg://u:s3cret@h/d", "sqlite+aiosqlite:///x"]
)
def test_other_urls_are_refused_without_showing_the_password(url):
    with pytest.raises(StoreError, match=r"neither SQLite nor PostgreSQL: write `sqlite:.*` or `postgresql:") as caught:
        connections.parse_url(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h:5x/d", "postgresql://u:s3cret@[::1/d"])
def test_a_port_that_is_none_is_refused_without_showing_the_url(url):
    with pytest.raises(StoreError, match="neither SQLite nor PostgreSQL") as caught:
        connections.parse_url(url)
    assert "s3cret" not in str(caught.value)


def test_an_at_sign_in_a_password_is_not_taken_for_the_end_of_it():
    with pytest.raises(StoreError, match="write the one in the password as `%40`") as caught:
        connections.parse_url("postgresql://u:s3@cret@h/d")
    assert "cret" not in str(caught.value)
    assert connections.parse_url("postgresql://u:s3%40cret@h/d").password == "s3@cret"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@h:5433/d?sslmode=require", "postgresql+psycopg://u:***@h:5433/d?sslmode=require"),
        ("postgresql://h/d?password=s3cret", "postgresql+psycopg://h/d?password=%2A%2A%2A"),
        ("postgresql://h/d?user=u&sslpassword=s3cret", "postgresql+psycopg://h/d?sslpassword=%2A%2A%2A&user=u"),
        ("sqlite:////var/lib/gatepost.db", "sqlite:////var/lib/gatepost.db"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url, shown):
    assert connections.shown(connections.parse_url(url)) == shown


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/g.db", Path("/var/lib/g.db")),
        ("sqlite:///g.db", Path("g.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://h/d", None),
    ],
)
def test_the_file_of_a_url(url, path):
    assert connections.sqlite_file(connections.parse_url(url)) == path


def test_only_a_database_without_a_file_is_in_memory(tmp_path):
    for url, memory in ((f"sqlite:///{tmp_path}/x.db", False), ("sqlite://", True), ("postgresql://h/d", False)):
        engine = connections.connect(connections.parse_url(url))
        assert connections.memory(engine) is memory
        engine.dispose()


def test_a_file_that_exists_keeps_its_mode_and_content(tmp_path):
    path = tmp_path / "x.db"
    path.write_text("mine")
    path.chmod(0o640)
    connections.create_file(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("mine", 0o640)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(
        StoreUnavailable, match=r"cannot create the database `.*/none/x\.db`: No such file or directory"
    ):
        connections.create_file(tmp_path / "none" / "x.db")


def test_a_sqlite_connection_is_durable_and_careful(tmp_path):
    path = tmp_path / "a name with spaces, 100%, #1 and ?.db"
    path.touch()
    engine = connections.connect(connections.parse_url("sqlite://").set(database=str(path)))
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_sqlite_transaction_is_what_it_says(tmp_path):
    """A reader takes no lock, a writer takes it at once; DDL is part of the transaction."""
    path = tmp_path / "x.db"
    path.touch()
    engine = connections.connect(connections.parse_url(f"sqlite:///{path}"))
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("SELECT * FROM sqlite_master"))
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    with engine.connect() as plain, plain.execution_options(**{connections.WRITE: True}) as connection:
        with connection.begin() as transaction:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            connection.execute(text("CREATE TABLE half (id INTEGER)"))
            transaction.rollback()
        assert connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar() == 0
    other.close()
    engine.dispose()


def test_a_postgresql_connection_does_not_wait_for_ever(postgresql_cluster):
    with postgresql_cluster.store() as url:
        engine = connections.connect(connections.parse_url(url))
        with engine.connect() as connection:
            names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "application_name")
            settings = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
        engine.dispose()
    assert settings == ["5s", "30s", "1min", "gatepost"]


def test_the_url_has_the_last_word(postgresql_cluster):
    with postgresql_cluster.store() as url:
        engine = connections.connect(connections.parse_url(f"{url}?application_name=mine&connect_timeout=1"))
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW application_name").scalar() == "mine"
        engine.dispose()

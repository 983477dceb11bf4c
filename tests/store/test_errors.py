from __future__ import annotations

import sqlite3

import psycopg
import pytest
from psycopg import errors as postgresql
from sqlalchemy import exc

from gatepost.store.errors import StoreError, StoreUnavailable, UniqueViolation, translated


def wrapped(error, *, lost=False):
    return exc.DBAPIError("SELECT 1", {}, error, connection_invalidated=lost)


def translate(error):
    with pytest.raises(StoreError) as caught, translated():
        raise error
    assert caught.value.__cause__ is error
    return caught.value


PASSING = [
    sqlite3.OperationalError("database is locked"),
    sqlite3.OperationalError("database or disk is full"),
    sqlite3.OperationalError("disk I/O error"),
    psycopg.OperationalError("connection refused"),
    postgresql.LockNotAvailable("canceling statement due to lock timeout"),
    postgresql.QueryCanceled("canceling statement due to statement timeout"),
    postgresql.AdminShutdown("terminating connection due to administrator command"),
    postgresql.CannotConnectNow("the database system is starting up"),
    postgresql.TooManyConnections("sorry, too many clients already"),
    postgresql.DiskFull("no space left on device"),
    postgresql.DeadlockDetected("deadlock detected"),
    postgresql.ConnectionException("lost"),
    postgresql.IdleInTransactionSessionTimeout("too idle"),
]
LASTING = [
    sqlite3.OperationalError("no such table: users"),
    sqlite3.OperationalError('near "SELEC": syntax error'),
    sqlite3.IntegrityError("FOREIGN KEY constraint failed"),
    sqlite3.DatabaseError("file is not a database"),
    postgresql.UniqueViolation("duplicate key"),
    postgresql.UndefinedTable("relation does not exist"),
    postgresql.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
    psycopg.InterfaceError("of no SQLSTATE"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_passes_is_unavailable(error):
    for raised in (wrapped(error), error):
        translation = translate(raised)
        assert isinstance(translation, StoreUnavailable)
        assert str(translation) == f"the database does not answer: {error}"


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_does_not_pass_is_an_error(error):
    for raised in (wrapped(error), error):
        translation = translate(raised)
        assert not isinstance(translation, StoreUnavailable)
        assert str(translation) == f"the database refused: {error}"


def test_a_lost_connection_is_unavailable_whatever_the_driver_calls_it():
    assert isinstance(translate(wrapped(psycopg.InterfaceError("closed"), lost=True)), StoreUnavailable)


def test_an_empty_pool_is_unavailable():
    assert isinstance(translate(exc.TimeoutError("QueuePool limit")), StoreUnavailable)


def test_the_statement_and_its_values_are_not_told():
    error = exc.DBAPIError("INSERT INTO access_keys", {"sealed_secret": "s3cret"}, sqlite3.OperationalError("locked"))
    assert "s3cret" not in str(translate(error))


@pytest.mark.parametrize("error", [KeyError("mine"), UniqueViolation("login", "alice", "user-1")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, translated():
        raise error
    assert caught.value is error


def test_what_is_taken_is_named():
    error = UniqueViolation("login", "alice", "user-1")
    assert str(error) == "the login `alice` is already used by `user-1`: choose another one"
    assert isinstance(error, StoreError)

"""What can go wrong with the database, in the words of whoever calls the store."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import exc

if TYPE_CHECKING:
    from collections.abc import Iterator

# A lock that was not given in time, a server that shuts down or starts, too many connections, a full disk: PostgreSQL's
# classes 08 (connection), 40 (rollback: deadlock), 53 (resources), 55 (lock), 57 (operator intervention: timeouts too),
# 58 (system); and a transaction that stood still for too long (25P03). https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING_STATES = ("08", "40", "53", "55", "57", "58", "25P03")


class StoreError(Exception):
    """The store could not do what was asked; nothing of the transaction was kept."""


class StoreUnavailable(StoreError):  # noqa: N818 - reads as what it is
    """The database does not answer, or does not give its lock in time; the same call can succeed later."""


class StoreNotReady(StoreError):  # noqa: N818 - reads as what it is
    """The database is there, but its tables are missing or belong to another version of the program."""


class UniqueViolation(StoreError):  # noqa: N818 - PostgreSQL's word for it
    """`value` is taken already: `what` is "login", "alias" or "domain"; `owner` is the id of who has it."""

    def __init__(self, what: str, value: str, owner: str) -> None:
        super().__init__(f"the {what} `{value}` is already used by `{owner}`: choose another one")
        self.what = what
        self.value = value
        self.owner = owner


@contextmanager
def translated() -> Iterator[None]:
    """Whatever the database's driver raises inside leaves as a StoreError."""
    try:
        yield
    except exc.TimeoutError as error:
        raise StoreUnavailable("all connections to the database are in use: try again later") from error
    except exc.StatementError as error:
        lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
        raise _translation(error.orig, lost=lost) from error
    except (psycopg.Error, sqlite3.Error) as error:
        raise _translation(error) from error  # from where a watcher waits, without SQLAlchemy


def _translation(error: BaseException | None, *, lost: bool = False) -> StoreError:
    reason = str(error).strip()
    if lost or _passing(error):
        return StoreUnavailable(f"the database does not answer: {reason}")
    return StoreError(f"the database refused: {reason}")


def _passing(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return not str(error).startswith(("no such", "near "))  # a missing table or column does not pass
    if isinstance(error, psycopg.Error):
        state = error.sqlstate
        return isinstance(error, psycopg.OperationalError) if state is None else state.startswith(_PASSING_STATES)
    return False

"""The store: one database, read in consistent snapshots and written in transactions that carry their own history.

Theory of operation. `begin` takes the writers' lock before anything is read: BEGIN IMMEDIATE on SQLite, the row lock of
the one-row table `revision_counter` on PostgreSQL. So writers follow each other, whatever a writer has read is still
true when it commits, and the revisions that it hands out (`change`) become visible in their order: revision order is
commit order, and a reader that has seen revision n has seen everything up to n (docs/adr/0002). Rows are written at
once; the changes and the counter are written just before the commit, together with them. After the commit a hint wakes
the watchers; it carries nothing, and a lost one costs time only (`hints`).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from gatepost.store import migrate
from gatepost.store.connections import WAIT_SECONDS, WRITE, connect, create_file, parse_url, shown, sqlite_file
from gatepost.store.encoding import encode
from gatepost.store.errors import StoreError, StoreNotReady, StoreUnavailable, UniqueViolation, translated
from gatepost.store.schema import changes, revision_counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from gatepost.model import Kind, Noun

__all__ = [
    "Reader",
    "Signal",
    "Store",
    "StoreError",
    "StoreNotReady",
    "StoreUnavailable",
    "Transaction",
    "UniqueViolation",
    "Writer",
]

CHANNEL = "gatepost"  # of NOTIFY: one per database, and a database holds one store


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Reader:
    """One consistent snapshot; what the noun modules' reading functions take. `now` is the moment it began."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now


class Writer(Reader):
    """What the functions take that write what nobody follows: no revision, no change. It sees its own rows."""


class Transaction(Writer):
    """The one writer there is at this moment; it sees its own rows."""

    def __init__(self, connection: Connection, now: datetime, revision: int) -> None:
        super().__init__(connection, now)
        self._taken = self._revision = revision
        self._changes: list[dict[str, object]] = []

    @property
    def revision(self) -> int:
        """The revision as it will be once this is committed."""
        return self._revision

    def change(self, kind: Kind, organization_id: str, key: Sequence[str], noun: Noun | None) -> int:
        """Tell the feed that the noun is so from now on (None: deleted); returns the revision of this change."""
        self._revision += 1
        self._changes.append(
            {
                "revision": self._revision,
                "organization_id": organization_id,
                "kind": kind.value,
                "key": list(key),
                "noun": None if noun is None else encode(kind, noun),
                "at": self.now,
            }
        )
        return self._revision

    def write_changes(self) -> bool:
        """The last step before the commit: the changes and the counter; False when there were none."""
        if not self._changes:
            return False
        counted = update(revision_counter).where(revision_counter.c.value == self._taken).values(value=self._revision)
        if self.connection.dialect.name == "postgresql":
            # NOTIFY, sent by the server when this commits, without a round trip of its own
            counted = counted.returning(func.pg_notify(CHANNEL, ""))
        if self.connection.execute(counted).rowcount != 1:
            raise StoreError("the revision counter moved under its lock: is something else writing to this database?")
        self.connection.execute(insert(changes), self._changes if len(self._changes) > 1 else self._changes[0])
        return True


class Signal:
    """Wakes watchers in this process after a commit."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._sent = 0

    @property
    def sent(self) -> int:
        """How often it was sent; what a watcher has seen."""
        return self._sent

    def send(self) -> None:
        """Something was committed."""
        with self._condition:
            self._sent += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Return when more than `seen` were sent, or after `seconds`; how often it was sent by then."""
        deadline = time.monotonic() + seconds
        with self._condition:
            while self._sent == seen and (left := deadline - time.monotonic()) > 0:
                self._condition.wait(left)
            return self._sent


class Store:
    """One database; use `open`. All methods block, and may be called from any thread.

    `epoch` names the history that the revisions count; `url` never shows the password.
    """

    def __init__(self, engine: Engine, url: str, epoch: str, now: Callable[[], datetime]) -> None:
        self.engine = engine
        self.url = url
        self.epoch = epoch
        self.now = now
        self.committed = Signal()
        self.last_revision = 0  # of what this process committed
        self._turn = threading.Lock()

    @classmethod
    def open(cls, url: str, *, create: bool = False, now: Callable[[], datetime] = _utc_now) -> Store:
        """Connect; with `create` an empty or missing database gets its tables.

        Raises StoreNotReady when the tables are missing or not of this version, StoreUnavailable when there is no answer.
        """
        parsed = parse_url(url)
        path = sqlite_file(parsed)
        if path is not None and create:
            create_file(path)
        elif path is not None and not path.exists():
            raise StoreNotReady(f"there is no database at `{path}`: run `gatepost init` or `gatepost db upgrade`")
        engine = connect(parsed)
        try:
            with translated():
                if create:
                    migrate.create(engine)
                migrate.require_head(engine)
                with engine.connect() as connection:
                    epoch = connection.execute(select(revision_counter.c.epoch)).scalar_one()
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, shown(parsed), epoch, now)

    def close(self) -> None:
        """Close the connections; watchers in this process must have been stopped."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A consistent snapshot that refuses writes. Raises StoreError."""
        with translated(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(  # noqa: PLW2901 - the same one, with options
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield Reader(connection, self.now())

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """The writers' turn: commits at the end, keeps nothing after an exception, wakes watchers. Raises StoreError.

        Do not read from or begin on the same store inside: use the transaction.
        """
        with translated(), self._my_turn(), self.engine.connect() as plain:
            connection = plain.execution_options(**{WRITE: True})
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                # SQLite ignores FOR UPDATE: BEGIN IMMEDIATE has locked already
                revision = connection.execute(select(revision_counter.c.value).with_for_update()).scalar_one()
                transaction = Transaction(connection, self.now(), revision)
                yield transaction
                changed = transaction.write_changes()
            if changed:
                self.last_revision = transaction.revision
        if changed:
            self.committed.send()

    @contextmanager
    def bookkeeping(self) -> Iterator[Writer]:
        """For tables that are not in the feed: commits at the end, keeps nothing after an exception, wakes nobody.

        On PostgreSQL these run beside each other and beside `begin`, row locks being all that there is between them; on
        SQLite there is one writer at a time in any case. Raises StoreError.
        """
        with translated(), self._engine_turn(), self.engine.connect() as plain:
            connection = plain.execution_options(**{WRITE: True})
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                yield Writer(connection, self.now())

    def _engine_turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self.engine.dialect.name == "postgresql" else self._my_turn()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        # Writers of one process queue here: SQLite lets the second one sleep for up to 100 ms at a time, and PostgreSQL's
        # row lock would hold a connection of the pool for each.
        if not self._turn.acquire(timeout=WAIT_SECONDS):
            raise StoreUnavailable("another change is taking too long: try again later")
        try:
            yield
        finally:
            self._turn.release()

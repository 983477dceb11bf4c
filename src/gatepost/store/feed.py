"""The feed: everything at one moment (`load`), and every change after it, in order, without a gap (`watch`).

A reader keeps (epoch, revision). `Compacted` tells it that the changes from there on are not to be had: load again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, literal, select, update

from gatepost.model import Change, Kind
from gatepost.store import hints
from gatepost.store.encoding import RECORDS, decode
from gatepost.store.errors import translated
from gatepost.store.schema import NOUN_TABLES, changes, revision_counter

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from gatepost.model import Noun
    from gatepost.store.database import Store

LIMIT = 1000  # changes in a batch: some milliseconds to decode, some hundred KiB
POLL_SECONDS = 0.03  # how late another process's change on SQLite can be seen; one poll costs some 10 µs
HEARTBEAT_SECONDS = 0.5  # how late a change can be seen whose hint was lost, and half of what is promised to readers
# Who is in which group decides nothing, and whom a role may impersonate decides nothing at a gateway.
_LOADED = tuple(kind for kind in Kind if kind not in {Kind.GROUP_MEMBER, Kind.IMPERSONATION_ROLE})
# While programs are upgraded one after the other, a newer one writes what this one does not know and decides nothing by.
_KNOWN = tuple(kind.value for kind in Kind)
_COMPACT_ROWS = 10_000  # deleted in one transaction: tens of milliseconds in which other writers wait


class Compacted(Exception):  # noqa: N818 - an answer, not a failure
    """The changes after that revision are gone, or belong to another history (epoch): load again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that decides, at `revision`: organizations first, then users, rules, overrides, devices, groups."""

    epoch: str
    revision: int
    nouns: tuple[Noun, ...]


def load(store: Store) -> Snapshot:
    """Everything that a replica needs, deleted organizations and users included. Raises StoreError."""
    with store.read() as reader:
        epoch, revision = reader.connection.execute(select(revision_counter.c.epoch, revision_counter.c.value)).one()
        nouns: list[Noun] = []
        for kind in _LOADED:
            table, record = NOUN_TABLES[kind], RECORDS[kind]
            rows = reader.connection.execute(select(*[table.c[name] for name in record.names]))
            nouns += [record.from_columns(row) for row in rows]
    return Snapshot(epoch, revision, tuple(nouns))


def changes_after(store: Store, epoch: str, revision: int, limit: int = LIMIT) -> list[Change]:
    """The next changes, at most `limit`, in order; [] when there are none. Raises Compacted, StoreError.

    A change of a kind that only a newer program knows is left out.
    """
    with store.read() as reader:
        return _changes_after(reader.connection, epoch, revision, limit)


def watch(
    store: Store, epoch: str, after: int, stop: threading.Event, poll: float = POLL_SECONDS
) -> Iterator[list[Change]]:
    """Batches of changes as they are committed; [] each half second or sooner, as a proof that the store answered.

    Blocks: run it in a thread of its own; ends a fraction of a second after `stop` is set. Raises Compacted, StoreError.
    """
    with translated(), hints.listen(store) as line:
        while not stop.is_set():
            with line.reading() as connection:
                found = _changes_after(connection, epoch, after, LIMIT)
            if found:
                after = found[-1].revision
            yield found
            if len(found) == LIMIT:
                continue
            due = time.monotonic() + HEARTBEAT_SECONDS
            while not stop.is_set() and (left := due - time.monotonic()) > 0 and not line.wait(min(poll, left)):
                pass


def position(store: Store) -> int:
    """The present revision: where to watch from when only what comes is wanted."""
    with store.read() as reader:
        return int(reader.connection.execute(select(revision_counter.c.value)).scalar_one())


def revision_before(store: Store, moment: datetime) -> int:
    """The last revision made before `moment`: what `compact` takes to keep the changes since then."""
    with store.read() as reader:
        found = reader.connection.execute(select(func.max(changes.c.revision)).where(changes.c.at < moment)).scalar()
        return int(found or 0)


def compact(store: Store, keep_after: int) -> int:
    """Forget the changes up to and including `keep_after`; returns how many there were. Raises StoreError."""
    with store.begin() as transaction:
        # first the mark, then the rows: a reader in between is told to load again instead of seeing a gap
        keep_after = min(keep_after, transaction.revision)
        transaction.connection.execute(
            update(revision_counter).where(revision_counter.c.compacted < keep_after).values(compacted=keep_after)
        )
    forgotten = 0
    while True:
        oldest = select(changes.c.revision).where(changes.c.revision <= keep_after).order_by(changes.c.revision)
        with store.begin() as transaction:
            deleted = transaction.connection.execute(
                delete(changes).where(changes.c.revision.in_(oldest.limit(_COMPACT_ROWS)))
            ).rowcount
        forgotten += deleted
        if deleted < _COMPACT_ROWS:
            return forgotten


def _changes_after(connection: Connection, epoch: str, revision: int, limit: int) -> list[Change]:
    # one statement, so that the counter and the changes are of the same moment without a transaction around them
    counter = revision_counter.c
    rows = connection.execute(
        select(counter.epoch, counter.value, counter.compacted, changes)
        .select_from(
            revision_counter.outerjoin(
                changes, and_(changes.c.revision > literal(revision), changes.c.kind.in_(_KNOWN))
            )
        )
        .order_by(changes.c.revision)
        .limit(limit)
    ).all()
    its_epoch, newest, compacted = rows[0][:3]
    if its_epoch != epoch or not compacted <= revision <= newest:
        raise Compacted(f"no changes after revision {revision} of {epoch}: load again")
    return [_change(row) for row in rows if row.revision is not None]


def _change(row: Row[Any]) -> Change:
    kind = Kind(row.kind)
    noun = None if row.noun is None else decode(kind, row.noun)
    return Change(row.revision, row.organization_id, kind, tuple(row.key), noun, row.at)

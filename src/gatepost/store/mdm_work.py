"""Devices to look at: a table of dirty keys, not a queue of jobs.

Theory of operation. One row for a device, however often it is told of; whoever handles it asks the source how it is now.
`claim` gives a worker a lease with a random token. `done` takes the row away, unless the device was told of meanwhile
(`generation` moved): then it is handled again. A lease that ends before the work does is claimed by another worker, and
whatever the first one still writes would be old: so it asks `holds` in the transaction in which it writes, and the row
stays locked until that commits. Attempts are counted when they begin, so a device that kills its worker is parked too.

Moments are the transaction's (`writer.now`). Rows of several devices are touched in the order of their keys; whoever
holds a claim marks other devices dirty in a transaction of its own, or two workers could wait for each other.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from gatepost.model import Claim, Parked
from gatepost.store.columns import Moment
from gatepost.store.mdm_schema import mdm_work

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Executable

    from gatepost.store.database import Reader, Writer

_ROW = mdm_work.c
_KEY = (_ROW.source, _ROW.device_key)
_ERROR_CHARACTERS = 1000
_OWNED = "#"  # between the owner and the random part of a token
_FREE: dict[str, Any] = {"lease_until": None, "lease_token": None}


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many devices are due, wait for a later moment, are being handled, are parked; since when the oldest is due."""

    due: int
    later: int
    leased: int
    parked: int
    oldest_due: datetime | None


def dirty(writer: Writer, source: str, device_key: str, *, due: datetime | None = None, urgent: bool = False) -> None:
    """The device is to be looked at, now or when it is `due`; one that was parked is tried anew."""
    dirty_many(writer, [(source, device_key)], due=due, urgent=urgent)


def dirty_many(
    writer: Writer, keys: Iterable[tuple[str, str]], *, due: datetime | None = None, urgent: bool = False
) -> int:
    """The same for each (source, device key); how many those were."""
    rows = [
        {"source": source, "device_key": key, "due": due or writer.now, "urgent": urgent}
        for source, key in sorted(set(keys))
    ]
    if rows:
        writer.connection.execute(_MARK[writer.connection.dialect.name], rows)
    return len(rows)


def is_claimed(reader: Reader, source: str, device_key: str) -> bool:
    """Whether somebody is looking at the device now."""
    named = (_ROW.source == source, _ROW.device_key == device_key, _ROW.lease_until > reader.now)
    return reader.connection.execute(select(literal(1)).where(*named)).first() is not None


def claim(
    writer: Writer, lease_seconds: float, limit: int = 1, *, sources: Collection[str] | None = None, owner: str = ""
) -> list[Claim]:
    """Take at most `limit` devices that are due and that nobody handles: the urgent ones first, then by how long.

    Commit before the work begins, and ask the source after that: what is told of meanwhile is then seen or handled again.
    `owner` says who takes them, for `release_of`.
    """
    token = f"{owner}{_OWNED}{secrets.token_hex(16)}"
    lease = {"lease_until": writer.now + timedelta(seconds=lease_seconds), "lease_token": token}
    claims: list[Claim] = []
    for urgent in (True, False):
        if len(claims) < limit:
            first = _claimable(writer.now, sources).where(_ROW.urgent == literal(urgent)).limit(limit - len(claims))
            claims += _claim(writer, first, lease)
    return claims


def holds(writer: Writer, claim: Claim) -> bool:
    """The fence: whether nobody has claimed the device since; True holds until the end of the transaction."""
    return claim in held(writer, [claim])


def held(writer: Writer, claims: Collection[Claim]) -> dict[Claim, int]:
    """The fence for several: those of the claims that still hold, until the end of the transaction, and their generation.

    A generation that is not the claim's says that the device was told of meanwhile.
    """
    by_source: dict[str, dict[tuple[str, str], Claim]] = {}
    for claim in sorted(claims, key=lambda one: (one.source, one.device_key)):
        by_source.setdefault(claim.source, {})[claim.device_key, claim.token] = claim
    found: dict[Claim, int] = {}
    for source, theirs in by_source.items():
        names = {"of_source": source, "device_keys": sorted({device_key for device_key, _ in theirs})}
        for device_key, token, generation in writer.connection.execute(_FENCES, names):
            if (device_key, token) in theirs:
                found[theirs[device_key, token]] = generation
    return found


def finish(
    writer: Writer,
    ended: Mapping[Claim, datetime | None],
    generations: Mapping[Claim, int],
    pause: timedelta = timedelta(0),
) -> None:
    """`done` for several claims that are `held`: each with when to look again, None where nothing is due.

    What was told of meanwhile is due after a `pause`.
    """
    touched, later, over = [], [], []
    soon = writer.now + pause
    for claim, again in ended.items():
        names = _names(claim) | {"of_generation": claim.generation}
        if generations[claim] != claim.generation:
            touched.append(_names(claim) | {"soon": soon})
        elif again is not None:
            later.append(names | {"again": again})
        else:
            over.append(names)
    for statement, rows in ((_FINISH_TOUCHED, touched), (_FINISH_FOR_NOW, later), (_FINISH, over)):
        if rows:
            writer.connection.execute(statement, rows)


def extend(writer: Writer, claim: Claim, lease_seconds: float) -> Claim | None:
    """The claim with a lease from now on; None when it is lost."""
    lease_until = writer.now + timedelta(seconds=lease_seconds)
    extended = writer.connection.execute(update(mdm_work).where(_held(claim)).values(lease_until=lease_until))
    return replace(claim, lease_until=lease_until) if extended.rowcount else None


def done(writer: Writer, claim: Claim, again: datetime | None = None) -> bool:
    """The device is handled: take it away, or look again then; False, and nothing, when the claim is lost.

    Was it told of meanwhile, it stays due.
    """
    generations = held(writer, [claim])
    if generations:
        finish(writer, {claim: again}, generations)
    return bool(generations)


def fail(writer: Writer, claim: Claim, error: str, again: datetime, park_after: int) -> bool | None:
    """It did not work: try `again` then, or park it when that was attempt `park_after`.

    True: parked. False: not, and never if it was told of meanwhile. None: the claim is lost, and nothing was done.
    """
    return _failed(writer, claim, error, _ROW.attempts >= park_after, again)


def park(writer: Writer, claim: Claim, error: str) -> bool | None:
    """Trying again is of no use: as `fail` with the last attempt."""
    return _failed(writer, claim, error, true(), writer.now)


def release(writer: Writer, claim: Claim, again: datetime | None = None) -> bool:
    """Give it back as if it had not been tried, to be looked at at once or `again` then; False when the claim is lost."""
    values: dict[str, Any] = {"attempts": _ROW.attempts - 1, **_FREE} | ({} if again is None else {"due": again})
    return bool(writer.connection.execute(update(mdm_work).where(_held(claim)).values(values)).rowcount)


def owners(reader: Reader) -> set[str]:
    """Who has claimed something, and has it still."""
    tokens = reader.connection.execute(
        select(_ROW.lease_token).where(_ROW.lease_until > reader.now).distinct()
    ).scalars()
    return {owner for token in tokens if (owner := token.rpartition(_OWNED)[0])}


def release_of(writer: Writer, owner: str) -> int:
    """End all leases of an owner who is not there any more; how many those were. The attempts count."""
    theirs = func.substr(_ROW.lease_token, 1, len(owner) + len(_OWNED)) == owner + _OWNED
    return writer.connection.execute(update(mdm_work).where(theirs).values(_FREE)).rowcount


def parked(
    reader: Reader, *, source: str | None = None, after: tuple[str, str] | None = None, limit: int = 1000
) -> list[Parked]:
    """What was given up, by source and device key; `after` is the last one's, to go on behind it."""
    where = _parked(source, None)
    if after is not None:
        where = and_(where, tuple_(*_KEY) > tuple_(*after))
    columns = (*_KEY, _ROW.attempts, _ROW.last_error, _ROW.parked_at)
    rows = reader.connection.execute(select(*columns).where(where).order_by(*_KEY).limit(limit))
    return [Parked(*row) for row in rows]


def retry(writer: Writer, source: str | None = None, device_key: str | None = None) -> int:
    """Try what was parked anew: one device, those of a source, or all; returns how many those are.

    Only one that is named is urgent: many at once may be a mass change, which is for the guard to see.
    """
    values = {"parked_at": None, "attempts": 0, "due": writer.now, "urgent": device_key is not None}
    return writer.connection.execute(update(mdm_work).where(_parked(source, device_key)).values(values)).rowcount


def drop(writer: Writer, source: str | None = None, device_key: str | None = None) -> int:
    """Give up for good what was parked; the next notification or sweep brings it back all the same."""
    return writer.connection.execute(delete(mdm_work).where(_parked(source, device_key))).rowcount


def backlog(reader: Reader, source: str | None = None) -> Backlog:
    """How much there is to do."""
    waiting = _ROW.parked_at.is_(None)
    leased = and_(waiting, _ROW.lease_until > reader.now)
    free = and_(waiting, or_(_ROW.lease_until.is_(None), _ROW.lease_until <= reader.now))
    due = and_(free, _ROW.due <= reader.now)
    statement = select(
        _count(due), _count(and_(free, _ROW.due > reader.now)), _count(leased), _count(_ROW.parked_at.is_not(None))
    )
    oldest = select(func.min(_ROW.due)).where(waiting, _ROW.due <= reader.now)
    if source is not None:
        statement, oldest = statement.where(_ROW.source == source), oldest.where(_ROW.source == source)
    counts = reader.connection.execute(statement).one()
    return Backlog(*counts, reader.connection.execute(oldest).scalar())


def due_sources(reader: Reader, sources: Collection[str]) -> list[str]:
    """Those of the sources of which a device can be claimed now."""
    claimable = and_(_ROW.due <= reader.now, or_(_ROW.lease_until.is_(None), _ROW.lease_until < reader.now))
    where = [_ROW.parked_at.is_(None), claimable, *_of(sources)]
    return sorted(reader.connection.execute(select(_ROW.source).where(*where).distinct()).scalars())


def _claimable(now: datetime, sources: Collection[str] | None) -> Select[Any]:
    free = or_(_ROW.lease_until.is_(None), _ROW.lease_until < now)
    return select(*_KEY).where(_ROW.due <= now, free, _ROW.parked_at.is_(None), *_of(sources)).order_by(_ROW.due)


def _claim(writer: Writer, first: Select[Any], lease: dict[str, Any]) -> list[Claim]:
    # FOR UPDATE is nothing on SQLite, which has one writer; a CTE, because PostgreSQL may run a subquery more than
    # once, and claim more
    picked = first.with_for_update(skip_locked=True).cte("picked")
    taken = (
        update(mdm_work)
        .where(tuple_(*_KEY).in_(select(picked.c.source, picked.c.device_key)))
        .values(attempts=_ROW.attempts + 1, **lease)
        .returning(*_KEY, _ROW.generation, _ROW.lease_token, _ROW.attempts, _ROW.urgent, _ROW.lease_until, _ROW.due)
    )
    rows = writer.connection.execute(taken).all()
    return [Claim(*row[:-1]) for row in sorted(rows, key=lambda row: (row.due, row.source, row.device_key))]


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(_ROW.source == claim.source, _ROW.device_key == claim.device_key, _ROW.lease_token == claim.token)


def _names(claim: Claim) -> dict[str, Any]:
    return {"of_source": claim.source, "of_device_key": claim.device_key, "of_token": claim.token}


def _failed(writer: Writer, claim: Claim, error: str, gives_up: ColumnElement[bool], again: datetime) -> bool | None:
    untouched = _ROW.generation == claim.generation
    parks = and_(untouched, gives_up)
    values: dict[str, Any] = {
        "due": again,
        "urgent": case(
            (parks, False), else_=_ROW.urgent
        ),  # who brings it back says whether that is about this very device
        "last_error": error.replace("\0", "?")[:_ERROR_CHARACTERS],  # which PostgreSQL refuses
        "parked_at": case((parks, literal(writer.now, Moment)), else_=None),
        **_FREE,
    }
    failed = update(mdm_work).where(_held(claim)).values(values).returning(_ROW.parked_at)
    row = writer.connection.execute(failed).first()
    return None if row is None else row.parked_at is not None


def _parked(source: str | None, device_key: str | None) -> ColumnElement[bool]:
    named = ((_ROW.source, source), (_ROW.device_key, device_key))
    return and_(_ROW.parked_at.is_not(None), *[column == value for column, value in named if value is not None])


def _of(sources: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [] if sources is None else [_ROW.source.in_(sorted(sources))]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _mark(dialect: Any) -> Executable:
    statement: Any = dialect.insert(mdm_work).values(generation=1, attempts=0)
    told = statement.excluded
    marking: Executable = statement.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={
            "generation": _ROW.generation + 1,
            "due": case((told.due < _ROW.due, told.due), else_=_ROW.due),
            "urgent": or_(_ROW.urgent, told.urgent),
            "attempts": case((_ROW.parked_at.is_(None), _ROW.attempts), else_=0),
            "parked_at": None,
        },
    )
    return marking


_MARK = {"postgresql": _mark(postgresql), "sqlite": _mark(sqlite)}

# Made once, because making a statement takes longer than running it, and these run for each device.
_OURS = and_(
    _ROW.source == bindparam("of_source"),
    _ROW.device_key == bindparam("of_device_key"),
    _ROW.lease_token == bindparam("of_token"),
)
_UNTOUCHED = _ROW.generation == bindparam("of_generation")
_SUCCESS: dict[str, Any] = {"attempts": 0, "last_error": None, **_FREE}
_FINISH = delete(mdm_work).where(_OURS, _UNTOUCHED)
_FINISH_FOR_NOW = (
    update(mdm_work).where(_OURS, _UNTOUCHED).values(due=bindparam("again", type_=Moment), urgent=False, **_SUCCESS)
)
_SOON = bindparam("soon", type_=Moment)
_FINISH_TOUCHED = update(mdm_work).where(_OURS).values(due=case((_ROW.due < _SOON, _SOON), else_=_ROW.due), **_SUCCESS)
_FENCES = (
    select(_ROW.device_key, _ROW.lease_token, _ROW.generation)
    .where(_ROW.source == bindparam("of_source"), _ROW.device_key.in_(bindparam("device_keys", expanding=True)))
    .order_by(_ROW.device_key)
    .with_for_update()
)

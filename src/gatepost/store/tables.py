"""What the noun modules have in common: one noun, one table, each change of a row told to the feed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import and_, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gatepost.store.encoding import RECORDS, Record
from gatepost.store.schema import NOUN_TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Executable, Table

    from gatepost.model import Kind
    from gatepost.store.database import Reader, Transaction

N = TypeVar("N")


def upsert(connection: Connection, table: Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; one that is there already (by primary key) takes the new values."""
    connection.execute(_upsert(table, connection.dialect.name), rows)


@cache  # there are few tables, and making the statement takes longer than running it
def _upsert(table: Table, dialect: str) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement: Any = insert(table)  # the two are spelt alike, but share no type
    values = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    upserting: Executable = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values)
    return upserting


def starts_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Whether the column, which holds a key in lower case, begins so."""
    key = prefix.lower()
    return func.substr(column, 1, len(key)) == key  # no pattern, so nothing in it needs escaping


class NounTable(Generic[N]):
    """The rows of one kind of noun. A key is what a Change has: the primary key without the organization."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.table = NOUN_TABLES[kind]
        self.record: Record[N] = RECORDS[kind]
        self.key_names = tuple(column.name for column in self.table.primary_key if column.name != "organization_id")
        self._columns = [self.table.c[name] for name in self.record.names]
        self._key = [self.table.c[name] for name in self.key_names]
        # made once: to make a statement takes several times as long as to run it
        self._names = ("organization_id", *self.key_names)
        named = and_(*[self.table.c[name] == bindparam(f"of_{name}") for name in self._names])
        self._get = select(*self._columns).where(named)
        self._delete = delete(self.table).where(named)

    def key(self, noun: N) -> tuple[str, ...]:
        """The noun's key."""
        return tuple(getattr(noun, name) for name in self.key_names)

    def get(self, reader: Reader, organization_id: str, *key: str) -> N | None:
        """The noun, or None."""
        row = reader.connection.execute(self._get, self._named(organization_id, key)).first()
        return None if row is None else self.record.from_columns(row)

    def put(self, transaction: Transaction, noun: Any, **derived: object) -> int:
        """Write the row, with columns that are not the noun's own (`derived`); returns the change's revision."""
        upsert(transaction.connection, self.table, self.record.to_columns(noun) | derived)
        return transaction.change(self.kind, noun.organization_id, self.key(noun), noun)

    def put_many(
        self, transaction: Transaction, nouns: Sequence[Any], derived: Sequence[Mapping[str, object]] = ()
    ) -> None:
        """`put` for each, in two statements; `derived` has a mapping for each noun, or is empty."""
        if nouns:
            more = derived or [{}] * len(nouns)
            rows = [self.record.to_columns(noun) | dict(one) for noun, one in zip(nouns, more, strict=True)]
            upsert(transaction.connection, self.table, rows)
        for noun in nouns:
            transaction.change(self.kind, noun.organization_id, self.key(noun), noun)

    def delete_many(self, transaction: Transaction, nouns: Sequence[Any]) -> None:
        """Remove these, which this transaction has read."""
        if nouns:
            named = [self._named(noun.organization_id, self.key(noun)) for noun in nouns]
            transaction.connection.execute(self._delete, named)
        for noun in nouns:
            transaction.change(self.kind, noun.organization_id, self.key(noun), None)

    def delete(self, transaction: Transaction, organization_id: str, *key: str) -> bool:
        """Remove the row; False, and no change, when there was none."""
        deleted = transaction.connection.execute(self._delete, self._named(organization_id, key))
        if deleted.rowcount:
            transaction.change(self.kind, organization_id, key, None)
        return bool(deleted.rowcount)

    def page(
        self,
        reader: Reader,
        organization_id: str,
        after: Sequence[str] | None,
        limit: int,
        *conditions: ColumnElement[bool],
    ) -> list[N]:
        """At most `limit` nouns with a key greater than `after`, by key."""
        where = [self.table.c.organization_id == organization_id, *conditions]
        if after is not None:
            where.append(tuple_(*self._key) > tuple_(*after))
        return self.select(reader, and_(*where), limit)

    def select(self, reader: Reader, condition: ColumnElement[bool], limit: int | None = None) -> list[N]:
        """The nouns that meet the condition, by key."""
        statement = select(*self._columns).where(condition).order_by(*self.table.primary_key).limit(limit)
        return [self.record.from_columns(row) for row in reader.connection.execute(statement)]

    def of_ids(self, reader: Reader, organization_id: str, ids: Collection[str]) -> list[N]:
        """Those of these nouns that there are, by id; some hundred ids at most. For a kind whose key is one id."""
        (key,) = self._key
        return self.select(reader, and_(self.table.c.organization_id == organization_id, key.in_(ids))) if ids else []

    def count(self, reader: Reader, organization_id: str) -> int:
        """How many the organization has."""
        statement = select(func.count()).where(self.table.c.organization_id == organization_id)
        return int(reader.connection.execute(statement.select_from(self.table)).scalar_one())

    def _named(self, organization_id: str, key: Sequence[str]) -> dict[str, str]:
        pairs = zip(self._names, (organization_id, *key), strict=True)
        return {f"of_{name}": value for name, value in pairs}

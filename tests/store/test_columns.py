"""Moments, and that a table that is not in the schema cannot be forgotten."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select

from gatepost.store import mdm_schema, schema
from gatepost.store.errors import StoreError


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-9, minutes=-30))])
def test_a_moment_comes_back_in_utc_with_its_microseconds(store, zone):
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=zone)
    with store.bookkeeping() as writer:
        writer.connection.execute(insert(mdm_schema.mdm_sources).values(source="a", failures=0, answered_at=moment))
        writer.connection.execute(insert(mdm_schema.mdm_sources).values(source="b", failures=0))
        rows = writer.connection.execute(select(mdm_schema.mdm_sources.c.answered_at).order_by("source"))
        found, none = rows.scalars()
    assert (found, found.tzinfo, none) == (moment, UTC, None)


def test_a_moment_without_a_time_zone_is_refused(store):
    with pytest.raises(StoreError, match="a moment without a time zone"), store.bookkeeping() as writer:
        writer.connection.execute(
            insert(mdm_schema.mdm_sources).values(source="a", failures=0, answered_at=datetime(2026, 3, 1))
        )


def test_the_schema_holds_the_bridges_tables_too():
    assert "mdm_work" in schema.metadata.tables
    assert "users" in schema.metadata.tables

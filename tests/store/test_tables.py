from __future__ import annotations

from dataclasses import fields
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.store.nouns import NOON, ORGANIZATION, a_device, a_rule, an_organization

from gatepost.model import Kind
from gatepost.store import devices, feed, mobile_device_access_rules, organizations
from gatepost.store.encoding import RECORDS
from gatepost.store.errors import StoreError
from gatepost.store.schema import NOUN_TABLES
from gatepost.store.tables import NounTable, upsert


@pytest.mark.parametrize("kind", list(Kind))
def test_a_table_has_the_columns_of_its_noun_and_the_key_of_its_change(kind):
    table = NounTable(kind)
    assert set(table.record.names) <= {column.name for column in table.table.columns}
    assert (
        table.key_names
        == {
            Kind.ORGANIZATION: (),
            Kind.USER: ("user_id",),
            Kind.MOBILE_DEVICE_ACCESS_RULE: ("rule_id",),
            Kind.MOBILE_DEVICE_ACCESS_OVERRIDE: ("user_id", "device_id", "owner"),
            Kind.ACCESS_CONTROL_RULE: ("name",),
            Kind.DEVICE: ("user_id", "device_id"),
            Kind.GROUP: ("group_id",),
            Kind.GROUP_MEMBER: ("group_id", "member_id"),
            Kind.IMPERSONATION_ROLE: ("role_id",),
        }[kind]
    )


def test_every_kind_has_a_table_and_loads_in_an_order_that_can_be_built_upon():
    assert list(NOUN_TABLES) == list(Kind) == list(RECORDS)


def test_moments_come_back_to_the_microsecond_whatever_zone_they_were_given_in(store):
    table = NOUN_TABLES[Kind.DEVICE]
    zone = timezone(timedelta(hours=-9, minutes=-30))
    with store.begin() as transaction:
        devices.save(transaction, [a_device(first_seen=NOON.astimezone(zone), last_seen=NOON.astimezone(zone))])
    with store.read() as reader:
        first_seen = reader.connection.execute(select(table.c.first_seen)).scalar_one()
        assert (first_seen, first_seen.tzinfo) == (NOON, UTC)


def test_a_moment_without_a_time_zone_is_a_mistake(store):
    def put():
        with store.begin() as transaction:
            upsert(transaction.connection, NOUN_TABLES[Kind.DEVICE], _row(first_seen=NOON.replace(tzinfo=None)))

    with pytest.raises(StoreError, match="without a time zone"):
        put()


def test_upsert_replaces_every_column_but_the_key(store):
    table = NOUN_TABLES[Kind.DEVICE]
    rows = [_row(device_id="A"), _row(device_id="B")]
    changed = _row(device_id="B", device_type="iPad", http_user_agent=None, facts={"any": "JSON"})
    with store.begin() as transaction:
        upsert(transaction.connection, table, rows)
        upsert(transaction.connection, table, changed)
        found = transaction.connection.execute(select(table).order_by(table.c.device_id)).mappings().all()
    assert [dict(row) for row in found] == [rows[0], changed]


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_comes_back(store, text):
    rule = a_rule(name=text, description=text)
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        mobile_device_access_rules.put(transaction, rule)
    with store.read() as reader:
        assert mobile_device_access_rules.get(reader, ORGANIZATION, "rule-1") == rule
    assert feed.changes_after(store, store.epoch, feed.load(store).revision - 1)[0].noun == rule


def _row(**changes):
    device = a_device()
    return {field.name: getattr(device, field.name) for field in fields(device)} | {"facts": {}} | changes

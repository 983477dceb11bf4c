from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.nouns import (
    NOON,
    a_device,
    a_group,
    a_member,
    a_role,
    a_rule,
    a_user,
    an_access_control_rule,
    an_organization,
    an_override,
)

from gatepost.model import (
    AccessControlRule,
    AccessKey,
    Device,
    Group,
    GroupMember,
    ImpersonationRole,
    Kind,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Notification,
    Organization,
    Role,
    User,
)
from gatepost.store.encoding import RECORDS, EncodingError, Record, decode, encode

CLASSES = {
    Kind.ORGANIZATION: Organization,
    Kind.USER: User,
    Kind.MOBILE_DEVICE_ACCESS_RULE: MobileDeviceAccessRule,
    Kind.MOBILE_DEVICE_ACCESS_OVERRIDE: MobileDeviceAccessOverride,
    Kind.ACCESS_CONTROL_RULE: AccessControlRule,
    Kind.DEVICE: Device,
    Kind.GROUP: Group,
    Kind.GROUP_MEMBER: GroupMember,
    Kind.IMPERSONATION_ROLE: ImpersonationRole,
}
EXAMPLES = {
    Kind.ORGANIZATION: an_organization(),
    Kind.USER: a_user(),
    Kind.MOBILE_DEVICE_ACCESS_RULE: a_rule(),
    Kind.MOBILE_DEVICE_ACCESS_OVERRIDE: an_override(),
    Kind.ACCESS_CONTROL_RULE: an_access_control_rule(),
    Kind.DEVICE: a_device(),
    Kind.GROUP: a_group(),
    Kind.GROUP_MEMBER: a_member(),
    Kind.IMPERSONATION_ROLE: a_role(),
}

st.register_type_strategy(
    datetime,
    st.datetimes(
        datetime(1, 1, 2),
        datetime(9999, 12, 30),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11))]),
    ),
)


def nouns(kind: Kind) -> st.SearchStrategy:
    # the model imports datetime for its annotations only, so Hypothesis is told the hints
    hints = get_type_hints(CLASSES[kind], localns={"datetime": datetime})
    return st.builds(CLASSES[kind], **{name: st.from_type(hint) for name, hint in hints.items()})


@pytest.mark.parametrize("kind", list(Kind))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(data=st.data())
def test_what_is_written_comes_back_equal(kind, data):
    noun = data.draw(nouns(kind))
    document = json.loads(json.dumps(encode(kind, noun)))
    assert decode(kind, document) == noun
    record = RECORDS[kind]
    columns = record.to_columns(noun)
    assert record.from_columns([columns[name] for name in record.names]) == noun


def test_every_kind_has_an_encoding():
    assert set(RECORDS) == set(Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_document_with_a_field_too_few_or_too_many_is_refused(kind):
    document = encode(kind, EXAMPLES[kind])
    for name in document:
        with pytest.raises(EncodingError, match=CLASSES[kind].__name__):
            decode(kind, {key: value for key, value in document.items() if key != name})
    with pytest.raises(EncodingError):
        decode(kind, document | {"surplus": None})


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("wrong", [7, True, 1.5, {"a": 1}, [1], [None], "2026-03-01", "2026-03-01T12:00:00", "MAYBE"])
def test_a_value_of_another_type_is_refused(kind, wrong):
    document = encode(kind, EXAMPLES[kind])
    taken = {str: ("str", "str | None"), bool: ("bool",)}.get(type(wrong), ())
    right = {field.name for field in fields(CLASSES[kind]) if field.type in taken}
    for name in document:
        if name in right:
            continue
        with pytest.raises(EncodingError):
            decode(kind, document | {name: wrong})


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_what_is_no_object_is_refused(document):
    with pytest.raises(EncodingError):
        decode(Kind.USER, document)


def test_a_moment_is_written_in_utc_with_microseconds():
    noon_in_delhi = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    document = encode(Kind.USER, replace(a_user(), date_created=noon_in_delhi))
    assert document["date_created"] == "2026-03-01T12:00:00.123456+00:00"


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(EncodingError, match="without a time zone"):
        encode(Kind.USER, replace(a_user(), date_created=NOON.replace(tzinfo=None)))


def test_a_moment_of_another_time_zone_is_not_our_writing():
    document = encode(Kind.USER, a_user())
    with pytest.raises(EncodingError, match="not a moment in UTC"):
        decode(Kind.USER, document | {"date_created": "2026-03-01T12:00:00.123456+05:30"})


def test_pairs_are_pairs():
    document = encode(Kind.USER, a_user())
    with pytest.raises(EncodingError):
        decode(Kind.USER, document | {"attributes": [["DisplayName", "Alice", "Bob"]]})


def test_an_access_key_has_an_encoding_too():
    key = AccessKey("AKIAEXAMPLE", "laptop", Role.BRIDGE, NOON, None)
    record = Record(AccessKey)
    assert record.from_document(record.to_document(key)) == key


def test_a_notification_is_written_with_its_bytes_and_a_truth_is_no_number():
    record = Record(Notification)
    columns = record.to_columns(Notification("ws1", "n1", None, b"\0", NOON, 2))
    assert record.from_columns(list(columns.values())) == Notification("ws1", "n1", None, b"\0", NOON, 2)
    with pytest.raises(EncodingError, match="not a int"):
        record.from_columns([*list(columns.values())[:-1], True])


@dataclass
class Unknown:
    number: complex


@dataclass
class Mixed:
    pair: tuple[str, bool]


@pytest.mark.parametrize("cls", [Unknown, Mixed])
def test_a_field_that_cannot_be_written_is_found_when_the_program_starts(cls):
    with pytest.raises(TypeError, match="no encoding"):
        Record(cls)

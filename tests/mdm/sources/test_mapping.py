"""Expressions and tables of words: what they find, what they mean, and that nothing unknown is allowed."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.clock import NOON

from gatepost.mdm.sources.mapping import FIELDS, DeviceMap, Expression, MapConfiguration
from gatepost.mdm.sources.reading import Unreadable
from gatepost.model import Compliance, Managed

WHOLE = {
    "device_key": "id",
    "device_ids": "[eas, outlook.*]",
    "user_addresses": "[owner.mail, owner.aliases]",
    "managed": "mdm",
    "compliance": "state",
    "compromised": "rooted",
    "serial": "sn",
    "imei": "imei",
    "friendly_name": "name",
    "state_time": "seen",
    "grace_until": "grace",
}
ITEM = {
    "id": 42, "eas": "6apm", "outlook": {"a": "OUT2"}, "owner": {"mail": "Alice@example.com", "aliases": ["al@example.com", "al"]}, "mdm": True,
    "state": "Compliant", "rooted": "no", "sn": "F2LX", "imei": 350000000000001, "name": "alice's", "seen": "2026-11-02T11:00:00Z", "grace": 1793624400,
}  # fmt: skip


def posture(item, fields=WHOLE, **tables):
    return DeviceMap(MapConfiguration(fields, **tables)).posture("any", "42", item, NOON)


def test_every_field_is_found():
    assert tuple(WHOLE) == FIELDS
    found = posture(ITEM)
    assert (found.source, found.device_key, found.device_ids) == ("any", "42", ("6APM", "OUT2"))
    assert found.user_addresses == ("al@example.com", "alice@example.com")
    assert (found.managed, found.compliance, found.compromised) == (Managed.YES, Compliance.COMPLIANT, False)
    assert (found.serial, found.imei, found.friendly_name) == ("F2LX", "350000000000001", "alice's")
    assert (found.state_time, found.observed_at) == (NOON - timedelta(hours=1), NOON)
    assert found.grace_until == NOON + timedelta(hours=1)


def test_without_expressions_a_device_is_managed_and_nothing_else():
    found = posture(ITEM, {"device_key": "id"})
    assert (found.managed, found.compliance, found.compromised) == (Managed.YES, Compliance.UNKNOWN, None)
    assert (found.user_addresses, found.device_ids, found.state_time, found.grace_until) == ((), (), None, None)


def test_a_value_that_is_missing_is_unknown():
    found = posture({"id": 42})
    assert (found.managed, found.compliance, found.compromised) == (Managed.UNKNOWN, Compliance.UNKNOWN, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, Compliance.COMPLIANT), (False, Compliance.NON_COMPLIANT), ("COMPLIANT", Compliance.COMPLIANT), ("non_compliant", Compliance.NON_COMPLIANT),
     ("Not Compliant", Compliance.NON_COMPLIANT), ("pending", Compliance.PENDING), ("not-applicable", Compliance.NOT_AVAILABLE), (1, Compliance.UNKNOWN),
     ("ok", Compliance.UNKNOWN), (None, Compliance.UNKNOWN), ([], Compliance.UNKNOWN)],
)  # fmt: skip
def test_the_built_in_words(value, expected):
    assert posture({"state": value}).compliance is expected


TABLE = {
    "Pass": "compliant",
    "0": "compliant",
    "true": "non-compliant",
    "In Grace": "pending",
    "": "not-available",
    "*": "non-compliant",
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("pass", Compliance.COMPLIANT), ("PASS ", Compliance.COMPLIANT), (0, Compliance.COMPLIANT), (True, Compliance.NON_COMPLIANT), ("in grace", Compliance.PENDING),
     (None, Compliance.NOT_AVAILABLE), ("", Compliance.NOT_AVAILABLE), ("anything", Compliance.NON_COMPLIANT), (0.5, Compliance.NON_COMPLIANT)],
)  # fmt: skip
def test_a_table_of_ones_own_replaces_them(value, expected):
    assert posture({"state": value}, compliance_values=TABLE).compliance is expected


def test_without_a_star_other_words_are_unknown():
    assert posture({"state": "compliant"}, compliance_values={"pass": "compliant"}).compliance is Compliance.UNKNOWN
    assert posture({"mdm": "enrolled"}, managed_values={"on": "yes"}).managed is Managed.UNKNOWN
    assert posture({"mdm": "ON"}, managed_values={"on": "yes"}).managed is Managed.YES


def test_a_table_for_compromised():
    values = {"clean": False, "jailbroken": True}
    assert [
        posture({"rooted": one}, compromised_values=values).compromised for one in ("Clean", "JAILBROKEN", "?", None)
    ] == [False, True, None, None]
    assert posture({"rooted": "?"}, compromised_values=values | {"*": True}).compromised is True


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        (MapConfiguration({}), "need an expression for `device_key`"),
        (MapConfiguration({"device_key": "id", "colour": "x"}), "no field `colour`"),
        (MapConfiguration({"device_key": "id["}), r"`id\[` is not a JMESPath expression"),
        (MapConfiguration({"device_key": "``"}), "`` is not a JMESPath expression: between backticks stands JSON"),
        (MapConfiguration({"device_key": "id || `none`"}), "between backticks stands JSON, so a text in quotation marks"),
        (MapConfiguration({"device_key": ""}), "is not a JMESPath expression"),
        (MapConfiguration({"device_key": "id"}, compliance_values={"x": "allow"}), "`allow` is none of compliant, non-compliant"),
        (MapConfiguration({"device_key": "id"}, managed_values={"x": "maybe"}), "`maybe` is none of yes, no, unknown"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_work_is_refused(configuration, why):
    with pytest.raises(ValueError, match=why):
        DeviceMap(configuration)


@pytest.mark.parametrize(("source", "document"), [("length(@)", 5), ("sort_by(@, &a)", [{"a": 1}, {"a": "x"}]), ("max(@)", ["a", 1])])  # fmt: skip
def test_an_expression_that_does_not_apply_says_which(source, document):
    with pytest.raises(Unreadable, match="does not apply") as caught:
        Expression(source).of(document)
    assert source in str(caught.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from([*ITEM, "a", "mail", "aliases"]), below, max_size=6),
    max_leaves=25,
)  # fmt: skip
CLEVER = WHOLE | {
    "device_ids": "sort(eas) || keys(outlook)",
    "user_addresses": "join('@', owner)",
    "state_time": "to_number(seen) && max(seen)",
    "compliance": "length(state[?response == 'fail']) == `0`",
}


@given(ANYTHING, st.sampled_from([WHOLE, CLEVER]))
def test_any_document_becomes_a_posture_or_is_unreadable(item, fields):
    with suppress(Unreadable):
        found = posture(item, fields, compliance_values={"x": "compliant"})
        assert found.compliance is not Compliance.COMPLIANT or item["state"]


@given(st.text())
@example("``")
@example("state == `compliant`")
def test_any_text_is_an_expression_or_refused(source):
    with suppress(ValueError):
        Expression(source)

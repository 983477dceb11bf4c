"""Foreign JSON: documents strictly, fields leniently, and nothing that a store could not keep."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import NOON

from gatepost.mdm.sources.reading import (
    LIST_LIMIT,
    Unreadable,
    addresses,
    device_ids,
    flag,
    not_after,
    plain_keys,
    read_json,
    text,
    texts,
    word,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("body", [b'{"a": 1}', b'\xef\xbb\xbf{"a": 1}'])
def test_a_document_is_read_with_and_without_a_byte_order_mark(body):
    assert read_json(body) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"a": NaN}', "number NaN"),
        (b"[-Infinity]", "number -Infinity"),
        (b'{"a": 1, "a": 2}', "a key is there twice"),
        (b'[{"b": {"a": 1, "a": 2}}]', "a key is there twice"),
        (b"1" * 5000, "too many digits"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_two_programs_read_differently_is_unreadable(body, why):
    with pytest.raises(Unreadable, match=why) as caught:
        read_json(body)
    assert len(str(caught.value)) < 120


@given(st.binary() | ANYTHING.map(lambda one: json.dumps(one).encode()))
def test_any_body_is_read_or_unreadable(body):
    with suppress(Unreadable):
        read_json(body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Enterprise Wipe Pending", "enterprisewipepending"), ("non_compliant", "noncompliant"), (True, "true"), (False, "false"),
     (3, "3"), (None, ""), ([], ""), ("", ""), ("COMPLIANT ", "compliant")],
)  # fmt: skip
def test_words_have_no_case_and_no_punctuation(value, expected):
    assert word(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(" x ", "x"), ("", None), ("  ", None), ("a\x00b", None), ("a\nb", None), ("a\ud800", None), ("x" * 256, "x" * 256), ("x" * 257, None),
     (7, "7"), (True, None), (1.5, None), (10**25, None), (None, None), ({}, None)],
)  # fmt: skip
def test_a_text_is_printable_and_has_an_end(value, expected):
    assert text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), (None, None), ("", None), ("Unknown", None), ("Compromised", True), ("Not Compromised", False),
     ("False", False), (0, False), (1, True), ("some new word", True), ([], None)],
)  # fmt: skip
def test_a_word_that_is_not_known_counts_as_compromised(value, expected):
    assert flag(value) is expected


def test_texts_are_found_in_lists_and_values_but_not_without_end():
    assert list(texts(["a", ["b", {"Value": "c"}], {"value": ["d"]}, None, 5])) == ["a", "b", "c", "d", "5"]
    assert list(texts([[[["too deep"]]]])) == []


def test_addresses_are_each_once_whatever_their_case():
    assert addresses(["Alice@example.com", "alice@EXAMPLE.com", "alice", "", "a b@c", "x@y@z", None]) == (
        "Alice@example.com",
    )
    assert addresses("bob@example.com") == ("bob@example.com",)
    assert addresses(None) == ()
    assert len(addresses([f"u{n}@example.com" for n in range(500)])) == LIST_LIMIT


def test_device_ids_are_canonical_and_only_what_a_phone_can_send():
    assert device_ids(["abc", "ABC", "x-y", "", "A" * 33, "ü", None, ["6apm"]]) == ("ABC", "6APM")


def test_a_clock_that_is_ahead_makes_nothing_newer():
    assert not_after(NOON.replace(year=2030), NOON) == NOON
    assert not_after(NOON.replace(year=2025), NOON) == NOON.replace(year=2025)
    assert not_after(None, NOON) is None


def test_keys_that_are_alike_are_one():
    assert plain_keys({"EasIds": 1, "eas_ids": 2, "Id": 3}) == {"easids": 1, "id": 3}


@given(ANYTHING)
def test_any_value_can_be_read_as_any_field(value):
    for one in (text(value), *addresses(value), *device_ids(value)):
        assert one is None or (0 < len(one) <= 256 and one.encode() and "\x00" not in one)
    assert flag(value) in (True, False, None)
    assert isinstance(word(value), str)

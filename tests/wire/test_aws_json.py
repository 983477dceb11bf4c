import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.aws_json import AwsJsonError, decode, encode, encode_error, operation_of


@pytest.mark.parametrize(
    ("target", "operation"),
    [
        ("WorkMailService.ListUsers", "ListUsers"),
        ("WorkMailService.List.Users", "List.Users"),
        ("WorkMailService.", None),
        ("WorkMailService", None),
        ("workmailservice.ListUsers", None),
        ("Other.ListUsers", None),
        (".ListUsers", None),
        ("", None),
        (None, None),
    ],
)
def test_the_target_names_an_operation_of_the_service(target, operation):
    assert operation_of(target, "WorkMailService") == operation


def test_an_empty_body_is_an_empty_object():
    assert decode(b"") == {}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": [-1.5e400]}',
        b'{"a": 1} {"b": 2}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"1" * 10_000 + b"}",
    ],
)
def test_what_is_no_object_is_refused(body):
    with pytest.raises(AwsJsonError):
        decode(body)


def test_what_is_nested_deeper_than_it_could_be_written_is_refused():
    for body in (b'{"a":' * 64 + b"1" + b"}" * 64, b'{"a":' + b"[" * 62 + b"{}," * 99 + b"[]" + b"]" * 62 + b"}"):
        assert encode(decode(body)) == body
    for body in (b'{"a":' * 65 + b"1" + b"}" * 65, b'{"a":' + b"[" * 64 + b"]" * 64 + b"}"):
        with pytest.raises(AwsJsonError, match="64 levels"):
            decode(body)


def test_a_whole_surrogate_pair_is_a_character():
    assert decode(b'{"a": "\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


@given(st.binary(max_size=64))
def test_bytes_are_an_object_or_our_own_error(body):
    with contextlib.suppress(AwsJsonError):
        assert isinstance(decode(body), dict)


_TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"a"',
        '"\\ud83d"',
        '"\\ude00"',
        ":",
        ",",
        "1",
        "1e999",
        "-0",
        "NaN",
        "true",
        "null",
        " ",
        "\ufeff",
        "\0",
    ]
)


@given(st.lists(_TOKENS, max_size=16).map("".join), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_text_that_looks_like_json_is_an_object_or_our_own_error(text, encoding):
    with contextlib.suppress(AwsJsonError):
        encode(decode(text.encode(encoding)))


@given(st.text() | st.none(), st.text())
def test_a_target_is_an_operation_or_none(target, prefix):
    operation = operation_of(target, prefix)
    assert operation is None or f"{prefix}.{operation}" == target


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _JSON, max_size=4))
def test_an_object_is_read_as_the_json_module_reads_it(value):
    assert decode(json.dumps(value).encode()) == value


def test_absent_members_are_left_out_at_every_depth():
    assert encode({"A": None, "B": [{"C": None, "D": ("x",)}]}) == b'{"B":[{"D":["x"]}]}'


def test_dates_are_epoch_seconds():
    assert json.loads(encode({"At": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)})) == {"At": 1767323045.679}


def test_an_error_has_its_name_and_its_message():
    assert encode_error("OurException", "Größe") == '{"__type":"OurException","Message":"Größe"}'.encode()

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.sigv4 import (
    LONGEST_LIFETIME,
    Authorization,
    IncompleteSignatureError,
    Presigned,
    format_timestamp,
    is_signed,
    parse_authorization,
    parse_presigned,
    parse_query,
    parse_timestamp,
)
from gatepost.wire.sigv4_canonical import canonical_query, canonical_request, signature, string_to_sign

# The header of AWS's signing test suite, case get-vanilla.
VANILLA = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
)


def test_the_test_suites_header_is_read():
    assert parse_authorization(VANILLA) == Authorization(
        access_key_id="AKIDEXAMPLE",
        date="20150830",
        region="us-east-1",
        service="service",
        terminator="aws4_request",
        signed_headers=("host", "x-amz-date"),
        signature="5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    )


def test_commas_need_no_space_and_header_names_are_lowered_and_sorted():
    parsed = parse_authorization("AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=X-Amz-Date;Host,Signature=1")
    assert parsed.signed_headers == ("host", "x-amz-date")


def test_the_scope_is_what_is_signed():
    assert parse_authorization(VANILLA).scope == "20150830/us-east-1/service/aws4_request"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "Unsupported AWS 'algorithm'"),
        ("Basic YWxpY2U6c2VjcmV0", "Unsupported AWS 'algorithm': 'Basic'"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/e", "Unsupported AWS 'algorithm'"),
        ("AWS4-HMAC-SHA256 ", "not a valid key=value pair"),
        ("AWS4-HMAC-SHA256 nonsense", "not a valid key=value pair"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Credential=a/b/c/d/f", "not a valid key=value pair"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
            "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.",
        ),
        ("AWS4-HMAC-SHA256 Credential=, SignedHeaders=host, Signature=1", "requires 'Credential' parameter"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=1", "exactly 5 slash-delimited elements"),
        ("AWS4-HMAC-SHA256 Credential=a/b//d/e, SignedHeaders=host, Signature=1", "exactly 5 slash-delimited elements"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f, SignedHeaders=host, Signature=1",
            "exactly 5 slash-delimited elements",
        ),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;Host, Signature=1", "each once, got 'host;Host'"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;;a, Signature=1", "semicolons between them"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host a, Signature=1", "semicolons between them"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c\n/d/e, SignedHeaders=host, Signature=1",
            "exactly 5 slash-delimited elements",
        ),
    ],
)
def test_an_incomplete_header_is_refused_with_awss_words(header, message):
    with pytest.raises(IncompleteSignatureError) as refused:
        parse_authorization(header)
    assert message in str(refused.value)


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "header",
    [
        LONG,
        f"AWS4-HMAC-SHA256 {LONG}",
        f"AWS4-HMAC-SHA256 Credential={LONG}, SignedHeaders=host, Signature=1",
        f"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders={LONG};, Signature=1",
    ],
)
def test_what_is_quoted_back_is_short(header):
    with pytest.raises(IncompleteSignatureError) as refused:
        parse_authorization(header)
    assert len(str(refused.value)) < 300
    with pytest.raises(IncompleteSignatureError) as refused:
        parse_timestamp(LONG)
    assert len(str(refused.value)) < 300


# Pieces of which headers and queries are made, so that a parser is led past its first line.
_PIECES = st.sampled_from(
    [
        "AWS4-HMAC-SHA256",
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        "X-Amz-Algorithm=",
        "X-Amz-Credential=",
        "X-Amz-Date=",
        "X-Amz-Expires=",
        "X-Amz-SignedHeaders=",
        "X-Amz-Signature=",
        "x-amz-signature=",
        "X-Amz-Security-Token=",
        "AKIAEXAMPLE/20150830/us-east-1/service/aws4_request",
        "host",
        "x-amz-date",
        "20150830T123600Z",
        "3600",
        "%2F",
        "%",
        "+",
        *" ,;=&/",
    ]
)
_MADE = st.lists(_PIECES | st.text(max_size=3), max_size=24).map("".join)


@given(st.text() | _MADE)
def test_a_header_is_read_or_refused(text):
    for header in (text, f"AWS4-HMAC-SHA256 {text}"):
        with contextlib.suppress(IncompleteSignatureError):
            assert_usable(parse_authorization(header))


def assert_usable(authorization):
    """Whatever was read can be signed with."""
    assert authorization.access_key_id
    assert authorization.signature
    assert authorization.signed_headers == tuple(sorted(set(authorization.signed_headers)))
    canonical = canonical_request(
        method="POST",
        path=b"/",
        query=[],
        headers=[],
        signed_headers=authorization.signed_headers,
        payload_hash="",
    )
    to_sign = string_to_sign(datetime(2015, 8, 30, tzinfo=UTC), "", canonical)
    assert len(signature("secret", authorization, to_sign)) == 64


PRESIGNED = (
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request"
    b"&X-Amz-Date=20150830T123600Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Bx-amz-target&X-Amz-Signature=5fa0"
)


def test_the_query_form_is_read():
    assert parse_presigned(parse_query(PRESIGNED)) == Presigned(
        Authorization(
            access_key_id="AKIDEXAMPLE",
            date="20150830",
            region="us-east-1",
            service="service",
            terminator="aws4_request",
            signed_headers=("host", "x-amz-target"),
            signature="5fa0",
        ),
        datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
        timedelta(hours=1),
    )


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"", []),
        (b"&&", []),
        (b"a", [(b"a", b"")]),
        (b"a=1&a=2&b", [(b"a", b"1"), (b"a", b"2"), (b"b", b"")]),
        (b"a=b=c", [(b"a", b"b=c")]),
        (b"a+b=1+1", [(b"a+b", b"1+1")]),
        (b"%61=%26%3D&=x", [(b"a", b"&="), (b"", b"x")]),
        (b"a=%&b=%4&c=%zz", [(b"a", b"%"), (b"b", b"%4"), (b"c", b"%zz")]),
        (b"a=1;b=2?c=3#d", [(b"a", b"1;b=2?c=3#d")]),
        (b"\xe1\x88\xb4=\xff", [(b"\xe1\x88\xb4", b"\xff")]),
    ],
)
def test_a_query_has_these_parameters(query, pairs):
    assert list(parse_query(query)) == pairs


@pytest.mark.parametrize(
    "query", [b"X-Amz-Signature", b"x-amz-date=1", b"a=1&X-AMZ-SECURITY-TOKEN=x", b"X%2DAmz%2dExpires="]
)
def test_a_part_of_a_signature_is_noticed(query):
    assert is_signed(parse_query(query))


@pytest.mark.parametrize("query", [b"", b"Action=ListUsers", b"X-Amz-Target=x", b"a=X-Amz-Signature", b"XX-Amz-Date=1"])
def test_what_is_no_part_of_a_signature_is_not_taken_for_one(query):
    assert not is_signed(parse_query(query))


@given(st.binary() | _MADE.map(lambda text: text.encode("utf-8", "replace")))
def test_a_query_is_read_or_refused(query):
    for tried in (
        query,
        PRESIGNED + query,
        PRESIGNED.replace(b"20150830T123600Z", query),
        PRESIGNED.replace(b"3600", query),
    ):
        pairs = parse_query(tried)
        assert list(parse_query(canonical_query(pairs))) == sorted(
            [(name, value) for name, value in pairs if name != b"X-Amz-Signature"], key=encoded
        )
        with contextlib.suppress(IncompleteSignatureError):
            presigned = parse_presigned(pairs)
            assert is_signed(pairs)
            assert timedelta() < presigned.lifetime <= LONGEST_LIFETIME
            assert_usable(presigned.authorization)


def encoded(pair):
    return tuple(quote(part, safe="") for part in pair)


def test_a_timestamp_is_read_and_written():
    moment = datetime(2026, 11, 22, 5, 6, 7, tzinfo=UTC)
    assert parse_timestamp("20261122T050607Z") == moment
    assert format_timestamp(moment.astimezone(timezone(timedelta(hours=2)))) == "20261122T050607Z"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "20261122",
        "2026-11-22T05:06:07Z",
        "20261122T050607",
        "20261332T050607Z",
        "00160229T235959Z",
        "2026112T050607Z",
        "２0261122T050607Z",
    ],
)
def test_another_form_of_date_is_refused(text):
    with pytest.raises(IncompleteSignatureError):
        parse_timestamp(text)


@given(st.text())
def test_a_timestamp_is_read_or_refused(text):
    with contextlib.suppress(IncompleteSignatureError):
        assert parse_timestamp(text).tzinfo is UTC

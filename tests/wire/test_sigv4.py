import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.sigv4 import (
    Authorization,
    IncompleteSignatureError,
    format_timestamp,
    parse_authorization,
    parse_timestamp,
)

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


def test_commas_need_no_space_and_header_names_are_lowered():
    parsed = parse_authorization("AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=Host;X-Amz-Date,Signature=1")
    assert parsed.signed_headers == ("host", "x-amz-date")


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
            "AWS4-HMAC-SHA256 Credential=a/b/c\n/d/e, SignedHeaders=host, Signature=1",
            "exactly 5 slash-delimited elements",
        ),
    ],
)
def test_an_incomplete_header_is_refused_with_awss_words(header, message):
    with pytest.raises(IncompleteSignatureError) as refused:
        parse_authorization(header)
    assert message in str(refused.value)


def test_what_is_quoted_back_is_short():
    with pytest.raises(IncompleteSignatureError) as refused:
        parse_authorization("x" * 100_000)
    assert len(str(refused.value)) < 256


@given(st.text())
def test_a_header_is_read_or_refused(text):
    for header in (text, f"AWS4-HMAC-SHA256 {text}"):
        with contextlib.suppress(IncompleteSignatureError):
            assert parse_authorization(header).signature


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

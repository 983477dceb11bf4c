"""SigV4, verified for real: signed by botocore, by hand for what botocore would never send, and refused with AWS's words.

What only the query form has is in test_presigned.py, the published vectors in tests/wire/test_sigv4_canonical.py.
"""

from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signing import (
    ACCESS_KEY,
    BODY,
    HASH,
    KEY,
    MISMATCH,
    NOW,
    PARAMETERS,
    STAMP,
    changed,
    check,
    presigned,
    refused,
    signed,
    with_body,
    with_headers,
    with_query,
)

from gatepost.control.authenticate import CLOCK_SKEW, SignedRequest, claim
from gatepost.control.failures import RequestError

# -- the header form


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "nowhere"])
def test_a_signed_request_is_its_keys(region):
    assert check(signed(region=region)) is ACCESS_KEY


def test_a_header_that_decides_nothing_may_go_unsigned_and_change():
    assert check(changed(signed(), user_agent="other", x_amzn_trace_id="1", date="long ago")) is ACCESS_KEY
    assert check(changed(signed(unsigned=("content-type",)), content_type="text/plain")) is ACCESS_KEY


def test_a_signed_user_agent_counts_though_botocore_would_not_sign_it():
    request = signed(headers=[("X-Amz-User-Agent", "aws-sdk-js/3")])
    assert check(request) is ACCESS_KEY
    assert refused(changed(request, x_amz_user_agent="other"))[0] == "InvalidSignatureException"


def test_spaces_in_header_values_are_folded():
    assert check(signed(headers=[("X-Amz-Meta", "a   b")])) is ACCESS_KEY


def test_a_header_may_be_in_utf_8():
    """Its second byte, A0, is a space in Latin-1: the bytes are looked at, not a reading of them."""
    assert check(signed(headers=[("X-Amz-Meta", "à  la  carte")])) is ACCESS_KEY


def test_the_query_is_signed():
    request = signed(query="?b=2&a=1")
    assert check(request) is ACCESS_KEY
    assert refused(with_query(request, b"a=1&b=3"))[0] == MISMATCH[0]


@pytest.mark.parametrize(
    "request_",
    [
        with_body(signed(), BODY + b" "),
        with_body(signed(), b""),
        SignedRequest("PUT", b"/", b"", signed().headers, BODY),
        SignedRequest("POST", b"/other", b"", signed().headers, BODY),
        with_query(signed(), b"a=1"),
        changed(signed(), host="other:8081"),
        changed(signed(), content_type="text/plain"),
        changed(signed(), x_amz_target="WorkMailService.DeleteOrganization"),
        signed(secret="x" * 40),
        changed(signed(), authorization=signed().header("authorization")[:-1] + "é"),
        changed(signed(), authorization=signed().header("authorization")[:-1]),
        changed(signed(), authorization=signed().header("authorization") + "00"),
        changed(signed(), authorization=signed().header("authorization").replace("eu-west-1", "eu-west-2")),
        changed(signed(at=NOW - timedelta(minutes=1)), x_amz_date=STAMP),
    ],
)
def test_what_was_not_signed_so_is_refused(request_):
    name, message = refused(request_)
    assert (name, message.startswith(MISMATCH[1])) == (MISMATCH[0], True)


@pytest.mark.parametrize("name", ["content_type", "x_amz_target"])
def test_a_signed_header_that_is_not_there_is_named(name):
    shown = name.replace("_", "-")
    assert refused(changed(signed(), **{name: None})) == (
        "InvalidSignatureException",
        f"'{shown}' is a 'SignedHeader' in the AWS Authorization, and not in the request.",
    )


def test_a_request_without_a_signature_is_told_so():
    assert refused(changed(signed(), authorization=None)) == (
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    )


@pytest.mark.parametrize("header", ["Basic YWxpY2U6c2VjcmV0", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a", ""])
def test_an_incomplete_signature_is_told_so(header):
    assert refused(changed(signed(), authorization=header))[0] == "IncompleteSignatureException"


# -- dates


@pytest.mark.parametrize("date", [None, "yesterday", "2026-11-22T12:00:00Z", "Sun, 22 Nov 2026 12:00:00 GMT"])
def test_a_date_is_needed(date):
    assert refused(changed(signed(), x_amz_date=date))[0] == "IncompleteSignatureException"


@pytest.mark.parametrize("date", [STAMP, "Sun, 22 Nov 2026 12:00:00 GMT"])
def test_the_date_header_is_none(date):
    """AWS would take it where X-Amz-Date is missing. Each SDK sends X-Amz-Date, and proxies set Date themselves."""
    request = changed(signed(headers=[("Date", date)]), x_amz_date=None)
    name, message = refused(request)
    assert (name, "'X-Amz-Date' header" in message) == ("IncompleteSignatureException", True)


def test_the_scope_must_be_ours():
    assert refused(signed(service="s3")) == (
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'workmail'.",
    )
    request = signed()
    header = request.header("authorization")
    name, message = refused(changed(request, authorization=header.replace("aws4_request", "aws5_request")))
    assert (name, message) == (
        "InvalidSignatureException",
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.",
    )


@pytest.mark.parametrize("date", ["20261121", "20261123", "2026112", "x"])
def test_the_scopes_date_is_that_of_the_request(date):
    """A signature of yesterday is none of today, whatever X-Amz-Date says."""
    request = signed()
    header = request.header("authorization").replace("/20261122/", f"/{date}/")
    name, message = refused(changed(request, authorization=header))
    assert name == "InvalidSignatureException"
    assert f"'{date}' != '20261122', from '20261122T120000Z'" in message


@pytest.mark.parametrize("minutes", [-15, -1, 0, 1, 15])
def test_clocks_may_differ_by_a_quarter_of_an_hour(minutes):
    assert check(signed(at=NOW + timedelta(minutes=minutes))) is ACCESS_KEY


def test_a_signature_may_be_sent_again_within_the_window():
    """As with AWS; the guide says so."""
    request = signed()
    assert [check(request, NOW + timedelta(minutes=minutes)) for minutes in (0, 5, 15)] == [ACCESS_KEY] * 3


def test_an_older_signature_has_expired():
    assert refused(signed(), NOW + CLOCK_SKEW + timedelta(seconds=1)) == (
        "InvalidSignatureException",
        "Signature expired: 20261122T120000Z is now earlier than 20261122T120001Z (20261122T121501Z - 15 min.)",
    )


def test_a_signature_of_the_future_is_not_yet_current():
    assert refused(signed(), NOW - CLOCK_SKEW - timedelta(seconds=1)) == (
        "InvalidSignatureException",
        "Signature not yet current: 20261122T120000Z is still later than 20261122T115959Z (20261122T114459Z + 15 min.)",
    )


# -- what has to be signed, and what may be there once only


@pytest.mark.parametrize("name", ["x-amz-target", "x-amz-date", "x-amz-meta", "x-amz-content-sha256"])
def test_what_decides_must_be_signed(name):
    """A valid signature that leaves out the target would be one for every operation."""
    request = signed(headers=[("X-Amz-Meta", "1"), ("X-Amz-Content-Sha256", HASH)], unsigned=(name,))
    assert refused(request) == (
        "InvalidSignatureException",
        f"'{name}' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_a_header_that_was_added_on_the_way_is_refused():
    assert (
        refused(changed(signed(), x_amz_meta="1"))[1]
        == "'x-amz-meta' must be a 'SignedHeader' in the AWS Authorization."
    )
    added = changed(presigned(), x_amz_meta="1")
    assert refused(added)[1] == "'x-amz-meta' must be a 'SignedHeader' in the AWS Authorization."


def test_the_host_must_be_signed():
    expected = ("InvalidSignatureException", "'Host' must be a 'SignedHeader' in the AWS Authorization.")
    request = signed(unsigned=("host",))
    assert refused(request) == expected
    assert refused(changed(request, host=None)) == expected
    assert refused(presigned(unsigned=("host",))) == expected


@pytest.mark.parametrize(
    "name", ["authorization", "x-amz-date", "x-amz-target", "host", "x-amz-content-sha256", "x-amz-meta"]
)
@pytest.mark.parametrize("same", [True, False])
def test_what_is_there_twice_is_refused(name, same):
    request = signed(headers=[("X-Amz-Meta", "1"), ("X-Amz-Content-Sha256", HASH)])
    assert check(request) is ACCESS_KEY
    second = (name.encode(), request.header(name).encode() if same else b"other")
    for headers in ((second, *request.headers), (*request.headers, second)):
        assert refused(with_headers(request, *headers)) == (
            "IncompleteSignatureException",
            f"Header '{name}' must not be repeated.",
        )


def test_a_header_that_was_signed_twice_in_a_row_is_refused_too():
    request = signed(headers=[("X-Amz-Target", "WorkMailService.DeleteOrganization")])
    assert refused(request)[0] == "IncompleteSignatureException"


def test_other_headers_may_be_there_twice():
    assert check(signed(headers=[("My-Header", "b"), ("My-Header", "a")])) is ACCESS_KEY


@pytest.mark.parametrize("names", ["host;host;x-amz-date", "", "host,x-amz-date", "host;", "host; x-amz-date"])
def test_the_list_of_signed_headers_is_one(names):
    request = signed()
    header = request.header("authorization").replace("content-type;host;x-amz-date;x-amz-target", names)
    assert header != request.header("authorization")
    assert refused(changed(request, authorization=header))[0] == "IncompleteSignatureException"


# -- the body's hash


@pytest.mark.parametrize("form", [signed, presigned])
def test_a_stated_hash_must_be_the_bodys(form):
    """Botocore takes the hash from this header: believing it, any body would fit the signature."""
    request = form(headers=[("X-Amz-Content-SHA256", HASH)])
    assert check(request) is ACCESS_KEY
    assert refused(with_body(request, b'{"OrganizationId":"m-2"}')) == (
        "InvalidSignatureException",
        "The value of the x-amz-content-sha256 header does not match the calculated value.",
    )


@pytest.mark.parametrize(
    "value", ["", HASH.upper(), HASH[:-1], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
)
def test_another_hash_is_refused_though_it_was_signed(value):
    assert "does not match the calculated value" in refused(signed(headers=[("X-Amz-Content-SHA256", value)]))[1]


@pytest.mark.parametrize("form", [signed, presigned])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("UNSIGNED-PAYLOAD", "An unsigned payload (UNSIGNED-PAYLOAD) is Amazon S3's alone"),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Chunked signatures (STREAMING-…, aws-chunked) are Amazon S3's alone"),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Chunked signatures (STREAMING-…, aws-chunked) are Amazon S3's alone"),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "Chunked signatures"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "Chunked signatures"),
    ],
)
def test_what_only_s3_has_is_refused_clearly(form, value, words):
    name, message = refused(form(headers=[("X-Amz-Content-SHA256", value)]))
    assert (name, message.startswith(words)) == ("InvalidSignatureException", True)


def test_aws_chunked_is_refused_clearly():
    for encoding in ("aws-chunked", "AWS-Chunked,gzip"):
        name, message = refused(signed(headers=[("Content-Encoding", encoding)]))
        assert (name, message.startswith("Chunked signatures")) == ("InvalidSignatureException", True)


@pytest.mark.parametrize("value", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64])
def test_a_hash_in_the_query_must_be_true_as_well(value):
    assert refused(presigned(query=f"?X-Amz-Content-Sha256={value}"))[0] == "InvalidSignatureException"
    assert check(presigned(query=f"?X-Amz-Content-Sha256={HASH}")) is ACCESS_KEY


# -- who is told what


def test_an_unknown_key_is_told_so():
    assert refused(signed(key="AKIAUNKNOWN")) == UNRECOGNIZED
    assert refused(presigned(key="AKIAUNKNOWN")) == UNRECOGNIZED


UNRECOGNIZED = ("UnrecognizedClientException", "The security token included in the request is invalid.")


def named(request, name):
    """The presigned request with another access key id."""
    quoted = quote(name.encode("utf-8", "surrogatepass")).encode()
    query = request.query.replace(f"X-Amz-Credential={KEY}".encode(), b"X-Amz-Credential=" + quoted)
    assert query != request.query
    return with_query(request, query)


@pytest.mark.parametrize("name", ["AKIA EXAMPLE", "\u00e9", "A" * 129, "AKIA'--", "AKIA%00"])
def test_what_cannot_be_the_name_of_a_key_is_never_looked_up(name):
    odd = named(presigned(), name)
    assert claim(odd).access_key_id is None
    with pytest.raises(RequestError) as error:
        check(odd, key_of=pytest.fail)
    assert (error.value.name, str(error.value)) == UNRECOGNIZED


@pytest.mark.parametrize("name", ["AKIA\0", "AKIA\n", "AKIA\ud800", "\u00a0"])
def test_control_characters_are_in_no_credential(name):
    assert refused(named(presigned(), name))[0] == "IncompleteSignatureException"


@pytest.mark.parametrize("expires", [None, 300])
@pytest.mark.parametrize("token", ["FwoGZXIvYXdzEXAMPLE", ""])
@pytest.mark.parametrize("key", [KEY, "AKIAUNKNOWN"])
def test_a_session_token_is_not_one_of_ours(expires, token, key):
    """Whether the key exists makes no difference, nor does whether the token was signed."""
    if expires is None:
        request = signed(key=key, headers=[("X-Amz-Security-Token", token)])
    else:
        request = presigned(key=key, query=f"?X-Amz-Security-Token={token}")
    assert refused(request) == UNRECOGNIZED


def test_the_claim_names_a_key_before_anything_is_verified():
    assert claim(signed(secret="x" * 40)).access_key_id == KEY
    assert claim(presigned(secret="x" * 40)).access_key_id == KEY


# -- anything else


_BYTES = st.binary(max_size=40)
_NAMES = st.sampled_from(
    [b"authorization", b"host", b"x-amz-date", b"x-amz-target", b"x-amz-security-token", b"x-amz-content-sha256", b"x"]
)
_SCOPE = st.sampled_from([f"{KEY}/20261122/eu-west-1/workmail/aws4_request", "////", "a/b/c/d/e", KEY])
_AUTHORIZATION = st.builds(
    "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}".format,
    _SCOPE,
    st.sampled_from(["host", "host;x-amz-date;x-amz-target", "x;host", ""]),
    st.sampled_from(["0" * 64, "", "é"]),
).map(lambda text: text.encode("latin-1"))
_QUERY = st.lists(
    st.tuples(st.sampled_from(PARAMETERS), st.text(max_size=8) | _SCOPE | st.just(STAMP)), max_size=8
).map(lambda pairs: "&".join(f"{name}={quote(value)}" for name, value in pairs).encode())


@given(
    headers=st.lists(st.tuples(_NAMES, _BYTES | _AUTHORIZATION | st.just(STAMP.encode())), max_size=6),
    query=_BYTES | _QUERY,
    path=_BYTES,
    body=_BYTES,
)
def test_anything_else_is_refused_and_nothing_breaks(headers, query, path, body):
    with pytest.raises(RequestError):
        check(SignedRequest("POST", path, query, tuple(headers), body))


@given(value=_BYTES, host=_BYTES, query=_BYTES)
def test_a_forged_signature_is_never_right(value, host, query):
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY}/20261122/eu-west-1/workmail/aws4_request, "
        f"SignedHeaders=host;x;x-amz-date;x-amz-target, Signature={'0' * 64}"
    )
    headers = (
        (b"authorization", authorization.encode()),
        (b"host", host),
        (b"x-amz-date", STAMP.encode()),
        (b"x-amz-target", value),
        (b"x", value),
    )
    name, message = refused(SignedRequest("POST", b"/", query.replace(b"-", b""), headers, BODY))
    assert (name, message.startswith(MISMATCH[1])) == (MISMATCH[0], True)

"""SigV4, verified for real: signed by botocore, by hand for what botocore would never send, and refused with AWS's words."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from gatepost.control.authenticate import CLOCK_SKEW, SignedRequest, authenticate
from gatepost.control.failures import RequestError

KEY, SECRET = "AKIAEXAMPLE234567AAA", "wJalrXUtnFEMI7K7MDENG7bPxRfiCYEXAMPLEKEYA"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
BODY = b'{"OrganizationId":"m-1"}'


class Signer(SigV4Auth):
    """Botocore's signer at a moment of our choice."""

    def __init__(self, at, service, region, key, secret):
        super().__init__(Credentials(key, secret), service, region)
        self._at = at.strftime("%Y%m%dT%H%M%SZ")

    def sign(self, request):
        request.context["timestamp"] = self._at
        request.headers["X-Amz-Date"] = self._at
        canonical = self.canonical_request(request)
        signature = self.signature(self.string_to_sign(request, canonical), request)
        self._inject_signature_to_request(request, signature)


def signed(body=BODY, *, at=NOW, service="workmail", region="eu-west-1", key=KEY, secret=SECRET, query="", headers=()):
    request = AWSRequest("POST", f"http://127.0.0.1:8081/{query}", data=body)
    for name, value in (
        ("Host", "127.0.0.1:8081"),
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "WorkMailService.DescribeOrganization"),
        *headers,
    ):
        request.headers.add_header(name, value)
    Signer(at, service, region, key, secret).sign(request)
    found = tuple((name.lower(), value) for name, value in request.headers.items())
    return SignedRequest("POST", f"/{query}", found, body)


def secret_of(access_key_id):
    return SECRET if access_key_id == KEY else None


def check(request, now=NOW):
    return authenticate(request, secret_of, now)


def refused(request, now=NOW):
    with pytest.raises(RequestError) as error:
        check(request, now)
    assert error.value.status == 400
    return error.value.name, str(error.value)


def changed(request, **headers):
    """The same request with these headers replaced, or taken away where they are None."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = [(name, value) for name, value in request.headers if name not in names]
    added = [(name, value) for name, value in names.items() if value is not None]
    return SignedRequest(request.method, request.target, (*kept, *added), request.body)


MISMATCH = (
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided.",
)


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "nowhere"])
def test_a_signed_request_is_its_keys(region):
    assert check(signed(region=region)) == KEY


def test_a_header_that_the_client_chose_not_to_sign_may_change():
    assert check(changed(signed(), user_agent="other", x_amzn_trace_id="1")) == KEY


def test_a_signed_user_agent_counts_though_botocore_would_not_sign_it():
    request = signed(headers=[("X-Amz-User-Agent", "aws-sdk-js/3")])
    assert check(request) == KEY
    assert refused(changed(request, x_amz_user_agent="other"))[0] == "InvalidSignatureException"


def test_spaces_in_header_values_are_folded():
    assert check(signed(headers=[("X-Amz-Meta", "a   b")])) == KEY


def test_the_query_is_signed():
    request = signed(query="?b=2&a=1")
    assert check(request) == KEY
    assert refused(SignedRequest("POST", "/?a=1&b=3", request.headers, request.body))[0] == MISMATCH[0]


@pytest.mark.parametrize(
    "request_",
    [
        SignedRequest("POST", "/", signed().headers, BODY + b" "),
        SignedRequest("POST", "/", signed().headers, b""),
        SignedRequest("PUT", "/", signed().headers, BODY),
        SignedRequest("POST", "/other", signed().headers, BODY),
        SignedRequest("POST", "/?a=1", signed().headers, BODY),
        changed(signed(), host="other:8081"),
        changed(signed(), content_type="text/plain"),
        changed(signed(), content_type=None),
        changed(signed(), x_amz_target="WorkMailService.DeleteOrganization"),
        changed(signed(), x_amz_target=None),
        signed(secret="x" * 40),
        changed(signed(), authorization=signed().header("authorization")[:-1] + "é"),
        changed(signed(), authorization=signed().header("authorization") + "00"),
        changed(signed(), authorization=signed().header("authorization").replace("eu-west-1", "eu-west-2")),
        changed(signed(at=NOW - timedelta(minutes=1)), x_amz_date="20261122T120000Z"),
    ],
)
def test_what_was_not_signed_so_is_refused(request_):
    name, message = refused(request_)
    assert (name, message.startswith(MISMATCH[1])) == (MISMATCH[0], True)


def test_a_request_without_a_signature_is_told_so():
    assert refused(changed(signed(), authorization=None)) == (
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    )


@pytest.mark.parametrize("header", ["Basic YWxpY2U6c2VjcmV0", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a", ""])
def test_an_incomplete_signature_is_told_so(header):
    assert refused(changed(signed(), authorization=header))[0] == "IncompleteSignatureException"


@pytest.mark.parametrize("date", [None, "yesterday", "2026-11-22T12:00:00Z"])
def test_a_date_is_needed(date):
    assert refused(changed(signed(), x_amz_date=date))[0] == "IncompleteSignatureException"


def test_an_unknown_key_is_told_so():
    assert refused(signed(key="AKIAUNKNOWN")) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


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
    name, message = refused(changed(request, authorization=header.replace("/20261122/", "/20261121/")))
    assert name == "InvalidSignatureException"
    assert "'20261121' != '20261122', from '20261122T120000Z'" in message


@pytest.mark.parametrize("minutes", [-15, -1, 0, 1, 15])
def test_clocks_may_differ_by_a_quarter_of_an_hour(minutes):
    assert check(signed(at=NOW + timedelta(minutes=minutes))) == KEY


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


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target"])
def test_what_decides_must_be_signed(name):
    """A valid signature that leaves out the target would be one for every operation."""
    without = signed_without(name)
    assert refused(without) == (
        "InvalidSignatureException",
        f"'{name}' must be a 'SignedHeader' in the AWS Authorization.",
    )


def signed_without(name):
    class Careless(Signer):
        def headers_to_sign(self, request):
            chosen = super().headers_to_sign(request)
            del chosen[name]
            return chosen

    request = AWSRequest("POST", "http://127.0.0.1:8081/", data=BODY)
    request.headers["Host"] = "127.0.0.1:8081"
    request.headers["X-Amz-Target"] = "WorkMailService.DescribeOrganization"
    Careless(NOW, "workmail", "eu-west-1", KEY, SECRET).sign(request)
    found = tuple((header.lower(), value) for header, value in request.headers.items())
    return SignedRequest("POST", "/", found, BODY)


def test_a_request_without_a_host_is_refused():
    request = signed_without("host")
    headless = SignedRequest("POST", "/", tuple(one for one in request.headers if one[0] != "host"), BODY)
    assert refused(headless) == (
        "InvalidSignatureException",
        "'Host' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_a_second_target_is_refused():
    request = signed()
    doubled = (("x-amz-target", "WorkMailService.DeleteOrganization"), *request.headers)
    assert refused(SignedRequest("POST", "/", doubled, BODY))[0] == "InvalidSignatureException"


def test_a_stated_hash_must_be_the_bodys():
    """Botocore takes the hash from this header: believing it, any body would fit the signature."""
    stated = ("X-Amz-Content-SHA256", sha256(BODY).hexdigest())
    request = signed(headers=[stated])
    assert check(request) == KEY
    swapped = SignedRequest("POST", "/", request.headers, b'{"OrganizationId":"m-2"}')
    assert refused(swapped) == (
        "InvalidSignatureException",
        "The value of the x-amz-content-sha256 header does not match the calculated value.",
    )


@pytest.mark.parametrize("value", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", ""])
def test_an_unsigned_payload_is_refused(value):
    assert refused(signed(headers=[("X-Amz-Content-SHA256", value)]))[0] == "InvalidSignatureException"


@given(st.text(), st.text(), st.text(), st.binary())
def test_anything_else_is_refused_and_nothing_breaks(authorization, date, target, body):
    headers = (("authorization", authorization), ("x-amz-date", date), ("x-amz-target", target), ("host", "h"))
    with pytest.raises(RequestError):
        authenticate(SignedRequest("POST", "/", headers, body), secret_of, NOW)


_LINE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)


@given(_LINE, _LINE, st.sampled_from(["host", "host;x-amz-date;x-amz-target", "host;x-amz-date;x-amz-target;x"]))
def test_a_forged_signature_is_never_right(host, value, signed_headers):
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY}/20261122/eu-west-1/workmail/aws4_request, "
        f"SignedHeaders={signed_headers}, Signature={'0' * 64}"
    )
    headers = (
        ("authorization", authorization),
        ("host", host),
        ("x-amz-date", "20261122T120000Z"),
        ("x-amz-target", value),
        ("x", value),
    )
    with pytest.raises(RequestError) as error:
        check(SignedRequest("POST", f"/?{value}", headers, BODY))
    assert error.value.name == "InvalidSignatureException"

"""Requests to the control API, signed by botocore in both forms, at a moment and with headers of the test's choice."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gatepost.control.authenticate import SignedRequest, claim, verify
from gatepost.control.failures import RequestError
from gatepost.model import AccessKey, Role

KEY, SECRET = "AKIAEXAMPLE234567AAA", "wJalrXUtnFEMI7K7MDENG7bPxRfiCYEXAMPLEKEYA"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
STAMP = "20261122T120000Z"
BODY = b'{"OrganizationId":"m-1"}'
HASH = sha256(BODY).hexdigest()
ACCESS_KEY = AccessKey(KEY, "", Role.READ_ONLY, NOW)
PARAMETERS = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
]


class Signer(SigV4Auth):
    """Botocore's signer at a moment of our choice, without the headers that it is told to leave out."""

    unsigned = ()

    def sign(self, request, at):
        request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
        request.headers["X-Amz-Date"] = request.context["timestamp"]
        canonical = self.canonical_request(request)
        signature = self.signature(self.string_to_sign(request, canonical), request)
        self._inject_signature_to_request(request, signature)

    def headers_to_sign(self, request):
        chosen = super().headers_to_sign(request)
        for name in self.unsigned:
            del chosen[name]
        return chosen


class QuerySigner(Signer, SigV4QueryAuth):
    """Botocore's signer of the query form; the body stays a body."""

    def sign(self, request, at):
        request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
        body, request.data = request.data, b""
        self._modify_request_before_signing(request)
        request.data = body
        signature = self.signature(self.string_to_sign(request, self.canonical_request(request)), request)
        self._inject_signature_to_request(request, signature)


def signed(body=BODY, *, at=NOW, service="workmail", region="eu-west-1", key=KEY, secret=SECRET, **more):
    """A request in the header form. `headers` are added to the usual ones, `unsigned` ones are not signed."""
    return _sign(Signer(Credentials(key, secret), service, region), body, at, **more)


def presigned(body=BODY, *, at=NOW, expires=300, key=KEY, secret=SECRET, token=None, **more):
    """A request in the query form."""
    return _sign(QuerySigner(Credentials(key, secret, token), "workmail", "eu-west-1", expires), body, at, **more)


def _sign(
    signer,
    body,
    at,
    *,
    host="127.0.0.1:8081",
    target="WorkMailService.DescribeOrganization",
    query="",
    headers=(),
    unsigned=(),
):
    signer.unsigned = unsigned
    request = AWSRequest("POST", f"http://{host}/{query}", data=body)
    usual = (("Host", host), ("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target))
    for name, value in (*usual, *headers):
        request.headers.add_header(name, value)
    signer.sign(request, at)
    found = tuple((name.lower().encode(), value.encode()) for name, value in request.headers.items())
    return SignedRequest("POST", b"/", request.url.partition("?")[2].encode(), found, body)


def changed(request, **headers):
    """The same request with these headers replaced, or taken away where they are None."""
    names = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    kept = [(name, value) for name, value in request.headers if name not in names]
    added = [(name, value.encode("latin-1")) for name, value in names.items() if value is not None]
    return with_headers(request, *kept, *added)


def with_headers(request, *headers):
    return SignedRequest(request.method, request.path, request.query, tuple(headers), request.body)


def with_query(request, query):
    return SignedRequest(request.method, request.path, query, request.headers, request.body)


def with_body(request, body):
    return SignedRequest(request.method, request.path, request.query, request.headers, body)


def key_of(access_key_id):
    return (ACCESS_KEY, SECRET) if access_key_id == KEY else None


def check(request, now=NOW, key_of=key_of):
    return verify(claim(request), request, key_of, now)


def refused(request, now=NOW):
    with pytest.raises(RequestError) as error:
        check(request, now)
    assert error.value.status == 400
    return error.value.name, str(error.value)


MISMATCH = (
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided.",
)

"""Whose request is this? AWS Signature Version 4, the header form, recomputed by botocore.

Botocore's signer chooses the headers and the payload hash that it signs from the request it is about to send. Here the
client has chosen: exactly the headers that it names are looked at, and the hash is always that of the body that really came.
A header that decides something (host, date, target) must be among the signed ones.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from gatepost.control.contract import SIGNING_NAME
from gatepost.control.failures import RequestError
from gatepost.wire.sigv4 import (
    TERMINATOR,
    Authorization,
    IncompleteSignatureError,
    format_timestamp,
    parse_authorization,
    parse_timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

# AWS's own tolerance.
CLOCK_SKEW = timedelta(minutes=15)

_MUST_BE_SIGNED = ("host", "x-amz-date", "x-amz-target")

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An HTTP request as it came: `target` is path and query, header names are in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of the header, the first if there are several."""
        return next((value for given, value in self.headers if given == name), None)


def authenticate(request: SignedRequest, secret_of: Callable[[str], str | None], now: datetime) -> str:
    """The access key id whose secret signed `request`. Raises `RequestError` with AWS's exception for anything else."""
    header = request.header("authorization")
    if header is None:
        raise RequestError("MissingAuthenticationTokenException", "Missing Authentication Token")
    try:
        authorization = parse_authorization(header)
        signed_at = parse_timestamp(request.header("x-amz-date"))
    except IncompleteSignatureError as error:
        raise RequestError("IncompleteSignatureException", str(error)) from error
    _check_scope(authorization, format_timestamp(signed_at))
    _check_signed_headers(authorization, request)
    secret = secret_of(authorization.access_key_id)
    if secret is None:
        raise RequestError("UnrecognizedClientException", "The security token included in the request is invalid.")
    _check_clock(signed_at, now)
    if not hmac.compare_digest(_signature(authorization, request, secret), authorization.signature.encode()):
        raise _invalid(_MISMATCH)
    return authorization.access_key_id


class _AsSigned(SigV4Auth):  # type: ignore[misc] # botocore has no types
    """Botocore's signer, with the client's choice of headers and the hash of the body that came."""

    def __init__(self, authorization: Authorization, secret: str, body: bytes) -> None:
        credentials = Credentials(authorization.access_key_id, secret)
        super().__init__(credentials, authorization.service, authorization.region)
        self._chosen = authorization.signed_headers
        self._body_hash = sha256(body).hexdigest()

    def headers_to_sign(self, request: Any) -> HTTPHeaders:
        chosen = HTTPHeaders()
        for name, value in request.headers.items():
            if name.lower() in self._chosen:
                chosen.add_header(name.lower(), value)
        return chosen

    def payload(self, request: Any) -> str:  # noqa: ARG002 -- botocore's signature
        return self._body_hash


def _signature(authorization: Authorization, request: SignedRequest, secret: str) -> bytes:
    signer = _AsSigned(authorization, secret, request.body)
    # The host is signed as a header; of the URL only path and query are looked at.
    shown = AWSRequest(method=request.method, url=f"http://host{request.target}")
    for name, value in request.headers:
        shown.headers.add_header(name, value)
    shown.context["timestamp"] = request.header("x-amz-date")
    canonical = signer.canonical_request(shown)
    signature: str = signer.signature(signer.string_to_sign(shown, canonical), shown)
    return signature.encode()


def _check_scope(authorization: Authorization, timestamp: str) -> None:
    if authorization.service != SIGNING_NAME:
        raise _invalid(f"Credential should be scoped to correct service: '{SIGNING_NAME}'.")
    if authorization.terminator != TERMINATOR:
        raise _invalid(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{authorization.terminator}'."
        )
    if authorization.date != timestamp[:8]:
        raise _invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{authorization.date}' != '{timestamp[:8]}', from '{timestamp}'."
        )


def _check_signed_headers(authorization: Authorization, request: SignedRequest) -> None:
    given = {name for name, _ in request.headers}
    for name in _MUST_BE_SIGNED:
        if name in given and name not in authorization.signed_headers:
            raise _invalid(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    if "host" not in authorization.signed_headers:
        raise _invalid("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    # Botocore's canonical request takes the hash from this header where there is one, so it has to be the true one.
    stated = {value for name, value in request.headers if name == "x-amz-content-sha256"}
    if stated - {sha256(request.body).hexdigest()}:
        raise _invalid("The value of the x-amz-content-sha256 header does not match the calculated value.")


def _check_clock(signed_at: datetime, now: datetime) -> None:
    stamp, present = format_timestamp(signed_at), format_timestamp(now)
    if signed_at < now - CLOCK_SKEW:
        earliest = format_timestamp(now - CLOCK_SKEW)
        raise _invalid(f"Signature expired: {stamp} is now earlier than {earliest} ({present} - 15 min.)")
    if signed_at > now + CLOCK_SKEW:
        latest = format_timestamp(now + CLOCK_SKEW)
        raise _invalid(f"Signature not yet current: {stamp} is still later than {latest} ({present} + 15 min.)")


def _invalid(message: str) -> RequestError:
    return RequestError("InvalidSignatureException", message)

"""Whose request is this? AWS Signature Version 4, in the Authorization header or in the query.

The client has chosen what it signed. So what decides anything must be among the signed headers (host, target, every
`x-amz-…`), nothing of that may be there twice, and the hash is always that of the body that really came. What a request says
of itself is read first (`claim`), for the log to know whom it names; whether it is true comes second (`verify`).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from gatepost.control.contract import SIGNING_NAME
from gatepost.control.failures import RequestError
from gatepost.wire.sigv4 import (
    TERMINATOR,
    Authorization,
    IncompleteSignatureError,
    Pairs,
    format_timestamp,
    is_signed,
    parse_authorization,
    parse_presigned,
    parse_query,
    parse_timestamp,
)
from gatepost.wire.sigv4_canonical import canonical_request, signature, string_to_sign

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gatepost.model import AccessKey

# AWS's own tolerance.
CLOCK_SKEW = timedelta(minutes=15)

_TOKEN = b"x-amz-security-token"
_HASH = b"x-amz-content-sha256"
_ONCE = frozenset({b"authorization", b"host", b"content-encoding"})  # and every x-amz-…
# Capitals and digits, as AWS's and ours are, and no secret: the two are changed about now and then, and ids are logged.
_ACCESS_KEY_ID = re.compile(r"[A-Z0-9]{1,32}")

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An HTTP request as it came, in bytes; the names of headers are in lower case."""

    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The value of the header, the first if there are several."""
        wanted = name.encode()
        return next((value.decode("latin-1") for given, value in self.headers if given == wanted), None)


class Claim(NamedTuple):
    """What a request says of its signature; `lifetime` only where the client has chosen one (the query form)."""

    authorization: Authorization
    signed_at: datetime
    lifetime: timedelta | None
    query: Pairs

    @property
    def access_key_id(self) -> str | None:
        """The key that it names, or None where no key could have this name."""
        name = self.authorization.access_key_id
        return name if _ACCESS_KEY_ID.fullmatch(name) else None


def claim(request: SignedRequest) -> Claim:
    """Read the signature of `request`. Raises `RequestError` with AWS's exception where there is none, or two, or half of one."""
    query, header = parse_query(request.query), request.header("authorization")
    try:
        _check_repeated(request)
        if is_signed(query):
            _check_one_form(request)
            presigned = parse_presigned(query)
            return Claim(presigned.authorization, presigned.signed_at, presigned.lifetime, query)
        if header is None:
            raise RequestError("MissingAuthenticationTokenException", "Missing Authentication Token")
        authorization = parse_authorization(header)
        return Claim(authorization, parse_timestamp(request.header("x-amz-date")), None, query)
    except IncompleteSignatureError as error:
        raise RequestError("IncompleteSignatureException", str(error)) from error


def verify(
    claim: Claim, request: SignedRequest, key_of: Callable[[str], tuple[AccessKey, str] | None], now: datetime
) -> AccessKey:
    """The access key whose secret signed `request`. Raises `RequestError` with AWS's exception for anything else.

    `key_of(access key id)` is a key that is valid now, and its secret. Whoever has no key is told the same of one that there
    never was and of one that is revoked.
    """
    _check_scope(claim)
    _check_signed_headers(claim.authorization, request)
    _check_payload(claim, request)
    key, secret = key_named(claim, request, key_of)
    _check_clock(claim, now)
    if not hmac.compare_digest(_signature(claim, request, secret).encode(), claim.authorization.signature.encode()):
        raise _invalid(_MISMATCH)
    return key


def key_named(
    claim: Claim, request: SignedRequest, key_of: Callable[[str], tuple[AccessKey, str] | None]
) -> tuple[AccessKey, str]:
    """The key that the request says it is signed with, and its secret. Raises `RequestError` where there is none."""
    found = None if _has_token(claim, request) or claim.access_key_id is None else key_of(claim.access_key_id)
    if found is None:
        raise RequestError("UnrecognizedClientException", "The security token included in the request is invalid.")
    return found


def _signature(claim: Claim, request: SignedRequest, secret: str) -> str:
    canonical = canonical_request(
        method=request.method,
        path=request.path,
        query=claim.query,
        headers=request.headers,
        signed_headers=claim.authorization.signed_headers,
        payload_hash=sha256(request.body).hexdigest(),
    )
    to_sign = string_to_sign(claim.signed_at, claim.authorization.scope, canonical)
    return signature(secret, claim.authorization, to_sign)


def _check_repeated(request: SignedRequest) -> None:
    seen = set()
    for name, _ in request.headers:
        if name in _ONCE or name.startswith(b"x-amz-"):
            if name in seen:
                raise IncompleteSignatureError(f"Header '{_shown(name)}' must not be repeated.")
            seen.add(name)


def _check_one_form(request: SignedRequest) -> None:
    if request.header("authorization") is not None or request.header("x-amz-date") is not None:
        raise IncompleteSignatureError(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
            "or the Authorization header should be specified."
        )


def _check_scope(claim: Claim) -> None:
    # Any region will do: it is a part of what is signed, and there is no other one that the request could be meant for.
    authorization, timestamp = claim.authorization, format_timestamp(claim.signed_at)
    if authorization.service != SIGNING_NAME:
        raise _invalid(f"Credential should be scoped to correct service: '{SIGNING_NAME}'.")
    if authorization.terminator != TERMINATOR:
        raise _invalid(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{authorization.terminator[:128]}'."
        )
    if authorization.date != timestamp[:8]:
        raise _invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{authorization.date[:128]}' != '{timestamp[:8]}', from '{timestamp}'."
        )


def _check_signed_headers(authorization: Authorization, request: SignedRequest) -> None:
    if "host" not in authorization.signed_headers:
        raise _invalid("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    given = {name.decode("latin-1") for name, _ in request.headers}
    for name in sorted(given):
        if name.startswith("x-amz-") and name not in authorization.signed_headers:
            raise _invalid(f"'{name[:128]}' must be a 'SignedHeader' in the AWS Authorization.")
    for name in authorization.signed_headers:
        if name not in given:
            raise _invalid(f"'{name[:128]}' is a 'SignedHeader' in the AWS Authorization, and not in the request.")


def _check_payload(claim: Claim, request: SignedRequest) -> None:
    encoding = request.header("content-encoding") or ""
    stated = [value for name, value in request.headers if name == _HASH]
    stated += [value for name, value in claim.query if name.lower() == _HASH]
    if "aws-chunked" in encoding.lower() or any(value.startswith(b"STREAMING-") for value in stated):
        raise _invalid(
            "Chunked signatures (STREAMING-…, aws-chunked) are Amazon S3's alone: sign the hash of the whole body."
        )
    if b"UNSIGNED-PAYLOAD" in stated:
        raise _invalid("An unsigned payload (UNSIGNED-PAYLOAD) is Amazon S3's alone: sign the hash of the body.")
    if any(value.decode("latin-1") != sha256(request.body).hexdigest() for value in stated):
        raise _invalid("The value of the x-amz-content-sha256 header does not match the calculated value.")


def _has_token(claim: Claim, request: SignedRequest) -> bool:
    # Session tokens come from STS, and we give out none: like AWS, whose answer to a token that is not its own this is. To
    # look past it would let a request through that was meant for somebody else.
    return request.header(_TOKEN.decode()) is not None or any(name.lower() == _TOKEN for name, _ in claim.query)


def _check_clock(claim: Claim, now: datetime) -> None:
    stamp, present = format_timestamp(claim.signed_at), format_timestamp(now)
    lifetime, shown = (
        (CLOCK_SKEW, "15 min.")
        if claim.lifetime is None
        else (claim.lifetime, f"{claim.lifetime.total_seconds():.0f} sec.")
    )
    if now - claim.signed_at > lifetime:
        earliest = format_timestamp(now - lifetime)
        raise _invalid(f"Signature expired: {stamp} is now earlier than {earliest} ({present} - {shown})")
    if claim.signed_at - now > CLOCK_SKEW:
        latest = format_timestamp(now + CLOCK_SKEW)
        raise _invalid(f"Signature not yet current: {stamp} is still later than {latest} ({present} + 15 min.)")


def _invalid(message: str) -> RequestError:
    return RequestError("InvalidSignatureException", message)


def _shown(name: bytes) -> str:
    return name[:128].decode("latin-1")

"""AWS Signature Version 4: what is signed, stage by stage, from the bytes of a request as they came.

The stages are AWS's: the canonical request, the string to sign, the signature. These are the rules of services other than
S3: the path is normalised and encoded once more, and the hash is always one of the whole body. AWS: "Create a signed AWS API
request".
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatepost.wire.sigv4 import ALGORITHM, format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gatepost.wire.sigv4 import Authorization, Pairs

_SIGNATURE = b"X-Amz-Signature"  # what cannot be signed, because it is the signature


def canonical_request(
    *, method: str, path: bytes, query: Pairs, headers: Pairs, signed_headers: Iterable[str], payload_hash: str
) -> bytes:
    """The first stage; `headers` have their names in lower case, and of these only the signed ones are looked at."""
    names = sorted(signed_headers)
    lines = [method.encode(), canonical_path(path), canonical_query(query)]
    lines += [name.encode() + b":" + _canonical_value(headers, name.encode()) for name in names]
    lines += [b"", ";".join(names).encode(), payload_hash.encode()]
    return b"\n".join(lines)


def canonical_path(path: bytes) -> bytes:
    """Without empty, `.` and `..` segments, and what is not unreserved (RFC 3986 2.3) encoded, percent signs too."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    trailing = b"/" if kept and path.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + trailing, safe="/").encode()


def canonical_query(query: Pairs) -> bytes:
    """The decoded parameters without the signature, encoded the one way, by name and then by value."""
    encoded = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in query if name != _SIGNATURE)
    return "&".join(f"{name}={value}" for name, value in encoded).encode()


def string_to_sign(signed_at: datetime, scope: str, canonical: bytes) -> bytes:
    """The second stage."""
    return "\n".join((ALGORITHM, format_timestamp(signed_at), scope, sha256(canonical).hexdigest())).encode()


def signature(secret: str, authorization: Authorization, to_sign: bytes) -> str:
    """The third stage, with the key that `secret` gives for the scope; 64 hexadecimal digits."""
    key = b"AWS4" + secret.encode()
    for part in (authorization.date, authorization.region, authorization.service, authorization.terminator):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign, "sha256").hex()


def _canonical_value(headers: Pairs, name: bytes) -> bytes:
    # Space of any length, at a folded line too, is one space; headers of one name stay in their order.
    return b",".join(b" ".join(value.split()) for given, value in headers if given == name)

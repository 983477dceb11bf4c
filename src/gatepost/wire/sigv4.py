"""AWS Signature Version 4: what a request says of its signature, in the Authorization header or in the query.

Whether it is true is decided elsewhere; what has to be true is in `sigv4_canonical`. AWS: "Signature Version 4 signing
process", elements of a request signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"
LONGEST_LIFETIME = timedelta(days=7)  # AWS's own bound of X-Amz-Expires

_TIMESTAMP = re.compile(r"[1-9][0-9]{7}T[0-9]{6}Z")  # strftime does not write the zeros that a year before 1000 has
_SECONDS = re.compile(r"[0-9]{1,6}")
_SIGNED_HEADERS = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+(;[0-9A-Za-z!#$%&'*+.^_`|~-]+)*")  # RFC 9110 5.1: tokens
_IN_QUERY = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
_SIGNING = frozenset(name.lower().encode() for name in (*_IN_QUERY, "X-Amz-Security-Token"))

Pairs: TypeAlias = "Sequence[tuple[bytes, bytes]]"


class IncompleteSignatureError(ValueError):
    """The request's signature is not in the form of SigV4; the message is AWS's wording."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """A parsed signature; `signed_headers` are names in lower case and in order, each once."""

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        """The credential scope, as it is signed."""
        return f"{self.date}/{self.region}/{self.service}/{self.terminator}"


@dataclass(frozen=True, slots=True)
class Presigned:
    """A signature in the query: it holds from `signed_at` for `lifetime`."""

    authorization: Authorization
    signed_at: datetime
    lifetime: timedelta


def parse_authorization(header: str) -> Authorization:
    """Read `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`. Raises `IncompleteSignatureError` and nothing else."""
    algorithm, _, rest = header.strip().partition(" ")
    _check_algorithm(algorithm)
    found = _parameters(rest)
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not found.get(name)]
    if missing:
        sentences = [f"Authorization header requires '{name}' parameter." for name in missing]
        raise IncompleteSignatureError(" ".join(sentences))
    return _authorization(found["Credential"], found["SignedHeaders"], found["Signature"])


def parse_query(query: bytes) -> Pairs:
    """The parameters of a query, decoded, in their order; a `+` is a plus, empty ones are left out."""
    pieces = (piece.partition(b"=") for piece in query.split(b"&") if piece)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pieces]


def is_signed(pairs: Pairs) -> bool:
    """True if a parameter, in whichever case of letters, belongs to a signature in the query."""
    return any(name.lower() in _SIGNING for name, _ in pairs)


def parse_presigned(pairs: Pairs) -> Presigned:
    """Read a signature from the parameters of a query. Raises `IncompleteSignatureError` and nothing else."""
    found = {name: _only(pairs, name) for name in _IN_QUERY}
    _check_algorithm(found["X-Amz-Algorithm"])
    authorization = _authorization(found["X-Amz-Credential"], found["X-Amz-SignedHeaders"], found["X-Amz-Signature"])
    return Presigned(authorization, parse_timestamp(found["X-Amz-Date"]), _lifetime(found["X-Amz-Expires"]))


def parse_timestamp(text: str | None) -> datetime:
    """The moment that `X-Amz-Date` names (`YYYYMMDDTHHMMSSZ`). Raises `IncompleteSignatureError` where it names none."""
    if text is None:
        raise IncompleteSignatureError("Authorization header requires existence of a 'X-Amz-Date' header.")
    text = text.strip()
    refusal = IncompleteSignatureError(
        f"Date must be in ISO-8601 'basic format'. Got '{_shown(text)}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )
    # strptime alone would take `2026112T10203Z` too.
    if _TIMESTAMP.fullmatch(text) is None:
        raise refusal
    try:
        return datetime.strptime(text, TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise refusal from error


def format_timestamp(moment: datetime) -> str:
    """The moment as `X-Amz-Date` writes it."""
    return moment.astimezone(UTC).strftime(TIMESTAMP_FORMAT)


def _check_algorithm(algorithm: str) -> None:
    if algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"Unsupported AWS 'algorithm': '{_shown(algorithm)}'.")


def _authorization(credential: str, signed_headers: str, signature: str) -> Authorization:
    parts = credential.split("/")
    # In a query a line's end can come percent-encoded; what is signed has one part of the credential on one line.
    if len(parts) != 5 or not all(parts) or not credential.isprintable():
        raise IncompleteSignatureError(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{_shown(credential)}'."
        )
    access_key_id, date, region, service, terminator = parts
    names = _header_names(signed_headers)
    return Authorization(access_key_id, date, region, service, terminator, names, signature)


def _header_names(text: str) -> tuple[str, ...]:
    names = sorted(text.lower().split(";"))
    if _SIGNED_HEADERS.fullmatch(text) is None or len(set(names)) != len(names):
        raise IncompleteSignatureError(
            f"SignedHeaders must be names of headers with semicolons between them, each once, got '{_shown(text)}'."
        )
    return tuple(names)


def _lifetime(text: str) -> timedelta:
    if (
        _SECONDS.fullmatch(text) is None
        or not timedelta() < (lifetime := timedelta(seconds=int(text))) <= LONGEST_LIFETIME
    ):
        raise IncompleteSignatureError(
            f"X-Amz-Expires must be a number of seconds from 1 to 604800 (a week), got '{_shown(text)}'."
        )
    return lifetime


def _only(pairs: Pairs, name: str) -> str:
    # AWS tells the cases of letters apart. Another spelling beside the right one could be taken for it further on.
    spellings = [(given, value) for given, value in pairs if given.lower() == name.lower().encode()]
    if len(spellings) > 1:
        raise IncompleteSignatureError(f"AWS query-string parameter '{name}' must not be repeated.")
    if not spellings or spellings[0][0] != name.encode() or not spellings[0][1]:
        raise IncompleteSignatureError(
            f"AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
        )
    return spellings[0][1].decode("latin-1")


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name in found:
            raise IncompleteSignatureError(
                f"'{_shown(part.strip())}' not a valid key=value pair (missing equal-sign or repeated) in Authorization header."
            )
        found[name] = value
    return found


def _shown(text: str) -> str:
    # What is quoted back is bounded, so that an error is never larger than a sentence.
    return text if len(text) <= 128 else text[:128] + "…"

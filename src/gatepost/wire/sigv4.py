"""AWS Signature Version 4, the header form: what an Authorization header says. Whether it is true is decided elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"

_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")


class IncompleteSignatureError(ValueError):
    """The header is not a complete SigV4 Authorization header; the message is AWS's wording."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """A parsed Authorization header; `signed_headers` are lower case names, in the order given."""

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(header: str) -> Authorization:
    """Read `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`. Raises `IncompleteSignatureError` and nothing else."""
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"Unsupported AWS 'algorithm': '{_shown(algorithm)}'.")
    found = _parameters(rest)
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not found.get(name)]
    if missing:
        sentences = [f"Authorization header requires '{name}' parameter." for name in missing]
        raise IncompleteSignatureError(" ".join(sentences))
    credential = found["Credential"].split("/")
    if len(credential) != 5 or not all(credential):
        raise IncompleteSignatureError(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{_shown(found['Credential'])}'."
        )
    access_key_id, date, region, service, terminator = credential
    signed_headers = tuple(name.lower() for name in found["SignedHeaders"].split(";") if name)
    return Authorization(access_key_id, date, region, service, terminator, signed_headers, found["Signature"])


def parse_timestamp(header: str | None) -> datetime:
    """The moment that `X-Amz-Date` names (`YYYYMMDDTHHMMSSZ`). Raises `IncompleteSignatureError` where it names none."""
    if header is None:
        raise IncompleteSignatureError("Authorization header requires existence of a 'X-Amz-Date' header.")
    text = header.strip()
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

"""How a notification proves who sent it: HTTP Basic, a header, an HMAC of its body, or Standard Webhooks 1.0.

Any of several credentials will do, so that one can be replaced while the old one is still in use. All of them are tried
each time, whatever the first one said, and what is compared are digests, in constant time: how long an answer takes tells
nothing of a user name or of how much of a secret was right. Text is compared as UTF-8, whatever bytes it came in.

Standard Webhooks is written out here, since its library takes the time of day from the system, and reads the body as JSON
without limits; its published vectors are in the tests.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.wire import basic_auth

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

TOLERANCE = 300.0
"""Seconds that a signed time may differ from ours: what the libraries of Standard Webhooks have."""

_MOST_SIGNATURES = 16
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
# Without a full stop: in `id.timestamp.body` it could be told where one ends (specification, "Signature scheme").
_ID = re.compile(rb"[\x21-\x2d\x2f-\x7e]{1,256}")
_HEX = re.compile(rb"[0-9A-Fa-f]*")
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request's headers as they came (names in lower case) and when it came."""

    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    now: datetime

    def header(self, name: str) -> bytes | None:
        """Its value; None where the header is missing, or there twice."""
        found = [value for key, value in self.headers if key == name.lower().encode()]
        return found[0] if len(found) == 1 else None

    def is_in_time(self, timestamp: bytes | None) -> bool:
        """Whether that is a time (seconds since 1970) at most five minutes away."""
        if timestamp is None or not _TIMESTAMP.fullmatch(timestamp):
            return False
        return abs(self.now.timestamp() - int(timestamp)) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class Proof:
    """One of the credentials was right; `notification_id` is the sender's, where what proves it covers that as well."""

    notification_id: str | None = None


@dataclass(frozen=True, slots=True)
class BasicCredential:
    """A user name and its password (RFC 7617)."""

    user: str
    password: str = field(repr=False)

    def may_prove(self, incoming: Incoming) -> bool:
        """Whether the body is worth reading: here it plays no part."""
        given = basic_auth.parse(incoming.header("authorization") or b"") or basic_auth.Credentials("", "")
        user, password = _same(given.login, self.user), _same(given.password, self.password)
        return user & password

    def prove(self, incoming: Incoming, body: bytes) -> Proof | None:  # noqa: ARG002 - one signature for all
        """Whether it is so."""
        return Proof() if self.may_prove(incoming) else None


@dataclass(frozen=True, slots=True)
class HeaderCredential:
    """A header that always has the same value; `Authorization: Bearer …` is one, too."""

    name: str
    value: str = field(repr=False)

    def may_prove(self, incoming: Incoming) -> bool:
        """Whether the body is worth reading: here it plays no part."""
        return _same(_text((incoming.header(self.name) or b"").strip()), self.value) & (self.value != "")

    def prove(self, incoming: Incoming, body: bytes) -> Proof | None:  # noqa: ARG002 - one signature for all
        """Whether it is so."""
        return Proof() if self.may_prove(incoming) else None


@dataclass(frozen=True, slots=True)
class SignatureCredential:
    """A header with the HMAC of the body as it came, in hexadecimal or base64.

    Before it may stand `prefix`, or else the algorithm's name and `=`. With `timestamp_header` the sender signs the time
    (seconds since 1970) along with the body, as `signed` says, and it must be at most five minutes away.
    """

    header: str
    secret: bytes = field(repr=False)
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    prefix: str | None = None
    timestamp_header: str | None = None
    signed: str = "{timestamp}.{body}"

    def may_prove(self, incoming: Incoming) -> bool:
        """Whether the body is worth reading: there is a signature, and the time is right."""
        return self._given(incoming) is not None and (
            self.timestamp_header is None or incoming.is_in_time(incoming.header(self.timestamp_header))
        )

    def prove(self, incoming: Incoming, body: bytes) -> Proof | None:
        """Compare the signature with our own."""
        own = hmac.digest(self.secret, self._content(incoming, body), self.algorithm)
        same = hmac.compare_digest(own, self._given(incoming) or b"")
        return Proof() if same & self.may_prove(incoming) else None

    def _content(self, incoming: Incoming, body: bytes) -> bytes:
        if self.timestamp_header is None:
            return body
        timestamp = incoming.header(self.timestamp_header) or b""
        before, _, after = self.signed.encode().replace(b"{timestamp}", timestamp).partition(b"{body}")
        return before + body + after

    def _given(self, incoming: Incoming) -> bytes | None:
        value = (incoming.header(self.header) or b"").strip()
        prefix = (f"{self.algorithm}=" if self.prefix is None else self.prefix).encode()
        if value[: len(prefix)].lower() == prefix.lower():
            value = value[len(prefix) :]
        elif self.prefix:
            return None
        return _digest(value, hashlib.new(self.algorithm, usedforsecurity=False).digest_size)


@dataclass(frozen=True, slots=True)
class StandardWebhooksCredential:
    """Standard Webhooks: the key of HMAC-SHA256 signatures (`v1`), or the public key of Ed25519 ones (`v1a`)."""

    key: bytes = field(repr=False)
    is_public: bool = False

    def may_prove(self, incoming: Incoming) -> bool:
        """Whether the body is worth reading: the headers are there, and the time is right."""
        return (
            _ID.fullmatch(incoming.header("webhook-id") or b"") is not None
            and incoming.is_in_time(incoming.header("webhook-timestamp"))
            and bool(incoming.header("webhook-signature"))
        )

    def prove(self, incoming: Incoming, body: bytes) -> Proof | None:
        """Compare each signature of our kind."""
        notification_id = incoming.header("webhook-id") or b""
        content = b".".join((notification_id, incoming.header("webhook-timestamp") or b"", body))
        version = b"v1a" if self.is_public else b"v1"
        given = (incoming.header("webhook-signature") or b"").split()[:_MOST_SIGNATURES]
        signatures = (one.partition(b",")[2] for one in given if one.partition(b",")[0] == version)
        valid = self._verified(content, signatures) if self.is_public else self._compared(content, signatures)
        return Proof(notification_id.decode()) if valid & self.may_prove(incoming) else None

    def _compared(self, content: bytes, signatures: Iterable[bytes]) -> bool:
        own = hmac.digest(self.key, content, "sha256")
        return _any_of(hmac.compare_digest(own, _base64(one) or b"") for one in signatures)

    def _verified(self, content: bytes, signatures: Iterable[bytes]) -> bool:
        key = Ed25519PublicKey.from_public_bytes(self.key)
        for one in signatures:
            try:
                key.verify(_base64(one) or b"", content)
            except InvalidSignature:
                continue
            return True
        return False


Credential = BasicCredential | HeaderCredential | SignatureCredential | StandardWebhooksCredential


def may_prove(credentials: Sequence[Credential], incoming: Incoming) -> bool:
    """Whether the request can prove itself once its body is known; what can be said before it is read."""
    return _any_of(one.may_prove(incoming) for one in credentials)


def prove(credentials: Sequence[Credential], incoming: Incoming, body: bytes) -> Proof | None:
    """The proof by any of the credentials; None where there is none."""
    proofs = [one.prove(incoming, body) for one in credentials]
    return next((one for one in proofs if one is not None), None)


def standard_webhooks(key: str) -> StandardWebhooksCredential:
    """Read `whsec_…` (or the base64 alone) or the public key `whpk_…`. ValueError says what is wrong, without the key."""
    is_public = key.startswith("whpk_")
    raw = _base64(key.removeprefix("whpk_" if is_public else "whsec_").encode("utf-8", "replace"))
    if is_public and (raw is None or len(raw) != 32):
        raise ValueError("a public key of Standard Webhooks is whpk_ and 32 bytes in base64")
    if raw is None or not 24 <= len(raw) <= 64:
        raise ValueError("a key of Standard Webhooks is whsec_ and 24 to 64 bytes in base64")
    return StandardWebhooksCredential(raw, is_public)


def _any_of(answers: Iterable[bool]) -> bool:
    """Whether one is true; unlike `any` it asks for all of them each time."""
    return sum(answers) > 0


def _same(given: str, expected: str) -> bool:
    """In constant time, however long each of them is."""
    return hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(expected.encode()).digest())


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _digest(value: bytes, size: int) -> bytes | None:
    if len(value) == 2 * size and _HEX.fullmatch(value):
        return binascii.unhexlify(value)
    raw = _base64(value)
    return raw if raw is not None and len(raw) == size else None


def _base64(value: bytes) -> bytes | None:
    """Of either alphabet, with its padding or without."""
    bare = value.translate(_URL_ALPHABET).rstrip(b"=")
    try:
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        return None

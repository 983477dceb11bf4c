"""How a notification proves who sent it: header lines, an empty one, the body."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.fuzz.target import Target, cut_at, promise

from gatepost.wire import basic_auth, webhook

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_SECRET, _BODY = b"0123456789abcdef0123456789abcdef", b'{"udid": "A1", "compliant": true}'
_PRIVATE = Ed25519PrivateKey.from_private_bytes(_SECRET)
_CREDENTIALS = (
    webhook.BasicCredential("mdm", "sesame"),
    webhook.HeaderCredential("Authorization", "Bearer sesame"),
    webhook.SignatureCredential("X-Signature", _SECRET),
    webhook.SignatureCredential(
        "X-Timed", _SECRET, prefix="v0=", timestamp_header="X-Time", signed="v0:{timestamp}:{body}"
    ),
    webhook.StandardWebhooksCredential(_SECRET),
    webhook.StandardWebhooksCredential(_PRIVATE.public_key().public_bytes_raw(), is_public=True),
)


def check_webhook(data: bytes) -> bool:
    head, _, body = data.partition(b"\n\n")
    pairs = [line.partition(b":") for line in head.split(b"\n")]
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    incoming = webhook.Incoming(headers, _NOW)
    proofs = [one.prove(incoming, body) for one in _CREDENTIALS]
    promise(webhook.prove(_CREDENTIALS, incoming, body) == next((one for one in proofs if one), None), "another proof")
    for credential, proof in zip(_CREDENTIALS, proofs, strict=True):
        if proof is not None:
            promise(credential.may_prove(incoming), "a proof by what may prove nothing")
            _check_proof(credential, dict(headers), body)
    promise(not any(proofs) or webhook.may_prove(_CREDENTIALS, incoming), "a proof by what may prove nothing")
    return any(proofs)


def _check_proof(credential: webhook.Credential, headers: dict[bytes, bytes], body: bytes) -> None:
    """The secret is in the header, or was needed to make what is there, of just this body and time."""
    if isinstance(credential, webhook.BasicCredential):
        promise(basic_auth.parse(headers[b"authorization"]) == basic_auth.Credentials("mdm", "sesame"), "no password")
    elif isinstance(credential, webhook.HeaderCredential):
        promise(headers[b"authorization"] == b"Bearer sesame", "no token")
    elif isinstance(credential, webhook.SignatureCredential):
        timed = b"v0:%s:%s" % (headers[b"x-time"], body) if credential.timestamp_header else body
        promise(
            _holds(headers[credential.header.lower().encode()], hmac.digest(_SECRET, timed, "sha256")), "no signature"
        )
    else:
        content = b"%s.%s.%s" % (headers[b"webhook-id"], headers[b"webhook-timestamp"], body)
        own = _PRIVATE.sign(content) if credential.is_public else hmac.digest(_SECRET, content, "sha256")
        promise(_holds(headers[b"webhook-signature"], own), "no signature")


def _holds(header: bytes, signature: bytes) -> bool:
    plain = base64.b64encode(signature).rstrip(b"=")
    # the last letter of base64 without padding has bits that count for nothing
    return plain[:-1] in header.replace(b"-", b"+").replace(b"_", b"/") or signature.hex().encode() in header.lower()


def _signed(content: bytes) -> bytes:
    return hmac.digest(_SECRET, content, "sha256")


_AT = b"%d" % _NOW.timestamp()
_ID = b"msg_1"
_CONTENT = b"%s.%s.%s" % (_ID, _AT, _BODY)
_STANDARD = b"webhook-id: %s\nwebhook-timestamp: %s\nwebhook-signature: " % (_ID, _AT)

WEBHOOK = Target(
    "webhook",
    check_webhook,
    (
        b"Authorization: Basic bWRtOnNlc2FtZQ==\n\n" + _BODY,
        b"authorization: Bearer sesame\n\n" + _BODY,
        b"X-Signature: sha256=" + _signed(_BODY).hex().encode() + b"\n\n" + _BODY,
        b"x-signature: " + base64.b64encode(_signed(_BODY)) + b"\n\n" + _BODY,
        b"x-time: " + _AT + b"\nx-timed: v0=" + _signed(b"v0:%s:%s" % (_AT, _BODY)).hex().encode() + b"\n\n" + _BODY,
        _STANDARD + b"v1,xx v1," + base64.b64encode(_signed(_CONTENT)) + b"\n\n" + _BODY,
        _STANDARD + b"v1a," + base64.b64encode(_PRIVATE.sign(_CONTENT)) + b"\n\n" + _BODY,
    ),
    cut_at(rb"[\n:,= ]|\n\n"),
    (
        b"\n", b"\n\n", b":", b",", b" ", b"=", b"==", b"-", b"_", b"v1,", b"v1a,", b"v2,", b"v0=", b"sha256=", b"sha1=", b"Basic ", b"Bearer ",
        b"authorization: x\n", b"x-signature: \n", b"webhook-id: a.b\n", b"webhook-timestamp: 0\n", b"\xff", b"\x00", b"\xc3\xa9", b"9" * 13, b"-1",
        _AT, b"v1, " * 40, b"v1," + b"A" * 43 + b"=", b"v1a," + b"A" * 86 + b"==", "\u0661".encode(),
    ),
    ("gatepost.wire.webhook",),
    weight=4,
)  # fmt: skip

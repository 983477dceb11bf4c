"""Sealing of access key secrets: what lies in the database is useless without the key file beside the configuration."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D 8.2.2: 96 random bits, far below 2^32 seals with one key


class SealingError(Exception):
    """The sealed bytes were not sealed with this key for this access key id, or the key is no 32 bytes."""


def new_key() -> bytes:
    """A fresh sealing key."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, access_key_id: str, secret: str) -> bytes:
    """Nonce and AES-256-GCM ciphertext of `secret`; the access key id is bound to it as associated data."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, secret.encode(), access_key_id.encode())


def unseal(key: bytes, access_key_id: str, sealed: bytes) -> str:
    """The secret that `seal` sealed. Raises `SealingError` for another key, another access key id or changed bytes."""
    try:
        return _cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], access_key_id.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise SealingError(
            f"the secret of access key `{access_key_id}` was sealed with another key file; restore that file or create a new access key"
        ) from error


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise SealingError(f"a sealing key has {KEY_BYTES} bytes, this one has {len(key)}; restore the key file")
    return AESGCM(key)

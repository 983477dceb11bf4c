"""Access keys for the control API: created, listed, revoked, and looked up by whoever checks a signature."""

from __future__ import annotations

import secrets
import string
from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost.model import AccessKey, Role
from gatepost.operations.errors import EntityNotFoundException
from gatepost.operations.sealing import seal, unseal
from gatepost.store import access_keys

if TYPE_CHECKING:
    from gatepost.operations.context import Context

# The form of AWS's: 20 characters that begin with AKIA, and 40 of the base64 alphabet. `+` and `/` are left out, so that a
# secret survives every shell and URL; 40 characters of 62 are 238 bits.
_ID_ALPHABET = string.ascii_uppercase + "234567"
_SECRET_ALPHABET = string.ascii_letters + string.digits


def create(
    context: Context, sealing_key: bytes, *, role: Role = Role.ADMIN, description: str = ""
) -> tuple[AccessKey, str]:
    """A new access key and its secret, which is never shown again."""
    access_key_id = "AKIA" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(16))
    secret = "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40))
    key = AccessKey(access_key_id, description, role, date_created=context.now())
    with context.store.begin() as transaction:
        access_keys.put(transaction, key, seal(sealing_key, access_key_id, secret))
    return key, secret


def list(context: Context) -> tuple[AccessKey, ...]:  # noqa: A001 -- as the other nouns
    """Every access key, revoked ones included, the oldest first."""
    with context.store.read() as reader:
        return tuple(sorted(access_keys.list(reader), key=lambda key: (key.date_created, key.access_key_id)))


def revoke(context: Context, access_key_id: str) -> AccessKey:
    """Refuse the key from now on; a revoked one is answered as it is. Raises `EntityNotFoundException`."""
    with context.store.begin() as transaction:
        found = access_keys.get(transaction, access_key_id)
        if found is None:
            raise EntityNotFoundException(f"There is no access key {access_key_id}.")
        key, sealed = found
        if key.date_revoked is None:
            key = replace(key, date_revoked=context.now())
            access_keys.put(transaction, key, sealed)
        return key


def valid(context: Context, sealing_key: bytes, access_key_id: str) -> tuple[AccessKey, str] | None:
    """A key that is valid now, and its secret; else None. Raises `SealingError` where the key file is another one."""
    with context.store.read() as reader:
        found = access_keys.get(reader, access_key_id)
    if found is None or found[0].date_revoked is not None:
        return None
    key, sealed = found
    return key, unseal(sealing_key, access_key_id, sealed)

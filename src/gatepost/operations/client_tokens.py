"""Idempotency: the same ClientToken with the same parameters gets the same answer, and is acted upon once."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gatepost.operations.errors import InvalidParameterException
from gatepost.store import client_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost.operations.context import Context
    from gatepost.store.database import Transaction


def once(
    context: Context,
    operation: str,
    client_token: str | None,
    parameters: Mapping[str, Any],
    act: Callable[[Transaction], str],
) -> str:
    """Run `act` in one transaction and answer what it answers; with a `client_token` seen before, answer as then.

    The token is remembered in the transaction of the act: both happen or neither. It is its organization's: another one
    may use the same. Raises `InvalidParameterException` where the token was used with other parameters.
    """
    organization_id = parameters.get("organization_id")
    scope = operation if organization_id is None else f"{operation}/{organization_id}"
    fingerprint = sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    with context.store.begin() as transaction:
        if client_token is None:
            return act(transaction)
        known = client_tokens.find(transaction, scope, client_token)
        if known is None:
            answer = act(transaction)
            client_tokens.put(transaction, scope, client_token, fingerprint, json.dumps(answer))
            return answer
        known_fingerprint, response = known
        if known_fingerprint != fingerprint:
            raise InvalidParameterException(f"The ClientToken {client_token} was used before with other parameters.")
        return str(json.loads(response))

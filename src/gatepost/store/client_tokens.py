"""Client tokens: what an operation answered, so that a repeated call gets the same answer instead of doing it twice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from gatepost.store.schema import client_tokens
from gatepost.store.tables import upsert

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

# WorkMail does not say how long it remembers. Clients repeat within minutes; a day also covers a script that is run
# again after a failure, and is what Amazon EC2 promises for its tokens ("at least 24 hours").
REMEMBERED = timedelta(hours=24)

_COLUMNS = client_tokens.c


def find(reader: Reader, operation: str, token: str) -> tuple[str, str] | None:
    """(fingerprint of the parameters, response as JSON) of the call that had the token in the last day; None if none."""
    named = (_COLUMNS.operation == operation) & (_COLUMNS.token == token) & (_COLUMNS.at > reader.now - REMEMBERED)
    row = reader.connection.execute(select(_COLUMNS.fingerprint, _COLUMNS.response).where(named)).first()
    return None if row is None else (row.fingerprint, row.response)


def put(transaction: Transaction, operation: str, token: str, fingerprint: str, response_json: str) -> None:
    """Remember the answer for a day, and forget those that are older."""
    expired = _COLUMNS.at <= transaction.now - REMEMBERED
    transaction.connection.execute(delete(client_tokens).where(expired))
    row = {
        "operation": operation,
        "token": token,
        "fingerprint": fingerprint,
        "response": response_json,
        "at": transaction.now,
    }
    upsert(transaction.connection, client_tokens, row)

"""Pages: a list cut at a key, and the opaque token that says where it goes on.

A token holds the last key of its page, not a number of rows: rows that come or go between two pages make the next page
neither skip nor repeat. It carries no authority, so it is not signed; it is bound to the operation and its filters so that
a token of another question is refused instead of answered wrongly.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, TypeVar

from gatepost.operations.errors import InvalidParameterException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

MAX_RESULTS = 100
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of the items; `next_token` is None on the last page."""

    items: tuple[T, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """One question that is answered in pages: the operation's name and the filters it was asked with."""

    operation: str
    filters: tuple[str | None, ...]

    def position(self, next_token: str | None) -> str | None:
        """The key after which the page starts; None at the beginning. Raises `InvalidParameterException` for a foreign token."""
        if next_token is None:
            return None
        try:
            version, binding, after = json.loads(urlsafe_b64decode(next_token.encode("ascii")))
        except (ValueError, TypeError, binascii.Error, RecursionError) as error:
            raise _invalid_token() from error
        if version != _VERSION or binding != self._binding() or not isinstance(after, str):
            raise _invalid_token()
        return after

    def page(
        self,
        next_token: str | None,
        max_results: int | None,
        fetch: Callable[[str | None, int], Sequence[T]],
        key: Callable[[T], str],
    ) -> Page[T]:
        """One page of at most `max_results`: `fetch(after, limit)` answers items in the order of `key`, a text that never changes."""
        size = MAX_RESULTS if max_results is None else max_results
        if not 1 <= size <= MAX_RESULTS:
            raise InvalidParameterException(f"MaxResults must be between 1 and {MAX_RESULTS}.")
        found = fetch(self.position(next_token), size + 1)
        items = tuple(found[:size])
        return Page(items, self._token(key(items[-1])) if len(found) > size else None)

    def _token(self, after: str) -> str:
        return urlsafe_b64encode(
            json.dumps([_VERSION, self._binding(), after], separators=(",", ":")).encode()
        ).decode()

    def _binding(self) -> str:
        return sha256(json.dumps([self.operation, *self.filters]).encode()).hexdigest()[:16]


def one_filter(filters: Mapping[str, str] | None) -> tuple[str, str] | tuple[()]:
    """The name and the value of WorkMail's one filter, () without any. Raises `InvalidParameterException` for several."""
    given = tuple((filters or {}).items())
    if len(given) > 1:
        raise InvalidParameterException("You can only use one filter per request.")
    return given[0] if given else ()


def _invalid_token() -> InvalidParameterException:
    return InvalidParameterException("The NextToken is not valid for this request. Start again without NextToken.")

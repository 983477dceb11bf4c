"""How a REST API gives a long list in pages: by a link to the next one, a cursor, the number of a page, or an offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from gatepost.mdm.sources.mapping import Expression
from gatepost.mdm.sources.reading import Unreadable, text

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINK = re.compile(r'<([^<>]{1,2048})>((?:\s*;\s*[\w*-]{1,32}\s*=\s*(?:"[^"]{0,256}"|[^\s;,"]{0,256})){0,8})')
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=$|[\s;]))', re.IGNORECASE)


class PagingKind(StrEnum):
    """How the next page is asked for."""

    NONE = "none"
    LINK = "link"
    CURSOR = "cursor"
    PAGE = "page"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class Paging:
    """`next`: the expression for the link or the cursor in an answer; for links without it the `Link` header (RFC 8288).

    `parameter` is the query parameter for the cursor, the page's number (which begins with `first`) or the offset.
    `size_parameter` and `size` ask for so many at a time. `total`: the expression for how many there are.
    """

    kind: PagingKind = PagingKind.NONE
    next: str | None = None
    parameter: str | None = None
    first: int = 0
    size_parameter: str | None = None
    size: int | None = None
    total: str | None = None


class Pager:
    """A configured way through pages. Raises ValueError where something is missing."""

    def __init__(self, paging: Paging) -> None:
        if paging.kind not in list(PagingKind):
            raise ValueError(f"paging is by {', '.join(PagingKind)}, not by `{paging.kind}`")
        kind = PagingKind(paging.kind)
        if kind in (PagingKind.CURSOR, PagingKind.PAGE, PagingKind.OFFSET) and not paging.parameter:
            raise ValueError(f"paging by {kind} needs the query `parameter`")
        if kind is PagingKind.CURSOR and paging.next is None:
            raise ValueError("paging by cursor needs `next`, the expression for the cursor")
        if paging.size_parameter is not None and paging.size is None:
            raise ValueError("`size_parameter` needs `size`")
        self._kind = kind
        self._paging = paging
        self._next = Expression(paging.next) if paging.next is not None else None
        self._total = Expression(paging.total) if paging.total is not None else None

    def first(self, path: str) -> str:
        """The path of the first page."""
        query: dict[str, object] = {}
        if self._paging.size_parameter is not None:
            query[self._paging.size_parameter] = self._paging.size
        if self._kind in (PagingKind.PAGE, PagingKind.OFFSET):
            assert self._paging.parameter is not None
            query[self._paging.parameter] = self._paging.first if self._kind is PagingKind.PAGE else 0
        return _with(path, query)

    def total(self, document: Any) -> int | None:
        """How many devices there are, if the answer says so. Raises Unreadable."""
        found = self._total.of(document) if self._total is not None else None
        return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None

    @property
    def by_link(self) -> bool:
        """Whether `following` gives links, which are relative to the page that they are on, and not paths."""
        return self._kind is PagingKind.LINK

    def following(
        self, path: str, document: Any, headers: Mapping[str, str], *, page: int, rows: int, listed: int
    ) -> str | None:
        """The link to, or path of, the page after the `page`th (from 0), None after the last.

        `rows` were on that page, and `listed` on all pages so far. Raises Unreadable.
        """
        if self._kind is PagingKind.NONE:
            return None
        if self._kind is PagingKind.LINK:
            return self._link(document, headers)
        query: dict[str, object] = {}
        if self._paging.size_parameter is not None:
            query[self._paging.size_parameter] = self._paging.size
        assert self._paging.parameter is not None
        if self._kind is PagingKind.CURSOR:
            assert self._next is not None
            cursor = _cursor(self._next.of(document))
            return _with(path, query | {self._paging.parameter: cursor}) if cursor is not None else None
        total = self.total(document)
        short = self._paging.size is not None and rows < self._paging.size and total is None
        if rows == 0 or short or (total is not None and listed >= total):
            return None
        number = self._paging.first + page + 1 if self._kind is PagingKind.PAGE else listed
        return _with(path, query | {self._paging.parameter: number})

    def _link(self, document: Any, headers: Mapping[str, str]) -> str | None:
        if self._next is not None:
            found = self._next.of(document)
            if found is None or found is False or found == "":
                return None
            if not isinstance(found, str) or len(found) > 2048:
                raise Unreadable(f"`{self._next.source}` is not a link")
            return found
        for link, parameters in _LINK.findall(headers.get("link", "")[:16384]):
            if _NEXT.search(parameters):
                return str(link)
        return None


def _cursor(value: Any) -> str | None:
    if value is None or value is False or value == "":
        return None
    found = text(value) if not isinstance(value, str) or len(value) <= 256 else value[:2048]
    if found is None:
        raise Unreadable("the cursor to its next page is neither a text nor a number")
    return found


def _with(path: str, query: Mapping[str, object]) -> str:
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode(dict(query))}"

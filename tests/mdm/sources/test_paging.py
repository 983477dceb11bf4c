"""Pages by link, cursor, number and offset, and where each ends."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mdm.sources.paging import Pager, Paging, PagingKind
from gatepost.mdm.sources.reading import Unreadable

PATH = "/devices"


def following(paging, document=None, headers=None, *, page=0, rows=10, listed=10, path=PATH):
    return Pager(paging).following(path, document, headers or {}, page=page, rows=rows, listed=listed)


def test_without_paging_there_is_one_page():
    assert Pager(Paging()).first(PATH) == PATH
    assert following(Paging()) is None


def test_the_size_is_asked_for_on_every_page():
    paging = Paging(PagingKind.OFFSET, parameter="offset", size_parameter="limit", size=10)
    assert Pager(paging).first(PATH) == "/devices?limit=10&offset=0"
    assert following(paging) == "/devices?limit=10&offset=10"
    assert following(paging, path="/devices?all=1") == "/devices?all=1&limit=10&offset=10"


def test_an_offset_counts_rows_and_not_pages():
    paging = Paging("offset", parameter="offset")
    assert following(paging, page=3, rows=7, listed=37) == "/devices?offset=37"


@pytest.mark.parametrize("first", [0, 1])
def test_pages_are_numbered_from(first):
    paging = Paging("page", parameter="page", first=first)
    assert Pager(paging).first(PATH) == f"/devices?page={first}"
    assert following(paging, page=2) == f"/devices?page={first + 3}"


@pytest.mark.parametrize(
    ("total", "size", "rows", "listed", "more"),
    [(None, None, 10, 10, True), (None, None, 0, 10, False), (None, 10, 10, 10, True), (None, 10, 9, 19, False), (20, 10, 9, 19, True), (20, 10, 10, 20, False),
     (20, None, 0, 10, False), ("20", None, 10, 20, True), (True, None, 10, 10, True), (-1, None, 10, 10, True)],
)  # fmt: skip
def test_where_numbered_pages_end(total, size, rows, listed, more):
    paging = Paging("page", parameter="page", total="total", size=size)
    assert (following(paging, {"total": total}, rows=rows, listed=listed) is not None) is more


@pytest.mark.parametrize(
    ("document", "expected"),
    [({"more": True, "data": [{"id": 1}, {"id": 2}]}, "/devices?limit=2&after=2"), ({"more": False, "data": [{"id": 2}]}, None), ({"more": True, "data": []}, None), ({}, None)],
)  # fmt: skip
def test_a_cursor_is_what_the_expression_finds(document, expected):
    paging = Paging("cursor", next="more && data[-1].id", parameter="after", size_parameter="limit", size=2)
    assert Pager(paging).first(PATH) == "/devices?limit=2"
    assert following(paging, document) == expected


def test_a_cursor_is_quoted_and_may_be_long():
    paging = Paging("cursor", next="next", parameter="after")
    assert following(paging, {"next": "a&b=c"}) == "/devices?after=a%26b%3Dc"
    assert following(paging, {"next": "x" * 2000}) == "/devices?after=" + "x" * 2000
    with pytest.raises(Unreadable, match="cursor"):
        following(paging, {"next": {"a": 1}})


def test_a_link_in_the_document():
    paging = Paging("link", next="next")
    assert Pager(paging).by_link
    assert (
        following(paging, {"next": "https://mdm.example.com/devices?page=2"})
        == "https://mdm.example.com/devices?page=2"
    )
    assert [following(paging, {"next": end}) for end in (None, "", False)] == [None, None, None]
    for bad in ({"a": 1}, 5, "x" * 5000):
        with pytest.raises(Unreadable, match="not a link"):
            following(paging, {"next": bad})


@pytest.mark.parametrize(
    ("header", "expected"),
    [('<https://x/2>; rel="next"', "https://x/2"), ("<?page=2>;rel=next", "?page=2"), ('<https://x/1>; rel="prev", </2>; title="a, b"; rel="last next"', "/2"),
     ('<https://x/9>; rel="last"', None), ('<https://x/9>; rel="nextish"', None), ("", None), ("garbage", None)],
)  # fmt: skip
def test_a_link_in_the_header(header, expected):
    assert following(Paging("link"), {}, {"link": header}) == expected


@pytest.mark.parametrize(
    ("paging", "why"),
    [(Paging("page"), "needs the query `parameter`"), (Paging("cursor", parameter="after"), "needs `next`"), (Paging("x"), "paging is by none, link, cursor, page, offset, not by `x`"), (Paging(size_parameter="n"), "needs `size`"),
     (Paging("link", next="["), "JMESPath")],
)  # fmt: skip
def test_paging_that_cannot_work_is_refused(paging, why):
    with pytest.raises(ValueError, match=why):
        Pager(paging)


@given(st.text(), st.none() | st.text() | st.integers() | st.lists(st.integers()))
def test_any_header_and_any_document_is_followed_or_unreadable(header, value):
    for paging in (Paging("link"), Paging("link", next="next"), Paging("cursor", next="next", parameter="after")):
        with suppress(Unreadable):
            following(paging, {"next": value}, {"link": header})

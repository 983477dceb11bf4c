import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.operations.errors import InvalidParameterException
from gatepost.operations.paging import MAX_RESULTS, Listing

LISTING = Listing("ListThings", ("organization", None))


def page_of(items, next_token=None, max_results=2, listing=LISTING):
    def fetch(after, limit):
        return [item for item in sorted(items) if after is None or item > after][:limit]

    return listing.page(next_token, max_results, fetch, lambda item: item)


def test_pages_follow_each_other_to_the_end():
    first = page_of("abcde")
    second = page_of("abcde", first.next_token)
    third = page_of("abcde", second.next_token)
    assert (first.items, second.items, third.items) == (("a", "b"), ("c", "d"), ("e",))
    assert third.next_token is None


def test_a_page_that_is_just_full_is_the_last():
    assert page_of("ab").next_token is None


def test_without_a_limit_a_page_holds_a_hundred():
    items = [f"{number:03}" for number in range(MAX_RESULTS + 1)]
    page = page_of(items, max_results=None)
    assert len(page.items) == MAX_RESULTS
    assert page.next_token is not None


@given(st.sets(st.text(min_size=1, max_size=3)), st.sets(st.text(min_size=1, max_size=3)), st.integers(1, 5))
def test_what_was_there_all_the_time_is_neither_skipped_nor_repeated(lasting, passing, size):
    seen, token, present = [], None, lasting | passing
    while True:
        page = page_of(present, token, size)
        seen += page.items
        # everything that is not lasting comes and goes between any two pages
        present = lasting if present != lasting else lasting | passing
        token = page.next_token
        if token is None:
            break
    assert [item for item in seen if item in lasting] == sorted(lasting)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "",
        "é",
        "====",
        urlsafe_b64encode(b"{}").decode(),
        urlsafe_b64encode(b"[1]").decode(),
        urlsafe_b64encode(b"[1,2,3,4]").decode(),
        urlsafe_b64encode(b"[" * 50_000).decode(),
        urlsafe_b64encode(b"\xff").decode(),
    ],
)
def test_garbage_is_an_invalid_parameter(token):
    with pytest.raises(InvalidParameterException):
        page_of("abc", token)


def test_a_token_of_another_question_or_version_is_refused():
    token = page_of("abc").next_token
    for other in (Listing("ListThings", ("other", None)), Listing("ListOthers", ("organization", None))):
        with pytest.raises(InvalidParameterException):
            page_of("abc", token, listing=other)
    version, binding, after = json.loads(urlsafe_b64decode(token))
    for forged in ([version + 1, binding, after], [version, binding, 7], [version, binding, None]):
        with pytest.raises(InvalidParameterException):
            page_of("abc", urlsafe_b64encode(json.dumps(forged).encode()).decode())


@pytest.mark.parametrize("size", [0, -1, 101])
def test_a_page_has_one_to_a_hundred_items(size):
    with pytest.raises(InvalidParameterException):
        page_of("abc", max_results=size)

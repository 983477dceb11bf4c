"""From an element to bytes."""

from __future__ import annotations

import re

from gatepost.wire.wbxml.codepages import PAGES, TOKENS
from gatepost.wire.wbxml.decode import END, HEADER, OPAQUE, STR_I, SWITCH_PAGE
from gatepost.wire.wbxml.element import Element, WbxmlError

_PAGE_NUMBERS = {name: page for page, name in PAGES.items()}
_UNNAMED = re.compile(r"(\w+):0x([0-9A-F]{2})")
_CONTENT = 0x40


def encode(element: Element) -> bytes:
    """The document whose root is `element`; raises WbxmlError where a name or a text cannot be written.

    `decode(encode(element)) == element`, hexadecimal names of unknown tokens included.
    """
    out = bytearray(HEADER)
    page = 0
    # Not by recursion: an element may be nested deeper than our stack. What ends an iterator is the END of an element.
    waiting = [iter((element,))]
    while waiting:
        following = next(waiting[-1], None)
        if following is None:
            waiting.pop()
            if waiting:
                out.append(END)
            continue
        wanted, token = _token(following.name)
        if wanted != page:
            out += bytes((SWITCH_PAGE, wanted))
            page = wanted
        if not following.children and following.text is None and following.opaque is None:
            out.append(token)
            continue
        out.append(token | _CONTENT)
        _write_value(following, out)
        waiting.append(iter(following.children))
    return bytes(out)


def _write_value(element: Element, out: bytearray) -> None:
    if element.text is not None:
        out += _string(element)
    elif element.opaque is not None:
        out.append(OPAQUE)
        out += _length(len(element.opaque))
        out += element.opaque


def _token(name: str) -> tuple[int, int]:
    known = TOKENS.get(name)
    if known is not None:
        return known >> 8, known & 0xFF
    unnamed = _UNNAMED.fullmatch(name)
    if unnamed:
        page_name, token = unnamed[1], int(unnamed[2], 16)
        page = _PAGE_NUMBERS.get(page_name)
        if page is None and re.fullmatch("0x[0-9A-F]{2}", page_name):
            page = int(page_name, 16)
        if page is not None and 0x05 <= token <= 0x3F:
            return page, token
    raise WbxmlError(f"`{name}` is in no code page; use a `Page:Tag` of MS-ASWBXML")


def _string(element: Element) -> bytes:
    text = element.text or ""
    if "\0" in text:
        raise WbxmlError(f"the text of `{element.name}` has a NUL in it; use opaque bytes")
    try:
        return bytes((STR_I,)) + text.encode() + b"\0"
    except UnicodeEncodeError:
        raise WbxmlError(f"the text of `{element.name}` cannot be written as UTF-8") from None


def _length(number: int) -> bytes:
    """A mb_u_int32."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))

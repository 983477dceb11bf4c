"""From bytes to an element: the subset of WBXML 1.3 that MS-ASWBXML allows, and nothing besides.

A document is the header `03 01 6A 00` (version 1.3, unknown public id, UTF-8, no string table) and one element. An
element is an optional SWITCH_PAGE, a tag byte (`0x40`: content follows) and, with content, one STR_I, or one OPAQUE, or
elements, and END. The page that SWITCH_PAGE chose holds until the next one, across END too. It may also stand before a
value or an END, where it means the same to every reader that was compared (libwbxml, and so SOGo).

What a server behind us might read in another way than we do is refused here: string tables, entities, literals,
attributes, processing instructions, mixed or repeated content, two SWITCH_PAGEs in a row, bytes after the root element.

A token that no table knows is *not* refused inside a document: its element is called `Settings:0x2C` (page and token,
`0x1A:0x05` on an unknown page). It has no meaning for anybody here, so it can change no decision; but a phone of next
year that says more about itself than we know must not be locked out for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.wire.wbxml.codepages import NAMES, PAGES
from gatepost.wire.wbxml.element import Element, WbxmlError

HEADER = b"\x03\x01\x6a\x00"
SWITCH_PAGE, END, STR_I, OPAQUE = 0x00, 0x01, 0x03, 0xC3
_FIRST_TAG, _CONTENT, _ATTRIBUTES, _TOKEN = 0x05, 0x40, 0x80, 0x3F

ROOT_LENGTH = 7
"""So many bytes of a body are always enough for `root`: header, SWITCH_PAGE with its page, tag."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a document may be before it is refused: bytes in all, nesting, elements, bytes in one value."""

    size: int
    depth: int
    elements: int
    value: int


IDENTITY = Limits(size=256 * 1024, depth=32, elements=4096, value=64 * 1024)
"""Enough for Provision and Settings, the two commands in which a phone says who it is (real ones: under 2 KiB; an
out-of-office text may be long). Phones nest at most 8 deep."""


def name_of(page: int, token: int) -> str:
    """`Page:Tag`, with hexadecimal numbers where the tables have no name."""
    known = NAMES.get(page << 8 | token)
    if known is not None:
        return known
    return f"{PAGES.get(page) or f'0x{page:02X}'}:0x{token:02X}"


def root(prefix: bytes) -> str:
    """The name of the root element, from the first bytes alone (`ROOT_LENGTH` of them suffice).

    Raises WbxmlError for anything that is not the beginning of a document that `decode` could accept.
    """
    if prefix[:4] != HEADER:
        raise WbxmlError("the body does not begin with the WBXML header 03016a00")
    try:
        tag = prefix[4]
        if tag != SWITCH_PAGE:
            return _tag_name(0, tag)
        return _tag_name(prefix[5], prefix[6])
    except IndexError:
        raise WbxmlError("the body ends before its root element") from None


def _tag_name(page: int, tag: int) -> str:
    token = tag & _TOKEN
    if tag & _ATTRIBUTES or token < _FIRST_TAG:
        raise WbxmlError(f"byte 0x{tag:02x} where a tag was expected")
    return name_of(page, token)


def decode(data: bytes, limits: Limits = IDENTITY) -> Element:
    """The document in `data`, which must be all of it; raises WbxmlError, and nothing else."""
    if len(data) > limits.size:
        raise WbxmlError(f"the body has {len(data)} bytes, more than the {limits.size} that are read")
    if data[:4] != HEADER:
        raise WbxmlError("the body does not begin with the WBXML header 03016a00")
    try:
        return _Decoder(data, limits).document()
    except IndexError:
        raise WbxmlError("the body ends in the middle of an element") from None


@dataclass(slots=True)
class _Open:
    """An element whose END has not come yet."""

    name: str
    children: list[Element] = field(default_factory=list)
    value: str | bytes | None = None

    def close(self) -> Element:
        if isinstance(self.value, str):
            return Element(self.name, text=self.value)
        return Element(self.name, tuple(self.children), opaque=self.value)


class _Decoder:
    """Reads one document; an IndexError out of it means that the bytes ended too early."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._at = len(HEADER)
        self._page = 0
        self._elements = 0

    def document(self) -> Element:
        """The root element; nothing may follow it."""
        stack: list[_Open] = []
        while True:
            closed = self._step(stack)
            if closed is None:
                continue
            if stack:
                stack[-1].children.append(closed)
                continue
            if self._at != len(self._data):
                raise WbxmlError(f"{len(self._data) - self._at} bytes follow the root element")
            return closed

    def _step(self, stack: list[_Open]) -> Element | None:
        """Read one tag, value or END; answer the element that ended with it, if one did."""
        byte = self._byte()
        if byte == SWITCH_PAGE:
            self._page = self._byte()
            byte = self._byte()
            if byte == SWITCH_PAGE:
                raise WbxmlError("two SWITCH_PAGE in a row")
        if byte == END:
            if not stack:
                raise WbxmlError("END without an open element")
            return stack.pop().close()
        if byte in (STR_I, OPAQUE):
            if not stack:
                raise WbxmlError("a value outside of the root element")
            self._take_value(stack[-1], byte)
            return None
        return self._take_tag(stack, byte)

    def _take_tag(self, stack: list[_Open], tag: int) -> Element | None:
        name = _tag_name(self._page, tag)
        self._elements += 1
        if self._elements > self._limits.elements:
            raise WbxmlError(f"more than {self._limits.elements} elements")
        if stack and stack[-1].value is not None:
            raise WbxmlError(f"`{stack[-1].name}` mixes a value with elements")
        if not tag & _CONTENT:
            return Element(name)
        if len(stack) >= self._limits.depth:
            raise WbxmlError(f"elements nested deeper than {self._limits.depth}")
        stack.append(_Open(name))
        return None

    def _take_value(self, element: _Open, token: int) -> None:
        if element.value is not None or element.children:
            raise WbxmlError(f"`{element.name}` has more than one value")
        if token == OPAQUE:
            element.value = self._opaque()
        else:
            element.value = self._string()

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _string(self) -> str:
        end = self._data.find(0, self._at)
        if end < 0:
            raise WbxmlError("a string without its end")
        raw = self._data[self._at : end]
        self._check_value(len(raw))
        self._at = end + 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise WbxmlError("a string that is not UTF-8") from None

    def _opaque(self) -> bytes:
        length = self._length()
        self._check_value(length)
        end = self._at + length
        if end > len(self._data):
            raise WbxmlError("opaque bytes that go beyond the body")
        raw = self._data[self._at : end]
        self._at = end
        return raw

    def _length(self) -> int:
        """A mb_u_int32: seven bits a byte, most significant first, `0x80` on all but the last, at most 32 bits."""
        length = 0
        for count in range(5):
            byte = self._byte()
            if count == 0 and byte == 0x80:
                raise WbxmlError("a length with leading zeros")
            length = length << 7 | byte & 0x7F
            if not byte & 0x80:
                if length > 0xFFFFFFFF:
                    break
                return length
        raise WbxmlError("a length of more than 32 bits")

    def _check_value(self, length: int) -> None:
        if length > self._limits.value:
            raise WbxmlError(f"a value of {length} bytes, more than the {self._limits.value} that are read")

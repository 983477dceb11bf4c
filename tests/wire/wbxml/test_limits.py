"""Documents that were made to cost something: time stays in proportion to their size, memory within a bound."""

import contextlib
import gc
import time
import tracemalloc

import pytest

from gatepost.wire.wbxml import IDENTITY, Element, Limits, WbxmlError, decode, encode, root
from gatepost.wire.wbxml.decode import HEADER

WIDE = Limits(size=1 << 26, depth=1 << 26, elements=1 << 26, value=1 << 26)
LARGEST = IDENTITY.size


def refused(document: bytes, limits: Limits = IDENTITY) -> str:
    with pytest.raises(WbxmlError) as told:
        decode(document, limits)
    return str(told.value)


def seconds(document: bytes, limits: Limits) -> float:
    """Of processor time; the least of three, without that of looking through a whole test run's garbage."""
    spent = []
    gc.disable()
    try:
        for _ in range(3):
            began = time.process_time()
            with contextlib.suppress(WbxmlError):
                decode(document, limits)
            spent.append(time.process_time() - began)
    finally:
        gc.enable()
    return min(spent)


def memory(document: bytes, limits: Limits = IDENTITY) -> int:
    """Bytes that reading took at most, besides the document."""
    tracemalloc.start()
    try:
        decode(document, limits)
    except WbxmlError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def filled(piece: bytes, *, start: bytes = b"\x45", end: bytes = b"\x01", size: int = LARGEST) -> bytes:
    """A document of about `size` bytes that is nearly all `piece`."""
    return HEADER + start + piece * ((size - len(HEADER) - len(start) - len(end)) // len(piece)) + end


# What fills a document, and what is said to it within the limits for documents that are read whole.
HOSTILE = {
    "empty elements": (filled(b"\x05"), "more than 4096 elements"),
    "elements with a text": (filled(b"\x45\x03a\x00\x01"), "more than 4096 elements"),
    "elements with an empty text": (filled(b"\x45\x03\x00\x01"), "more than 4096 elements"),
    "elements with empty opaque bytes": (filled(b"\x45\xc3\x00\x01"), "more than 4096 elements"),
    "elements in ever other pages": (filled(b"\x00\x07\x05\x00\x12\x05"), "more than 4096 elements"),
    "open elements": (filled(b"\x45", end=b""), "nested deeper than 32"),
    "open and closed elements": (filled(b"\x45" * 30 + b"\x01" * 30), "more than 4096 elements"),
    "ends": (filled(b"\x01"), "bytes follow the root element"),
    "pages": (filled(b"\x00\x07"), "two SWITCH_PAGE in a row"),
    "one text": (filled(b"a", start=b"\x45\x03", end=b"\x00\x01"), "a value of 26213"),
    "a text without an end": (filled(b"a", start=b"\x45\x03", end=b""), "a string without its end"),
    "texts": (filled(b"\x03a\x00"), "more than one value"),
    "opaque bytes": (filled(b"a", start=b"\x45\xc3\x8f\xff\x6f", end=b"\x01"), "a value of 262127 bytes"),
    "unknown tokens": (filled(b"\x2c", start=b"\x00\x12\x45"), "more than 4096 elements"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_once(name):
    document, sentence = HOSTILE[name]
    assert len(document) <= LARGEST
    assert sentence in refused(document)
    # 4096 elements of about 100 bytes each are the most that is ever built; of a text, its bytes
    assert memory(document) < 1 << 20


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_in_proportion_to_size_whatever_the_limits(name):
    """Six times the document takes six times as long, or twice that where caches end; squared it would be 36 times."""
    document, _ = HOSTILE[name]
    for _ in range(5):  # a machine that is busy with other things has its moments
        small, large = (seconds(document[: LARGEST // part], WIDE) for part in (24, 4))
        if large < 14 * small + 0.002:
            return
    pytest.fail(f"{small:.6f} s for a sixth, {large:.6f} s for the whole")


def test_a_million_elements_where_they_are_allowed():
    document = filled(b"\x05", size=1_000_006)
    assert len(decode(document, WIDE).children) == 1_000_000
    tenth = filled(b"\x05", size=100_006)
    assert memory(tenth, WIDE) < 150 * len(tenth)


def test_a_document_as_deep_as_it_is_long():
    """Neither reading nor writing nor throwing away goes down by recursion."""
    depth = 100_000
    document = HEADER + b"\x45" * (depth - 1) + b"\x05" + b"\x01" * (depth - 1)
    read = decode(document, WIDE)
    assert read.children[0].children[0].name == "AirSync:Sync"
    assert encode(read) == document
    assert "nested deeper than 32" in refused(document)


@pytest.mark.parametrize(
    "length", ["ffffffff7f", "8fffffff7f", "8f80808000", "908080808000", "8080808001", "ffffffffffffffffff7f"]
)
def test_a_length_that_lies_reserves_nothing(length):
    document = HEADER + b"\x45\xc3" + bytes.fromhex(length) + b"abc\x01"
    refused(document)
    refused(document, WIDE)
    assert memory(document, WIDE) < 1 << 16


@pytest.mark.parametrize(
    ("length", "sentence"),
    [
        ("8fffffff7f", "a value of 4294967295 bytes"),  # the largest that 32 bits hold
        ("9080808000", "32 bits"),  # one more
        ("ffffffff7f", "32 bits"),
        ("ffffffffff7f", "32 bits"),
        ("8080808000", "leading zeros"),
        ("80", "leading zeros"),
        ("ff", "in the middle"),
        ("ffffffff", "in the middle"),
    ],
)
def test_lengths_at_the_edge_of_32_bits(length, sentence):
    assert sentence in refused(HEADER + b"\x45\xc3" + bytes.fromhex(length))


def test_each_limit_of_documents_that_are_read_whole_is_exact():
    def with_elements(count: int) -> bytes:
        return filled(b"\x05", size=len(HEADER) + 1 + count)

    assert len(decode(with_elements(IDENTITY.elements)).children) == IDENTITY.elements - 1
    assert "more than 4096 elements" in refused(with_elements(IDENTITY.elements + 1))
    text = "é" * (IDENTITY.value // 2)
    assert decode(encode(Element("Settings:OofMessage", text=text))).text == text
    assert "a value of 65537 bytes" in refused(encode(Element("Settings:OofMessage", text=text + "a")))
    opaque = bytes(IDENTITY.value)
    assert decode(encode(Element("ComposeMail:Mime", opaque=opaque))).opaque == opaque
    assert "a value of 65537 bytes" in refused(encode(Element("ComposeMail:Mime", opaque=opaque + b"a")))
    deepest = HEADER + b"\x45" * IDENTITY.depth + b"\x01" * IDENTITY.depth
    assert decode(deepest)
    assert "nested deeper than 32" in refused(HEADER + b"\x45" * 33 + b"\x01" * 33)
    three = Element("AirSync:Sync", tuple(Element("AirSync:Add", opaque=bytes(65_000)) for _ in range(4)))
    whole = encode(three)
    assert len(whole) < IDENTITY.size
    assert decode(whole) == three
    assert "262145 bytes, more than the 262144" in refused(whole + bytes(IDENTITY.size + 1 - len(whole)))


def test_the_root_of_a_document_of_any_size_costs_nothing():
    document = memoryview(filled(b"\x05", size=1 << 24))
    began = time.process_time()
    for _ in range(1000):
        root(bytes(document[:7]))
    assert time.process_time() - began < 0.5

"""Our codec against libwbxml's programs: all tables, generated documents in both directions, and changed documents."""

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.libwbxml import (
    BINARY,
    MISSING_PROGRAM,
    RENAMED,
    UNKNOWN_HERE,
    UNKNOWN_THERE,
    Node,
    Refused,
    came_back,
    name_there,
    node_of,
    read_xml,
    takes_for_syncml,
    wbxml2xml,
    write_xml,
    xml2wbxml,
)
from tests.support.needs import need
from tests.wire.wbxml.test_decode import ACKNOWLEDGEMENT, FIRST, POLICY

from gatepost.wire.wbxml import Element, WbxmlError, decode, encode
from gatepost.wire.wbxml.codepages import NAMES
from gatepost.wire.wbxml.decode import name_of


@pytest.fixture(autouse=True, scope="module")
def _programs():
    need("the tests against libwbxml need Debian's libwbxml2-utils" if MISSING_PROGRAM else None)


ALL_TOKENS = [(page, token) for page in range(27) for token in range(0x05, 0x40)]
generated = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# -- the tables


def read_there(document: bytes) -> Node:
    return read_xml(wbxml2xml(document))


def test_every_token_of_every_page_has_the_same_name_but_for_the_listed_ones():
    # all of them in one document, page by page
    tags = (bytes((0, page, *range(0x05, 0x40))) for page in range(27))
    read = read_there(b"\x03\x01\x6a\x00\x45" + b"".join(tags) + b"\x01")
    differences = {}
    for (page, token), there in zip(ALL_TOKENS, read.children, strict=True):
        here = name_of(page, token)
        if here != there.name and not (there.name == "unknown" and page << 8 | token not in NAMES):
            differences[here] = there.name
    assert differences == RENAMED | UNKNOWN_HERE | dict.fromkeys(UNKNOWN_THERE, "unknown")


def test_every_name_that_it_knows_is_written_with_our_token():
    known = [Element(name) for name in NAMES.values() if name not in UNKNOWN_THERE]
    known += [Element(name) for name in UNKNOWN_HERE]
    document = Element("AirSync:Sync", tuple(known))
    assert xml2wbxml(write_xml(node_of(document))) == encode(document)


def test_the_elements_that_it_takes_for_bytes_are_the_listed_ones():
    names = sorted({*NAMES.values(), *UNKNOWN_HERE} - UNKNOWN_THERE)
    document = Element("AirSync:Sync", tuple(Element(name, opaque=b"abc") for name in names))
    read = read_there(encode(document))
    assert {name for name, there in zip(names, read.children, strict=True) if there.value == b"YWJj"} == BINARY


# -- generated documents

names = st.sampled_from(sorted(NAMES.values()))
names_of_both = st.sampled_from(sorted({*NAMES.values(), *UNKNOWN_HERE} - UNKNOWN_THERE))
names_of_nobody = st.sampled_from(["Settings:0x2D", "0x1A:0x05", "0xFF:0x3F"])
any_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
# XML 1.0 has no control characters but these three, and neither of the last two code points of the plane
xml_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r"),
    max_size=40,
)

# lengths of one, two and three bytes
any_bytes = st.binary(max_size=60) | st.builds(
    lambda n, byte: bytes((byte,)) * n, st.sampled_from([127, 128, 300, 16_400]), st.integers(0, 255)
)


def documents(names, texts, opaques):
    leaves = st.one_of(
        st.builds(Element, names),
        st.builds(lambda name, text: Element(name, text=text), names, texts),
        st.builds(lambda name, opaque: Element(name, opaque=opaque), *opaques),
    )
    return st.recursive(
        leaves,
        lambda inner: st.builds(lambda name, below: Element(name, tuple(below)), names, st.lists(inner, max_size=5)),
        max_leaves=25,
    ).filter(lambda document: not takes_for_syncml(document))


@generated
@given(documents(names | names_of_both | names_of_nobody, any_text, (names, any_bytes)))
@example(decode(POLICY))
@example(decode(FIRST))
def test_what_we_write_is_read_there_as_the_same_document(document):
    assert read_there(encode(document)) == node_of(document)


@generated
@given(documents(names_of_both, xml_text, (st.sampled_from(sorted(BINARY)), any_bytes)))
@example(decode(POLICY))
@example(decode(ACKNOWLEDGEMENT))
def test_what_is_written_there_we_read_as_the_same_document_and_write_with_the_same_bytes(document):
    written = xml2wbxml(write_xml(node_of(document)))
    assert decode(written) == came_back(document)
    assert encode(came_back(document)) == written


# -- documents that nobody's encoder wrote

_SPOILED = (
    b"\x00\x00",
    b"\x00\x07",
    b"\x00\x12",
    b"\x01",
    b"\x03a\x00",
    b"\xc3\x01a",
    b"\x45",
    b"\x05",
    b"\xc3\x81\x00",
)


@st.composite
def changed_documents(draw):
    """A document of a real client with bytes changed, left out or put in: tokens rather than noise."""
    document = bytearray(draw(st.sampled_from([POLICY, ACKNOWLEDGEMENT, FIRST])))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(4, len(document)))
        document[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from(_SPOILED) | st.binary(max_size=2))
    return bytes(document)


@generated
@given(changed_documents())
@example(bytes.fromhex("03016a00450007010001"))
@example(bytes.fromhex("03016a0045000101"))
@example(bytes.fromhex("03016a004500120361000101"))
@example(bytes.fromhex("03016a0000ff4506000b0b01"))
def test_whatever_we_accept_is_read_there_in_the_same_way(document):
    """Servers read with libwbxml (SOGo) or alike: what we let through must not mean something else to them."""
    try:
        here = decode(document)
    except WbxmlError:
        return
    if not takes_for_syncml(here):
        assert read_there(document) == node_of(here)


def test_data_two_levels_below_add_is_taken_for_a_card_of_syncml():
    data = Element("AirSyncBase:Data", text="a\nb")
    document = Element("AirSync:Add", (Element("AirSync:ApplicationData", (data,)),))
    assert takes_for_syncml(document)
    assert b"<![CDATA[a\nb]]>" in wbxml2xml(encode(document))
    read = decode(xml2wbxml(write_xml(node_of(document))))
    assert read.children[0].children[0] == Element("AirSyncBase:Data", opaque=b"a\r\nb")
    deeper = Element("AirSync:Add", (Element("AirSync:ApplicationData", (Element("AirSyncBase:Body", (data,)),)),))
    assert not takes_for_syncml(deeper)
    assert read_there(encode(deeper)) == node_of(deeper)
    assert decode(xml2wbxml(write_xml(node_of(deeper)))) == deeper


# -- what we refuse and it does not, each a choice of ours (see gatepost.wire.wbxml.decode)


@pytest.mark.parametrize(
    ("document", "there"),
    [
        ("03016a0005ff", Node("AirSync:Sync")),  # bytes after the root element: it does not look at them
        ("03016a00450361000362000101", Node("AirSync:Sync", value=b"ab")),  # two values: joined
        ("03016a0045036100050101", None),  # mixed content
        ("03016a00000700070501", None),  # two SWITCH_PAGE in a row
        ("03016a0045c38001610101", Node("AirSync:Sync", value=b"a")),  # a length with leading zeros
        ("03016a004504000101", None),  # LITERAL, with no string table that it could come from
        ("02016a0005", Node("AirSync:Sync")),  # WBXML 1.2
        ("03056a0005", None),  # a public id; ours is the one without
    ],
)
def test_what_we_refuse_beyond_it(document, there):
    data = bytes.fromhex(document)
    with pytest.raises(WbxmlError):
        decode(data)
    if there is not None:
        assert read_there(data) == there


@pytest.mark.parametrize("document", ["", "03016a00", "03016a0045", "03016a00450331"])
def test_what_both_refuse(document):
    with pytest.raises(WbxmlError):
        decode(bytes.fromhex(document))
    with pytest.raises(Refused):
        wbxml2xml(bytes.fromhex(document))


def test_names_map_to_names():
    assert all(re.fullmatch(r"unknown|\w+:[\w-]+", name_there(name)) for name in NAMES.values())

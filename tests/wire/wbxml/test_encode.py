"""What is written is read back as the same element; what cannot be written is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.wbxml import Element, Limits, WbxmlError, decode, encode
from gatepost.wire.wbxml.codepages import TOKENS

LARGE = Limits(size=10**6, depth=64, elements=10_000, value=10**6)

names = st.sampled_from(sorted(TOKENS)) | st.sampled_from(["Settings:0x2D", "0x1A:0x05", "0xFF:0x3F", "0x03:0x10"])
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
leaves = st.one_of(
    st.builds(Element, names),
    st.builds(lambda name, text: Element(name, text=text), names, texts),
    st.builds(lambda name, opaque: Element(name, opaque=opaque), names, st.binary(max_size=300)),
)
elements = st.recursive(
    leaves,
    lambda inner: st.builds(lambda name, below: Element(name, tuple(below)), names, st.lists(inner, max_size=4)),
    max_leaves=15,
)


@given(elements)
def test_written_and_read_again_is_the_same(element):
    assert decode(encode(element), LARGE) == element


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16383, 16384, 200_000])
def test_opaque_bytes_of_each_length_of_length(length):
    element = Element("ComposeMail:Mime", opaque=b"\x01" * length)
    assert decode(encode(element), LARGE) == element


@pytest.mark.parametrize(
    "name", ["Sync", "AirSync:Nonsense", "Settings:0x04", "Settings:0x40", "Nowhere:0x05", "0xGG:0x05"]
)
def test_names_of_no_code_page_are_refused(name):
    with pytest.raises(WbxmlError, match="in no code page"):
        encode(Element(name))


def test_texts_that_wbxml_cannot_carry_are_refused():
    with pytest.raises(WbxmlError, match="NUL"):
        encode(Element("Settings:Model", text="a\0b"))
    with pytest.raises(WbxmlError, match="UTF-8"):
        encode(Element("Settings:Model", text="\ud800"))

"""Parse it or raise our own error, nothing else: whole, byte by byte, and with any byte changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.wbxml import ROOT_LENGTH, Element, Limits, WbxmlError, decode, encode, root
from gatepost.wire.wbxml.codepages import NAMES

# phase-1 answer of Provision with two settings; phase-2 request; a phone's first Provision request with its facts
POLICY = bytes.fromhex(
    "03016a00000e45001256460331000101000e4b03310001464748034d532d4541532d50726f766973696f6e696e672d5742584d4c00014b"
    "0331000149033133303731393935383400014a4d4e033100014f0330000154033600010101010101"
)
ACKNOWLEDGEMENT = bytes.fromhex(
    "03016a00000e45464748034d532d4541532d50726f766973696f6e696e672d5742584d4c000149033133303731393935383400014b03310001010101"
)
FIRST = (
    bytes.fromhex("03016a00000e450012564857")
    + b"\x03iPhone14,5\x00\x01\x5a\x03iOS 17.5 21F79\x00\x01\x01\x01\x00\x0e\x46\x47\x48\x03MS-EAS-Provisioning-WBXML\x00"
    + b"\x01\x01\x01\x01"
)


def test_a_policy_reads_as_the_specification_prints_it():
    policy = decode(POLICY).find("Provision:Policies", "Provision:Policy")
    assert policy is not None
    assert policy.text_at("Provision:PolicyKey") == "1307199584"
    document = policy.find("Provision:Data", "Provision:EASProvisionDoc")
    assert document is not None
    assert [(child.name, child.text) for child in document.children] == [
        ("Provision:DevicePasswordEnabled", "1"),
        ("Provision:AlphanumericDevicePasswordRequired", "0"),
        ("Provision:MinDevicePasswordLength", "6"),
    ]


@pytest.mark.parametrize("document", [POLICY, ACKNOWLEDGEMENT, FIRST])
def test_documents_of_real_servers_and_phones_are_written_back_byte_for_byte(document):
    assert encode(decode(document)) == document


def test_the_page_survives_an_end():
    read = decode(FIRST)
    assert read.text_at("Settings:DeviceInformation", "Settings:Set", "Settings:OS") == "iOS 17.5 21F79"
    assert read.find("Provision:Policies", "Provision:Policy") is not None


def test_unknown_tokens_have_a_name_and_no_meaning():
    read = decode(bytes.fromhex("03016a0000126d031100 01".replace(" ", "")).replace(b"\x11", b"x"))
    assert read == Element("Settings:0x2D", text="x")
    assert decode(bytes.fromhex("03016a00001a05")) == Element("0x1A:0x05")


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("", "header"),
        ("03016a", "header"),
        ("02016a0005", "header"),
        ("03016a0161", "header"),
        ("03006a0005", "header"),
        ("03016a00", "ends in the middle"),
        ("03016a0000", "ends in the middle"),
        ("03016a000000000005", "two SWITCH_PAGE"),
        ("03016a00000e000e05", "two SWITCH_PAGE"),
        ("03016a0045", "ends in the middle"),
        ("03016a00450331", "string without its end"),
        ("03016a004503ff000101", "not UTF-8"),
        ("03016a0045c30301", "beyond the body"),
        ("03016a0045c3800101", "leading zeros"),
        ("03016a0045c3ffffffffff0101", "32 bits"),
        ("03016a0045c39080808000", "32 bits"),
        ("03016a00450331000331000101", "more than one value"),
        ("03016a0045033100050101", "mixes"),
        ("03016a004505033100", "more than one value"),
        ("03016a000505", "1 bytes follow"),
        ("03016a0001", "END without"),
        ("03016a000331000101", "outside of the root"),
        ("03016a0085", "where a tag was expected"),
        ("03016a0002", "where a tag was expected"),
        ("03016a0004", "where a tag was expected"),
        ("03016a00450401", "where a tag was expected"),
        ("03016a0045430101", "where a tag was expected"),
        ("03016a0045c4000101", "where a tag was expected"),
        ("03016a0045830001", "where a tag was expected"),
    ],
)
def test_everything_else_is_refused(document, sentence):
    with pytest.raises(WbxmlError, match=sentence):
        decode(bytes.fromhex(document))


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(size=10, depth=9, elements=99, value=99), "more than the 10 that are read"),
        (Limits(size=999, depth=3, elements=99, value=99), "nested deeper than 3"),
        (Limits(size=999, depth=9, elements=5, value=99), "more than 5 elements"),
        (Limits(size=999, depth=9, elements=99, value=12), "a value of 14 bytes"),
    ],
)
def test_each_limit_is_kept(limits, sentence):
    with pytest.raises(WbxmlError, match=sentence):
        decode(FIRST, limits)


def test_the_limits_are_exact():
    assert decode(FIRST, Limits(size=len(FIRST), depth=4, elements=8, value=25))
    assert decode(encode(Element("Ping:Ping", opaque=b"12345")), Limits(99, 9, 9, 5))
    with pytest.raises(WbxmlError, match="a value of 6 bytes"):
        decode(encode(Element("Ping:Ping", opaque=b"123456")), Limits(99, 9, 9, 5))


def test_a_deep_document_costs_no_recursion():
    with pytest.raises(WbxmlError, match="nested deeper"):
        decode(b"\x03\x01\x6a\x00" + b"\x45" * 100_000, Limits(10**6, 50_000, 10**6, 1))


def test_the_root_is_known_from_seven_bytes():
    for token, name in NAMES.items():
        page, tag = token >> 8, token & 0xFF
        for content in (0, 0x40):
            assert root(bytes((3, 1, 0x6A, 0, 0, page, tag | content))) == name
        assert decode(bytes((3, 1, 0x6A, 0, 0, page, tag))) == Element(name)


def test_page_zero_needs_no_switch():
    assert root(bytes.fromhex("03016a0045")) == "AirSync:Sync"
    assert root(bytes.fromhex("03016a00000045")) == "AirSync:Sync"


@pytest.mark.parametrize("prefix", ["", "03016a00", "03016a0000", "03016a000007"])
def test_a_root_that_has_not_come_yet_is_an_error(prefix):
    with pytest.raises(WbxmlError):
        root(bytes.fromhex(prefix))


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"\x03\x01\x6a\x00" + tail))
def test_any_bytes_are_read_or_refused_and_the_root_agrees(data):
    try:
        read = decode(data)
    except WbxmlError:
        try:
            root(data)
        except WbxmlError:
            return
        return
    assert root(data[:ROOT_LENGTH]) == read.name
    assert decode(encode(read)) == read


@given(st.sampled_from([POLICY, ACKNOWLEDGEMENT, FIRST]), st.data())
def test_a_changed_document_is_read_or_refused(document, data):
    at = data.draw(st.integers(0, len(document) - 1))
    changed = document[:at] + bytes((data.draw(st.integers(0, 255)),)) + document[at + 1 :]
    try:
        read = decode(changed)
    except WbxmlError:
        return
    assert root(changed[:ROOT_LENGTH]) == read.name


@pytest.mark.parametrize("document", [POLICY, ACKNOWLEDGEMENT, FIRST])
def test_no_document_is_read_before_its_last_byte(document):
    for end in range(len(document)):
        with pytest.raises(WbxmlError):
            decode(document[:end])
        if end < ROOT_LENGTH:
            with pytest.raises(WbxmlError):
                root(document[:end])
        else:
            assert root(document[:end]) == "Provision:Provision"

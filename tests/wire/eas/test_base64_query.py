"""The base64 form: vectors of the specification and of a real client, and what breaks it."""

from base64 import b64encode

import pytest

from gatepost.wire.eas.base64_query import parse_base64, render_base64
from gatepost.wire.eas.query import MalformedRequest, UnknownCommand

HEAD = bytes((141, 0, 9, 4))
TAIL = b"\x00\x06iPhone"


def parse(raw: bytes):
    return parse_base64(b64encode(raw))


def test_the_example_of_the_specification():
    request = parse_base64(b"jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l")
    assert (request.protocol_version, request.command, request.locale) == ("14.0", "Sync", 0x0409)
    assert (request.device_id, request.sent_device_id) == ("V140DEVICE", b"v140Device")
    assert request.device_ids == ("V140DEVICE", "76313430446576696365")
    assert (request.policy_key, request.device_type, request.user) == (None, "SmartPhone", None)
    assert render_base64(request) == b"jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l"


def test_a_real_client():
    request = parse_base64(b"jQAJBBBOaW5lMzQyQkEzRjNFNkM2BAAAAAAHQW5kcm9pZAcBAA==")
    assert (request.protocol_version, request.policy_key, request.device_type) == ("14.1", 0, "Android")
    assert request.device_ids == ("NINE342BA3F3E6C6", "4E696E65333432424133463345364336")
    assert request.parameters == ()


@pytest.mark.parametrize(
    "written", [b"jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l", b"jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l=="]
)
def test_padding_is_repaired(written):
    assert parse_base64(written).device_id == "V140DEVICE"


def test_padding_may_be_missing_or_percent_encoded():
    nine = b"jQAJBBBOaW5lMzQyQkEzRjNFNkM2BAAAAAAHQW5kcm9pZAcBAA"
    assert parse_base64(nine) == parse_base64(nine + b"==") == parse_base64(nine + b"%3D%3d")


def test_a_guid_is_known_in_hexadecimal_only():
    guid = bytes(range(0xF0, 0x100))
    request = parse(HEAD + b"\x10" + guid + TAIL)
    assert request.device_ids == ("F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF",)
    assert request.sent_device_id == guid
    assert parse_base64(render_base64(request)) == request


def test_a_long_text_has_no_hexadecimal_form():
    assert parse(HEAD + b"\x1a" + b"6apmekphcp2nd42vij4br8ecdo" + TAIL).device_ids == ("6APMEKPHCP2ND42VIJ4BR8ECDO",)


def test_the_policy_key_is_little_endian():
    request = parse(HEAD + b"\x01a\x04\x20\x20\xea\x4d\x06iPhone")
    assert request.policy_key == 0x4DEA2020


def test_parameters():
    raw = HEAD + b"\x01a" + TAIL + b"\x08\x05alice\x07\x01\x03\x03\x033:9\x01\x015"
    request = parse(raw)
    assert request.user == "alice"
    assert request.parameters == (
        ("CollectionId", "5"),
        ("ItemId", "3:9"),
        ("SaveInSent", "T"),
        ("AcceptMultiPart", "T"),
    )
    assert parse_base64(render_base64(request)) == request


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "ends in the middle"),
        (b"\x19" + HEAD[1:] + b"\x01a" + TAIL, "no known protocol version"),
        (HEAD + b"\x00" + TAIL, "neither 1 to 32"),
        (HEAD + b"\x21" + b"a" * 33 + TAIL, "neither 1 to 32"),
        (HEAD + b"\x11" + b"\x01" * 17 + TAIL, "neither 1 to 32"),
        (HEAD + b"\x01a\x02\x00\x00\x06iPhone", "neither 0 nor 4"),
        (HEAD + b"\x01a\x00\x00", "`DeviceType` is not"),
        (HEAD + b"\x01a\x00\x01\xe4", "`DeviceType` is not"),
        (HEAD + b"\x01a\x00\x07iPhone", "ends in the middle"),
        (HEAD + b"\x01a" + TAIL + b"\x09\x00", "not a parameter tag"),
        (HEAD + b"\x01a" + TAIL + b"\x02\x00", "not a parameter tag"),
        (HEAD + b"\x01a" + TAIL + b"\x01\x015\x01\x016", "`CollectionId` twice"),
        (HEAD + b"\x01a" + TAIL + b"\x07\x00", "not one byte"),
        (HEAD + b"\x01a" + TAIL + b"\x08\x01\n", "control character"),
        (HEAD + b"\x01a" + TAIL + b"\x08", "ends in the middle"),
    ],
)
def test_malformed(raw, sentence):
    with pytest.raises(MalformedRequest, match=sentence):
        parse(raw)


@pytest.mark.parametrize("code", [5, 8, 24, 255])
def test_unknown_commands(code):
    with pytest.raises(UnknownCommand, match="command code"):
        parse(bytes((141, code, 9, 4)) + b"\x01a" + TAIL)


@pytest.mark.parametrize("query", [b"", b"=", b"a", b"jAAJ_-", b"jAA!", b"Cmd=Sync", b"%4", b"jA AJ", b"jA=AJ"])
def test_what_is_not_base64(query):
    with pytest.raises(MalformedRequest):
        parse_base64(query)


def test_no_query_is_read_before_its_last_byte_but_at_the_end_of_a_parameter():
    raw = HEAD + b"\x01a" + TAIL + b"\x01\x015"
    for end in range(len(raw)):
        if end == len(raw) - 3:
            assert parse(raw[:end]).parameters == ()
        else:
            with pytest.raises(MalformedRequest):
                parse(raw[:end])

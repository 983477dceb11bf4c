"""The plain form, with the differences between real servers that it closes."""

import pytest

from gatepost.wire.eas.commands import COMMANDS
from gatepost.wire.eas.plain_query import parse_plain, render_plain, unescape
from gatepost.wire.eas.query import MalformedRequest, UnknownCommand

CORE = b"Cmd=Sync&User=alice&DeviceId=abc123&DeviceType=iPhone"


def parse(query: bytes, version: bytes | None = b"14.1", key: bytes | None = None):
    return parse_plain(query, version, key)


def test_the_order_of_ios_and_any_case_of_names_are_the_same_request():
    expected = parse(CORE)
    assert parse(b"User=alice&DeviceId=abc123&DeviceType=iPhone&Cmd=Sync") == expected
    assert parse(b"cmd=Sync&USER=alice&deviceid=abc123&DeViCeTyPe=iPhone") == expected
    assert parse(CORE.replace(b"Sync", b"sYNC")) == expected


def test_the_device_id_is_canonical_and_kept_as_sent():
    request = parse(CORE)
    assert (request.device_id, request.device_ids, request.sent_device_id) == ("ABC123", ("ABC123",), b"abc123")
    assert render_plain(request) == CORE


@pytest.mark.parametrize("name", [name.encode() for name in COMMANDS])
def test_each_command(name):
    assert parse(CORE.replace(b"Sync", name)).command == name.decode()


@pytest.mark.parametrize("command", [b"GetHierarchy", b"CreateCollection", b"OPTIONS", b"Synch", b"Sync%2f", b"1"])
def test_unknown_and_long_dead_commands(command):
    with pytest.raises(UnknownCommand, match="not a command"):
        parse(CORE.replace(b"Sync", command))


@pytest.mark.parametrize("name", ["Cmd", "User", "DeviceId", "DeviceType", "CollectionId", "SaveInSent"])
def test_nothing_is_there_twice_in_any_case(name):
    for again in (name, name.upper(), name.lower()):
        with pytest.raises(MalformedRequest, match=f"`{name}` twice"):
            parse(CORE + f"&CollectionId=5&SaveInSent=T&{again}=x".encode())


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (CORE.replace(b"Cmd=Sync&", b""), "no `Cmd`"),
        (CORE.replace(b"Cmd=Sync", b"Cmd="), "no `Cmd`"),
        (CORE.replace(b"&DeviceId=abc123", b""), "no `DeviceId`"),
        (CORE.replace(b"abc123", b""), "no `DeviceId`"),
        (CORE.replace(b"&DeviceType=iPhone", b""), "no `DeviceType`"),
        (CORE.replace(b"abc123", b"GO-OD"), "`DeviceId` is not 1 to 32"),
        (CORE.replace(b"abc123", b"a" * 33), "`DeviceId` is not 1 to 32"),
        (CORE.replace(b"abc123", "äbc".encode()), "`DeviceId` is not 1 to 32"),
        (CORE.replace(b"abc123", b"a%00"), "`DeviceId` is not 1 to 32"),
        (CORE.replace(b"alice", b"a%0Ab"), "control character"),
        (CORE.replace(b"alice", b"a" * 257), "more than 256"),
        (CORE.replace(b"iPhone", b"i" * 257), "1 to 256 ASCII"),
        (CORE.replace(b"iPhone", b"i%C3%A4"), "1 to 256 ASCII"),
        (CORE.replace(b"iPhone", b"i%E4"), "not UTF-8"),
        (CORE.replace(b"iPhone", b"i%C1%81"), "not UTF-8"),
        (CORE.replace(b"alice", b"alice%4"), "broken percent"),
        (CORE.replace(b"alice", b"%zz"), "broken percent"),
        (CORE.replace(b"alice", b"%"), "broken percent"),
        (CORE.replace(b"DeviceId", b"Device%49d"), "percent-encoded parameter name"),
        (CORE + b"&Device%49d=Other", "percent-encoded parameter name"),
        (CORE + b"&ItemId=" + b"x" * 1025, "`ItemId` has more than 1024"),
        (CORE + b"&", "neither"),
        (CORE + b"&=x", "neither"),
        (CORE + b"&DeviceId", "`DeviceId` twice"),
        (CORE + b"&jAAJBA==", "neither"),
        (CORE + b"&jAAJBA=", "neither"),
    ],
)
def test_malformed(query, sentence):
    with pytest.raises(MalformedRequest, match=sentence):
        parse(query)


def test_what_nobody_knows_is_dropped():
    assert parse(CORE + b"&PolicyKey=1307199584&x=1&x=2") == parse(CORE)


def test_command_parameters_come_in_one_order():
    request = parse(CORE + b"&saveinsent=T&ItemId=3%3a9&CollectionId=5&AcceptMultiPart=F&Occurrence=")
    assert request.parameters == (("CollectionId", "5"), ("ItemId", "3:9"), ("Occurrence", ""), ("SaveInSent", "T"))
    assert request.parameter("ItemId") == "3:9"
    assert request.parameter("AcceptMultiPart") is None
    assert render_plain(request) == CORE + b"&CollectionId=5&ItemId=3%3A9&Occurrence=&SaveInSent=T"


def test_the_user_is_a_claim_and_may_be_missing():
    for query in (CORE.replace(b"User=alice&", b""), CORE.replace(b"alice", b"")):
        request = parse(query + b"&ItemId=4")
        assert request.user is None
        assert request.parameter("ItemId") == "4"
        assert render_plain(request) == b"Cmd=Sync&DeviceId=abc123&DeviceType=iPhone&ItemId=4"


@pytest.mark.parametrize(
    ("written", "user", "rendered"),
    [
        (b"EXAMPLE%5calice", "EXAMPLE\\alice", b"EXAMPLE%5Calice"),
        (b"EXAMPLE\\alice", "EXAMPLE\\alice", b"EXAMPLE%5Calice"),
        (b"alice@example.com", "alice@example.com", b"alice%40example.com"),
        (b"a+b", "a+b", b"a%2Bb"),
        (b"a;DeviceId=x", "a;DeviceId=x", b"a%3BDeviceId%3Dx"),
        (b"m%FCller", "müller", b"m%C3%BCller"),
        ("müller".encode(), "müller", b"m%C3%BCller"),
    ],
)
def test_users(written, user, rendered):
    request = parse(CORE.replace(b"alice", written))
    assert request.user == user
    assert render_plain(request) == CORE.replace(b"alice", rendered)


@pytest.mark.parametrize("version", [b"2.5", b"12.0", b"12.1", b"14.0", b"14.1", b"16.0", b" 16.1 "])
def test_each_version(version):
    assert parse(CORE, version).protocol_version == version.decode().strip()


@pytest.mark.parametrize("version", [None, b"", b"99", b"14.2", b"14.1, 2.5", b"141"])
def test_other_versions_are_malformed(version):
    with pytest.raises(MalformedRequest, match=r"MS-ASProtocolVersion|not a protocol version"):
        parse(CORE, version)


@pytest.mark.parametrize(("header", "key"), [(None, None), (b"", None), (b"0", 0), (b" 1307199584", 1307199584)])
def test_policy_keys(header, key):
    assert parse(CORE, key=header).policy_key == key


@pytest.mark.parametrize("header", [b"-1", b"x", b"4294967296", b"00000000001", b"1 2", "²".encode()])
def test_other_policy_keys_are_malformed(header):
    with pytest.raises(MalformedRequest, match="X-MS-PolicyKey"):
        parse(CORE, key=header)


def test_unescape():
    assert unescape(b"plain") == b"plain"
    assert unescape(b"%41%2f%2F%ff") == b"A//\xff"

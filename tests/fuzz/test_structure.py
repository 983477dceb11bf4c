"""The other way round: what is put together from its parts is read as those parts, and in pieces as in one."""

from __future__ import annotations

import base64
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.fuzz.gateway_rig import Rig, basic, request_of
from tests.support.gateway import FOLDER_SYNC, PING, SYNC

from gatepost.wire.eas.commands import COMMANDS, VERSIONS
from gatepost.wire.eas.request import MalformedRequest, parse_query
from gatepost.wire.forwarded import nodes
from gatepost.wire.proxy_protocol import crc32c, read

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
device_ids = st.text(LETTERS, min_size=1, max_size=32)
device_types = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40)
texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


def unmapped(address):
    return getattr(address, "ipv4_mapped", None) or address


# -- the query


@st.composite
def written(draw, text: str) -> bytes:
    """`text` with some of its bytes percent-encoded that need not be."""
    encoded = []
    for byte in text.encode():
        plain = quote_from_bytes(bytes((byte,)), safe="").encode()
        encoded.append(draw(st.sampled_from([plain, b"%%%02X" % byte, b"%%%02x" % byte])))
    return b"".join(encoded)


@given(
    st.data(),
    st.sampled_from(sorted(COMMANDS)),
    texts,
    device_ids,
    device_types,
    st.sampled_from(VERSIONS),
    st.none() | st.integers(0, 0xFFFFFFFF),
)
def test_a_plain_query_is_read_as_its_parameters(data, command, user, device_id, device_type, version, key):
    pairs = {"Cmd": command, "User": user, "DeviceId": device_id, "DeviceType": device_type}
    parts = []
    for name in data.draw(st.permutations(list(pairs))):
        spelling = data.draw(st.sampled_from([name, name.lower(), name.upper()])).encode()
        parts.append(spelling + b"=" + data.draw(written(pairs[name])))
    request = parse_query(b"&".join(parts), version.encode(), None if key is None else b"%d" % key)
    assert (request.command, request.user, request.device_type) == (command, user, device_type)
    assert (request.device_id, request.sent_device_id) == (device_id.upper(), device_id.encode())
    assert (request.protocol_version, request.policy_key) == (version, key)
    twice = data.draw(st.sampled_from(parts))
    for doubled in (b"&".join([*parts, twice]), b"&".join([twice.swapcase(), *parts])):
        try:
            parse_query(doubled, version.encode(), None)
        except MalformedRequest:
            continue
        raise AssertionError(doubled)


@given(
    st.sampled_from(sorted(COMMANDS)),
    st.none() | texts,
    st.binary(min_size=1, max_size=16),
    device_types,
    st.sampled_from([("12.1", 121), ("14.0", 140), ("14.1", 141), ("16.0", 160), ("16.1", 161)]),
    st.none() | st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFF),
)
def test_a_base64_query_is_read_as_its_fields(command, user, device_id, device_type, version, key, locale):
    name, code = version
    fields = bytes((code, COMMANDS[command].code)) + locale.to_bytes(2, "little")
    for field in (device_id, b"" if key is None else key.to_bytes(4, "little"), device_type.encode()):
        fields += bytes((len(field),)) + field
    if user is not None:
        fields += bytes((8, len(user.encode()))) + user.encode()
    request = parse_query(base64.b64encode(fields), None, None)
    assert (request.command, request.user, request.device_type) == (command, user, device_type)
    assert (request.protocol_version, request.policy_key, request.locale) == (name, key, locale)
    assert device_id.hex().upper() in request.device_ids
    assert request.sent_device_id == device_id


# -- proxies


@given(addresses, addresses, st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=20))
def test_a_proxy_line_is_read_as_its_addresses(source, destination, from_port, to_port, after):
    kind = type(source)
    destination = kind(int(destination) % (1 << (32 if kind is IPv4Address else 128)))
    family = "TCP4" if kind is IPv4Address else "TCP6"
    line = f"PROXY {family} {source} {destination} {from_port} {to_port}\r\n".encode()
    assume("%" not in str(source) + str(destination))
    header = read(line + after)
    assert (header.source, header.length, header.local) == (unmapped(source), len(line), False)


@given(
    addresses,
    st.lists(st.tuples(st.sampled_from([1, 2, 4, 5, 0x20, 0x30, 0xEA]), st.binary(max_size=40))),
    st.booleans(),
)
def test_a_proxy_block_is_read_as_its_addresses(source, extensions, checksum):
    block = source.packed * 2 + b"\x00\x50\x01\xbb"
    block += b"".join(bytes((kind,)) + len(value).to_bytes(2, "big") + value for kind, value in extensions)
    if checksum:
        block += b"\x03\x00\x04" + bytes(4)
    family = 0x11 if isinstance(source, IPv4Address) else 0x21
    header = b"\r\n\r\n\x00\r\nQUIT\n" + bytes((0x21, family)) + len(block).to_bytes(2, "big") + block
    if checksum:
        header = header[:-4] + crc32c(header).to_bytes(4, "big")
    assert (read(header).source, read(header).length) == (unmapped(source), len(header))
    assert read(header[:-1]) is None


@given(st.lists(st.none() | addresses, min_size=1, max_size=8), st.data())
def test_forwarded_is_read_as_its_nodes(hops, data):
    elements = []
    for hop in hops:
        node = data.draw(st.sampled_from(["unknown", "_hidden"])) if hop is None else str(hop)
        port = data.draw(st.sampled_from(["", ":443", ":_x"]))
        if isinstance(hop, IPv6Address):
            node = f"[{node}]"
        quoted = port or "[" in node or data.draw(st.booleans())
        said = f'for="{node}{port}"' if quoted else f"for={node}"
        around = data.draw(st.sampled_from(["{}", "{};proto=https", 'by="_a, for=b";{}', "host=x;{}", " {} "]))
        elements.append(around.format(said))
    header = ",".join(elements).strip().encode()  # HTTP takes the white space around a value away
    assert nodes(header) == [None if hop is None else unmapped(hop) for hop in hops]


# -- HTTP

values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([("FolderSync", FOLDER_SYNC), ("Ping", PING), ("Sync", SYNC)]),
    device_ids,
    st.lists(st.tuples(st.sampled_from(["Accept", "Cookie", "X-Other", "Via", "Accept-Language"]), values), max_size=4),
    st.booleans(),
    st.data(),
)
def test_a_request_goes_on_as_its_parts_in_whatever_pieces_it_comes(command, device_id, others, chunked, data):
    name, body = command
    target = f"/Microsoft-Server-ActiveSync?Cmd={name}&User=alice&DeviceId={device_id}&DeviceType=iPhone"
    lines = [("Host", "eas.example.com"), ("Authorization", basic()), ("MS-ASProtocolVersion", "14.1"), *others]
    sent = body
    if chunked:
        cut = data.draw(st.integers(1, len(body) - 1))
        sent = b"".join(b"%X\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:])) + b"0\r\n\r\n"
        lines.append(("Transfer-Encoding", "chunked"))
    else:
        lines.append(("content-length", str(len(body))))
    head = "".join(f"{one}: {value}\r\n" for one, value in data.draw(st.permutations(lines)))
    whole = f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + sent
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6))), len(whole)]
    outcomes = [Rig().give(pieces) for pieces in ([whole], [whole[a:b] for a, b in pairwise(cuts)])]
    for one in ("sent", "answered", "closed"):
        assert getattr(outcomes[0], one) == getattr(outcomes[1], one)
    (forwarded,) = outcomes[0].sent
    method, asked, headers, received = request_of(forwarded)
    assert (method, received) == (b"POST", body)
    assert f"DeviceId={device_id}&".encode() in asked
    assert b"via" not in headers
    assert b"x-other" not in headers
    assert b"HTTP/1.1 200 OK\r\n" in outcomes[0].answered


def test_answers_come_in_the_order_of_their_requests():
    """Found by fuzzing: two requests in the same bytes, the first answered at once, the second one with Expect."""
    first = b"OPTIONS /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    second = f"POST /nowhere HTTP/1.1\r\nHost: x\r\nAuthorization: {basic()}\r\nExpect: 100-continue\r\n\r\n".encode()
    together, apart = Rig().give([first + second]), Rig().give([first, second])
    assert apart.answered.startswith(b"HTTP/1.1 404")
    assert together.answered == apart.answered

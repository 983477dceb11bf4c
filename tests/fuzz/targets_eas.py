"""WBXML, its readers, and the query in its two forms."""

from __future__ import annotations

import base64
from dataclasses import fields, replace
from urllib.parse import parse_qsl

from tests.fuzz.target import Target, beginnings, cut_at, now_and_then, promise

from gatepost.wire.eas import device_information, provisioning
from gatepost.wire.eas.query import CORE, PARAMETERS, EasRequest
from gatepost.wire.eas.request import (
    MalformedRequest,
    QueryForm,
    claiming,
    parse_options_query,
    parse_query,
    render_headers,
    render_query,
)
from gatepost.wire.wbxml import IDENTITY, ROOT_LENGTH, Element, Limits, WbxmlError, decode, encode, root

# -- WBXML

_TIGHT = Limits(size=600, depth=5, elements=12, value=24)


def check_wbxml(data: bytes) -> bool:
    name = _root(data)
    try:
        read = decode(data)
    except WbxmlError:
        if now_and_then(data, 8):
            promise(_decoded(data, _TIGHT) is None, "narrower limits accept what wider ones refuse")
        return False
    promise(name == read.name, "root and decode disagree")
    promise(decode(encode(read)) == read, "written and read again it is something else")
    _check_facts(read)
    if now_and_then(data, 8):
        _check_limits(data, read)
    if now_and_then(data, 16):
        for beginning in beginnings(data):
            promise(_decoded(beginning, IDENTITY) is None, "a document is read before its last byte")
            early = _root(beginning)
            promise(early == name if len(beginning) >= ROOT_LENGTH else early in {None, name}, "the root changes")
    return True


def _root(data: bytes) -> str | None:
    try:
        found = root(data[:ROOT_LENGTH])
    except WbxmlError:
        return None
    return found


def _decoded(data: bytes, limits: Limits) -> Element | None:
    try:
        return decode(data, limits)
    except WbxmlError:
        return None


def _measure(element: Element, depth: int = 1) -> tuple[int, int, int]:
    """Depth of open elements, elements, and the longest value."""
    inside = [_measure(child, depth + 1) for child in element.children]
    value = element.opaque if element.opaque is not None else (element.text or "").encode()
    return (
        max([depth, *(one[0] for one in inside)]),
        1 + sum(one[1] for one in inside),
        max([len(value), *(one[2] for one in inside)]),
    )


def _check_limits(data: bytes, read: Element) -> None:
    depth, elements, value = _measure(read)
    small = len(data) <= _TIGHT.size and elements <= _TIGHT.elements and value <= _TIGHT.value
    tight = _decoded(data, _TIGHT)
    promise(tight in {None, read}, "narrower limits read something else")
    # an empty element at the very bottom is not opened, so one more level of those may be accepted
    if small and depth <= _TIGHT.depth:
        promise(tight is not None, "a document within the limits is refused")
    if not small or depth > _TIGHT.depth + 1:
        promise(tight is None, "a document beyond the limits is accepted")


def _check_facts(read: Element) -> None:
    facts = device_information.read(read)
    if facts is not None:
        said = [getattr(facts, item.name) for item in fields(facts) if item.name != "reported"]
        promise(facts.reported, "facts that were reported are not marked so")
        for one in said:
            promise(one is None or (0 < len(one) <= device_information.VALUE_LIMIT and one.isprintable()), "a fact")
        promise(device_information.merge(facts, facts) == facts, "facts merged with themselves")
    step = provisioning.read(read)
    promise((step is None) == (read.name != "Provision:Provision"), "a Provision body that is none")
    if step is not None and step.policy_key is not None:
        promise(0 < step.policy_key <= 0xFFFFFFFF, "a policy key of more than 32 bits")


def wbxml_pieces(data: bytes) -> list[bytes]:
    """Header, SWITCH_PAGEs, tags, values and ENDs, as far as they can be told apart."""
    pieces, at = [data[:4]], 4
    while at < len(data):
        end = at + 1
        if data[at] == 0x00:
            end = at + 2
        elif data[at] == 0x03:
            end = data.find(0, at) + 1 or len(data)
        elif data[at] == 0xC3:
            length, end = 0, at + 1
            while end < len(data):
                length = length << 7 | data[end] & 0x7F
                end += 1
                if not data[end - 1] & 0x80:
                    break
            end = min(len(data), end + length)
        pieces.append(data[at:end])
        at = end
    return pieces


def _text(name: str, text: str) -> Element:
    return Element(name, text=text)


_SET = Element(
    "Settings:Set",
    (
        _text("Settings:Model", "iPhone14,5"),
        _text("Settings:IMEI", "353301112223334"),
        _text("Settings:FriendlyName", "Älice's phone"),
        _text("Settings:OS", "iOS 17.5 21F79"),
        _text("Settings:OSLanguage", "en"),
        _text("Settings:PhoneNumber", "+49 170 1234567"),
        _text("Settings:UserAgent", "Apple-iPhone14C5/2106.90"),
        _text("Settings:MobileOperator", "Mobile\t\r\n"),
    ),
)
_INFORMATION = Element("Settings:DeviceInformation", (_SET,))
_WIPED = Element("Provision:RemoteWipe", (_text("Provision:Status", "1"),))

WBXML_SEEDS = (
    encode(provisioning.initial_request(_INFORMATION)),
    encode(provisioning.initial_request(None)),
    encode(provisioning.acknowledgement(1307199584)),
    encode(Element("Provision:Provision", (_WIPED,))),
    encode(provisioning.policy_answer(7, [("DevicePasswordEnabled", "1")], answers_device_information=True)),
    encode(
        Element("Settings:Settings", (_INFORMATION, Element("Settings:UserInformation", (Element("Settings:Get"),))))
    ),
    encode(Element("Ping:Ping", (_text("Ping:HeartbeatInterval", "600"),))),
    encode(
        Element(
            "ComposeMail:SendMail",
            (
                _text("ComposeMail:ClientId", "1"),
                Element("ComposeMail:SaveInSentItems"),
                Element("ComposeMail:Mime", opaque=b"From: a@example.com\r\n\r\n" + bytes(range(200))),
            ),
        )
    ),
    encode(Element("AirSync:Sync", (Element("AirSync:Collections", (Element("AirSync:Collection"),) * 6),))),
)

WBXML = Target(
    "wbxml",
    check_wbxml,
    WBXML_SEEDS,
    wbxml_pieces,
    (
        *(bytes((0, page)) for page in (0, 1, 3, 7, 14, 18, 25, 26, 255)),
        *(bytes((token | content,)) for token in (0x05, 0x16, 0x17, 0x3F) for content in (0, 0x40)),
        b"\x01",
        b"\x01\x01\x01",
        b"\x03x\x00",
        b"\x03\x00",
        b"\x03\xff\x00",
        b"\x03" + b"y" * 25 + b"\x00",
        b"\xc3\x00",
        b"\xc3\x01z",
        b"\xc3\x81\x01" + b"w" * 129,
        b"\xc3\x80\x01",
        b"\xc3\x8f\xff\xff\xff\x7f",
        b"\xc3\x9f\xff\xff\xff\x7f",
        b"\xc3\xff\xff\xff\xff\xff\x7f",
        b"\x02\x80\x00",
        b"\x04\x00",
        b"\x83\x00",
        b"\x43\x01",
        b"\xc0\xc1\xc2",
        b"\x00\x12\x56\x57\x03a\x00\x01\x01",
        b"\x45" * 31,
        b"\x00\x0e\x4b\x03x\x00\x01",
    ),
    ("gatepost.wire.wbxml.decode", "gatepost.wire.eas.device_information", "gatepost.wire.eas.provisioning"),
    weight=24,
)

# -- the query, with the two headers that belong to it: one line each


def check_query(data: bytes) -> bool:
    query, _, rest = data.partition(b"\n")
    version, found, key = rest.partition(b"\n")
    accepted = _check_request(query, version or None, key if found else None)
    if accepted and b"&" in query:
        _check_names(query)
    return accepted


_NAMES = {name.lower() for name in (*CORE, *PARAMETERS)}


def _check_names(query: bytes) -> None:
    """In whatever case of letters, none of the names that count came twice."""
    names = [part.partition(b"=")[0].decode("latin-1").lower() for part in query.split(b"&")]
    known = [name for name in names if name in _NAMES]
    promise(len(set(known)) == len(known), "a parameter counts that came twice")
    promise({"cmd", "deviceid", "devicetype"} <= set(known), "a parameter that did not come")


def check_base64_query(data: bytes) -> bool:
    return _check_request(base64.b64encode(data), None, None)


def _check_request(query: bytes, version: bytes | None, key: bytes | None) -> bool:
    options = parse_options_query(query)
    if options is not None:
        promise(render_query(options) == b"" and render_headers(options) == (), "OPTIONS goes on with a query")
    try:
        request = parse_query(query, version, key)
    except MalformedRequest:
        return False
    promise(options is not None and options.device_id == request.device_id, "OPTIONS names another device")
    rendered = render_query(request)
    promise(not rendered.translate(None, _PLAIN_BYTES), "a byte in the query that no URL has")
    headers = {name: value.encode("ascii") for name, value in render_headers(request)}
    again = parse_query(rendered, headers["MS-ASProtocolVersion"], headers.get("X-MS-PolicyKey"))
    promise(again == request, "written and read again it is something else")
    _check_values(request)
    if request.form is QueryForm.PLAIN:
        _check_plain(request, rendered)
    _check_claims(request, headers)
    return True


def _check_claims(request: EasRequest, headers: dict[str, bytes]) -> None:
    """With the login in place of what `User` claims it is another request in nothing else."""
    for login in ("alice@example.com", "EX\\älice & co?", request.user or ""):
        claimed = claiming(request, login)
        promise(claimed.user is None or claimed.user.lower() == login.lower(), "another claim than the login's")
        promise(replace(claimed, user=request.user) == request, "another request than before")
        rendered = render_query(claimed)
        read = parse_query(rendered, headers["MS-ASProtocolVersion"], headers.get("X-MS-PolicyKey"))
        promise(read == claimed, "written and read again it claims something else")


_PLAIN_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%&=+/"


def _check_values(request: EasRequest) -> None:
    promise(request.device_ids[0] == request.device_id, "the canonical device id is not the first")
    for device_id in request.device_ids:
        promise(device_id.isalnum() and device_id.isascii() and device_id == device_id.upper(), "a device id")
        promise(1 <= len(device_id) <= 32, "a device id of more than 32 characters")
    promise(request.user is None or (request.user.isprintable() and 1 <= len(request.user) <= 256), "a user")
    promise(request.device_type.isprintable() and 1 <= len(request.device_type) <= 256, "a device type")
    promise(request.policy_key is None or 0 <= request.policy_key <= 0xFFFFFFFF, "a policy key")


def _check_plain(request: EasRequest, rendered: bytes) -> None:
    """A reader of HTML forms, which counts the last of two and takes `+` for a blank, sees the same."""
    pairs = parse_qsl(rendered.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    seen = dict(pairs)
    promise(len(seen) == len(pairs), "a parameter twice")
    expected = {
        "Cmd": request.command,
        "DeviceId": request.sent_device_id.decode(),
        "DeviceType": request.device_type,
        **dict(request.parameters),
    }
    if request.user is not None:
        expected["User"] = request.user
    promise(seen == expected, "another reader sees another request")


_QUERY = b"Cmd=Sync&User=alice%40example.com&DeviceId=Appl0123456789&DeviceType=iPhone"

QUERY = Target(
    "query",
    check_query,
    (
        _QUERY + b"\n14.1\n1307199584",
        b"User=alice&DeviceId=v140Device&DeviceType=SmartPhone&Cmd=FolderSync\n12.1\n0",
        b"Cmd=GetAttachment&AttachmentName=5%3a2%3a0&User=EX%5Calice&DeviceId=A1&DeviceType=PocketPC\n2.5",
        (
            b"Cmd=SmartReply&User=a&DeviceId=0123456789ABCDEF0123456789abcdef&DeviceType=x%20y&ItemId=7&CollectionId=%20"
            b"&LongId=RgAA%2b&Occurrence=2009-11&SaveInSent=T&Foo=bar\n14.0\n"
        ),
        b"jQAJBBBOaW5lMzQyQkEzRjNFNkM2BAAAAAAHQW5kcm9pZAcBAA==",
        b"jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l",
    ),
    cut_at(rb"[&=\n?]"),
    (
        b"&", b"=", b"?", b"#", b";", b"%", b"%26", b"%3D", b"%00", b"%0d%0a", b"%C3%A9", b"%c0%af", b"%ff", b"+", b"&&",
        b"&DeviceId=Evil", b"&deviceid=Evil", b"&Device%49d=Evil", b"&DeviceId[]=Evil", b"&%44eviceId=Evil",
        b"?DeviceId=Evil", b"&Cmd=Provision", b"&cMd=Ping", b"&User=bob", b"&User", b"&User=", b"&SaveInSent=t",
        b"&SaveInSent=F", b"&AcceptMultiPart=T", b"&Options=1", b"\n16.1\n4294967295", b"\n2.5", b"\n14.1, 12.1",
        b"&AttachmentName=" + b"a" * 1025, "é".encode(), b"\xe9", b" ", b"\x00", b"==", b"&jAAJBAp2MTQw=",
    ),
    ("gatepost.wire.eas.plain_query", "gatepost.wire.eas.request", "gatepost.wire.eas.query"),
    weight=16,
)  # fmt: skip


def _fields(data: bytes) -> list[bytes]:
    """The fixed fields, and what is counted with its length."""
    pieces = [data[:1], data[1:2], data[2:4]]
    at, tagged = 4, 0
    while at < len(data):
        start = at + (tagged >= 3)
        end = start + 1 + (data[start] if start < len(data) else 0)
        pieces.append(data[at:end])
        at, tagged = end, tagged + 1
    return pieces


_BASE64_HEAD = bytes((141, 0, 9, 4))
BASE64_QUERY = Target(
    "base64-query",
    check_base64_query,
    (
        base64.b64decode(b"jQAJBBBOaW5lMzQyQkEzRjNFNkM2BAAAAAAHQW5kcm9pZAcBAA=="),
        base64.b64decode(b"jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l"),
        _BASE64_HEAD
        + b"\x10"
        + bytes(range(0xF0, 0x100))
        + b"\x04\x20\x20\xea\x4d\x06iPhone"
        + b"\x08\x05alice\x07\x01\x03",
        bytes((121, 4, 7, 4)) + b"\x02A1\x00\x08PocketPC\x00\x05a:b:c\x01\x01\x37\x03\x03a/b\x04\x02zz\x06\x04when",
        bytes((161, 23, 9, 4)) + b"\x20" + b"A1b2" * 8 + b"\x00\x01x\x08\x00",
    ),
    _fields,
    (
        *(bytes((tag, length)) + b"q" * length for tag in range(10) for length in (0, 1, 4)),
        *(bytes((version,)) for version in (25, 120, 121, 140, 141, 160, 161)),
        b"\x08\xff" + b"u" * 255,
        b"\x08\x02\xc3\xa9",
        b"\x08\x01\xe9",
        b"\x04\xff\xff\xff\xff",
        b"\x07\x01\x03",
        b"\x10" + b"\x00" * 16,
    ),
    ("gatepost.wire.eas.base64_query", "gatepost.wire.eas.query"),
    weight=12,
)

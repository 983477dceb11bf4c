"""What reaches the mail server: a head made of what was read, and a body that is the command's own."""

import base64

import pytest

from gatepost.gateway import forwarding
from gatepost.gateway.configuration import upstream_address
from gatepost.gateway.forwarding import KNOWN_HEADERS, Forwarding, Head, NotOffered, WrongBody, content_type
from gatepost.wire.eas.commands import COMMANDS, VERSIONS, Body
from gatepost.wire.eas.request import MalformedRequest, UnknownCommand, parse_query
from gatepost.wire.wbxml import Element, decode, encode

WBXML = b"application/vnd.ms-sync.wbxml"
MAIL = b"message/rfc822"
SOGO = upstream_address("http://127.0.0.1:20000/SOGo/Microsoft-Server-ActiveSync")
QUERY = b"Cmd=FolderSync&User=alice&DeviceId=Phone1&DeviceType=iPhone"

PASSED = {
    "Authorization",
    "User-Agent",
    "Accept",
    "Accept-Language",
    "Accept-Encoding",
    "Cookie",
    "MS-ASAcceptMultiPart",
    "client-request-id",
}
READ = {
    "Authorization",
    "User-Agent",
    "Host",
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "Expect",
    "X-Forwarded-For",
    "MS-ASProtocolVersion",
    "X-MS-PolicyKey",
    "MS-ASAcceptMultiPart",
    "client-request-id",
    "Forwarded",
}


def eas(command="FolderSync", version="14.1"):
    return parse_query(b"Cmd=%s&User=a&DeviceId=b&DeviceType=c" % command.encode(), version.encode(), None)


def document(root, content="1"):
    return encode(Element(root, text=content))


# -- headers


@pytest.mark.parametrize("name", sorted(PASSED | READ))
@pytest.mark.parametrize("spelling", [str, str.lower])
def test_a_known_header_is_found_in_its_usual_spelling_and_in_lower_case(name, spelling):
    key, line = KNOWN_HEADERS[spelling(name).encode()]
    assert key == (name.lower().encode() if name in READ else None)
    assert line == (f"{name}: ".encode() if name in PASSED else None)


def test_all_other_headers_end_here():
    assert {name.lower() for name in KNOWN_HEADERS} == {name.lower().encode() for name in PASSED | READ}


@pytest.mark.parametrize(
    "name", ["X-Forwarded-User", "X-Real-IP", "X-Original-URL", "X-MS-ASThrottle", "Connection", "Upgrade"]
)
def test_what_could_make_somebody_of_somebody_else_is_not_known(name):
    assert name.encode() not in KNOWN_HEADERS
    assert name.lower().encode() not in KNOWN_HEADERS


def head_of(start=b"POST /x HTTP/1.1\r\n", *, lines=(), headers=None, length=0, body_type=None, forwarded_for=b""):
    made = Head(b"POST", b"/x", headers or {}, list(lines), length)
    return forwarding.head(start, made, body_type, forwarded_for)


def test_a_head_says_who_asked_and_how_long_the_body_is():
    found = head_of(
        lines=[b"Cookie: a\r\n"],
        headers={b"host": b"gate.example.com", b"x-forwarded-for": b"10.9.9.9"},
        length=13,
        body_type=WBXML,
        forwarded_for=b"X-Forwarded-For: 203.0.113.7\r\n",
    )
    assert found == (
        b"POST /x HTTP/1.1\r\n"
        b"Cookie: a\r\n"
        b"X-Forwarded-For: 203.0.113.7\r\n"
        b"X-Forwarded-Host: gate.example.com\r\n"
        b"Content-Type: application/vnd.ms-sync.wbxml\r\n"
        b"Content-Length: 13\r\n\r\n"
    )


def test_a_head_says_a_length_of_zero_too_and_nothing_that_is_not_known():
    assert head_of() == b"POST /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


# -- the request line


def test_a_request_is_made_anew_for_the_mail_servers_path():
    prepared = Forwarding(SOGO).prepare(
        b"devicetype=iPhone&x=y&DEVICEID=Phone1&cmd=foldersync&User=alice", b"14.1", None, "alice"
    )
    assert prepared.start == (
        b"POST /SOGo/Microsoft-Server-ActiveSync?" + QUERY + b" HTTP/1.1\r\n"
        b"Host: 127.0.0.1:20000\r\nMS-ASProtocolVersion: 14.1\r\n"
    )
    assert prepared.eas.command == "FolderSync"


def test_a_policy_key_goes_on():
    prepared = Forwarding(SOGO).prepare(QUERY, b"14.1", b"0123", "alice")
    assert prepared.start.endswith(b"MS-ASProtocolVersion: 14.1\r\nX-MS-PolicyKey: 123\r\n")


def test_a_base64_query_stays_one_and_its_headers_say_the_same():
    query = base64.b64encode(bytes([141, 18, 9, 4, 6, *b"Phone1", 4, 7, 0, 0, 0, 6, *b"iPhone"]))
    prepared = Forwarding(SOGO).prepare(query, b"2.5", b"99", "alice")
    assert prepared.start == (
        b"POST /SOGo/Microsoft-Server-ActiveSync?" + query + b" HTTP/1.1\r\n"
        b"Host: 127.0.0.1:20000\r\nMS-ASProtocolVersion: 14.1\r\nX-MS-PolicyKey: 7\r\n"
    )
    assert prepared.eas.command == "Ping"


def test_options_have_no_query():
    assert Forwarding(SOGO).options == (
        b"OPTIONS /SOGo/Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: 127.0.0.1:20000\r\n"
    )


def test_the_same_query_is_read_once():
    there = Forwarding(SOGO)
    one = there.prepare(QUERY, b"14.1", None, "alice")
    assert one is there.prepare(bytes(bytearray(QUERY)), b"14.1", None, "alice")
    assert there.prepare(QUERY, b"14.0", None, "alice").eas.protocol_version == "14.0"
    assert there.prepare(QUERY, b"14.1", b"1", "alice").eas.policy_key == 1


def test_the_query_claims_no_other_user_than_the_one_who_logs_in():
    there = Forwarding(SOGO)
    assert b"&User=alice&" in there.prepare(QUERY, b"14.1", None, "alice").start
    assert b"&User=bob%40example.com&" in there.prepare(QUERY, b"14.1", None, "bob@example.com").start


@pytest.mark.parametrize(
    ("query", "error"),
    [(b"Cmd=Dance&User=a&DeviceId=b&DeviceType=c", UnknownCommand), (b"Cmd=Sync&DeviceType=c", MalformedRequest)],
)
def test_what_cannot_be_read_is_not_prepared(query, error):
    there = Forwarding(SOGO)
    for _ in range(2):
        with pytest.raises(error):
            there.prepare(query, b"14.1", None, "alice")


CARRIES_CHANGES = {
    "Sync",
    "SendMail",
    "SmartForward",
    "SmartReply",
    "FolderCreate",
    "FolderDelete",
    "FolderUpdate",
    "MoveItems",
    "MeetingResponse",
    "ItemOperations",  # EmptyFolderContents
    "Settings",
    "Provision",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_changes_something_is_never_repeated_and_what_may_wait_is_known(command):
    prepared = Forwarding(SOGO).prepare(QUERY.replace(b"FolderSync", command.encode()), b"14.1", None, "alice")
    assert prepared.repeatable is (command not in CARRIES_CHANGES)
    assert prepared.long is (command in {"Ping", "Sync"})


# -- the body


@pytest.mark.parametrize("command", [one for one in COMMANDS.values() if one.root], ids=lambda one: one.name)
def test_a_body_with_the_commands_root_is_its_own(command):
    assert content_type(eas(command.name), {b"content-type": WBXML}, document(command.root), empty=False) == WBXML
    # without a content at all, and when it is called something else
    assert content_type(eas(command.name), {}, encode(Element(command.root)), empty=False) == WBXML
    sent = {b"content-type": b"application/vnd.ms-sync; charset=utf-8"}
    assert content_type(eas(command.name), sent, document(command.root), empty=False) == WBXML


@pytest.mark.parametrize("command", [one for one in COMMANDS.values() if one.root], ids=lambda one: one.name)
def test_a_body_with_another_root_is_not(command):
    other = "Ping:Ping" if command.name == "Provision" else "Provision:Provision"
    with pytest.raises(WrongBody, match=f"a {other}, not a {command.root}"):
        content_type(eas(command.name), {}, document(other), empty=False)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda one: one.name)
def test_a_missing_body(command):
    if command.body is Body.WBXML:
        with pytest.raises(WrongBody, match="needs a body"):
            content_type(eas(command.name), {}, b"", empty=True)
    else:
        assert content_type(eas(command.name), {b"content-type": WBXML}, b"", empty=True) is None


def test_a_command_that_has_no_body_must_not_have_one():
    with pytest.raises(WrongBody, match="GetAttachment has no body"):
        content_type(eas("GetAttachment"), {}, document("Ping:Ping"), empty=False)


@pytest.mark.parametrize("body", [b"garbage", b"\x03", b"\x03\x01\x6a\x00", b"\x03\x01\x6a\x00\x00\x63\x45"])
def test_a_body_that_is_no_document(body):
    with pytest.raises(WrongBody):
        content_type(eas(), {}, body, empty=False)


@pytest.mark.parametrize("command", ["SendMail", "SmartForward", "SmartReply"])
@pytest.mark.parametrize("version", ["2.5", "12.0", "12.1"])
@pytest.mark.parametrize("spelling", [MAIL, b"Message/RFC822", b" message/rfc822 ; charset=utf-8"])
def test_a_message_may_be_sent_as_such_up_to_12_1(command, version, spelling):
    assert content_type(eas(command, version), {b"content-type": spelling}, b"From: a", empty=False) == MAIL


@pytest.mark.parametrize(
    ("command", "version"),
    [("SendMail", "14.0"), ("SmartReply", "16.1"), ("FolderSync", "12.1"), ("Provision", "12.1"), ("Sync", "2.5")],
)
def test_and_nowhere_else(command, version):
    with pytest.raises(WrongBody, match="does not take a message"):
        content_type(eas(command, version), {b"content-type": MAIL}, b"From: a", empty=False)


def test_a_message_that_is_called_a_document_is_neither():
    with pytest.raises(WrongBody):
        content_type(eas("SendMail", "12.1"), {b"content-type": WBXML}, b"From: a", empty=False)


# -- what is not offered


def prepared(command=b"FolderSync", version=b"14.1", **wanted):
    query = QUERY.replace(b"FolderSync", command)
    return Forwarding(SOGO, **wanted).prepare(query, version, None, "alice")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_that_is_not_wanted_is_refused_in_its_own_words(version):
    for _ in range(2):
        with pytest.raises(NotOffered) as caught:
            prepared(version=version.encode(), protocol_versions=set(VERSIONS) - {version})
        assert caught.value.eas.protocol_version == version
        refusal = caught.value.refusal
        if version in {"2.5", "12.0", "12.1"}:
            assert (refusal.http_status, refusal.body) == (400, b"")
        else:
            assert decode(refusal.body).text_at("FolderHierarchy:Status") == "138"
    assert prepared(version=version.encode(), protocol_versions=(version,)).eas.protocol_version == version
    assert prepared(version=version.encode()).eas.protocol_version == version


def test_the_version_in_a_base64_query_counts_whatever_the_header_says():
    query = b"jQAJBBBOaW5lMzQyQkEzRjNFNkM2BAAAAAAHQW5kcm9pZAcBAA=="  # 14.1
    with pytest.raises(NotOffered):
        Forwarding(SOGO, ("16.1",)).prepare(query, b"16.1", None, "alice")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_not_wanted_is_refused_in_its_own_words(command):
    for written in (command, command.lower()):
        with pytest.raises(NotOffered) as caught:
            prepared(written.encode(), refused_commands=("Find", command))
        refusal = caught.value.refusal
        if command == "GetAttachment":
            assert (refusal.http_status, refusal.body) == (501, b"")
        else:
            assert refusal.http_status == 200
            assert b"137" in refusal.body
    with pytest.raises(NotOffered) as caught:
        prepared(command.encode(), b"12.1", refused_commands=(command,))
    assert (caught.value.refusal.http_status, caught.value.refusal.body) == (501, b"")
    assert prepared(command.encode()).eas.command == command


# -- for another server


def test_a_request_for_another_server_says_the_same_under_its_name_and_path():
    eas = prepared().eas
    there = forwarding.start(upstream_address("https://mail2.example.com"), eas)
    assert there == prepared().start.replace(b"/SOGo/", b"/").replace(b"127.0.0.1:20000", b"mail2.example.com")
    assert forwarding.start(SOGO, eas) == prepared().start
    assert forwarding.start(SOGO, None) == Forwarding(SOGO).options


def test_what_was_sent_to_one_server_is_not_sent_to_another():
    here = Head(b"POST", b"/x", {b"host": b"gate"}, [b"Accept: */*\r\n"], 3)
    sent = forwarding.head(b"POST /a HTTP/1.1\r\nHost: a\r\n", here, None, b"")
    there = here.elsewhere()
    assert forwarding.head(b"POST /b HTTP/1.1\r\nHost: b\r\n", there, None, b"") == sent.replace(
        b"POST /a HTTP/1.1\r\nHost: a", b"POST /b HTTP/1.1\r\nHost: b"
    )
    assert forwarding.head(b"POST /a HTTP/1.1\r\nHost: a\r\n", here, None, b"") is sent

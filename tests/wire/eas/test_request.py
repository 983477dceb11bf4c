"""A query has one meaning or is malformed, and what is rendered reads as the same request."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.wire.eas.commands import COMMANDS, VERSIONS
from gatepost.wire.eas.query import PARAMETERS, SWITCHES
from gatepost.wire.eas.request import (
    EasRequest,
    MalformedRequest,
    QueryForm,
    claiming,
    parse_options_query,
    parse_query,
    render_headers,
    render_query,
)

PLAIN = b"Cmd=Sync&User=alice%40example.com&DeviceId=ApplC39GQ8NNDTDL&DeviceType=iPhone&CollectionId=5"
SPECIFICATION = b"jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l"
NINE = b"jQAJBBBOaW5lMzQyQkEzRjNFNkM2BAAAAAAHQW5kcm9pZAcBAA=="


def parse_rendered(request: EasRequest) -> EasRequest:
    headers = dict(render_headers(request))
    version, key = headers["MS-ASProtocolVersion"], headers.get("X-MS-PolicyKey")
    return parse_query(render_query(request), version.encode(), key.encode() if key is not None else None)


@pytest.mark.parametrize(
    ("user", "login", "goes_on"),
    [
        (b"alice%40example.com", "alice@example.com", "alice@example.com"),
        (b"Alice%40Example.com", "alice@example.com", "Alice@Example.com"),
        (b"bob", "alice@example.com", "alice@example.com"),
        (b"alice", "alice@example.com", "alice@example.com"),
        (b"EXAMPLE%5Calice", "alice", "alice"),
        (b"bob", "EXAMPLE\\alice", "EXAMPLE\\alice"),
        (b"m%FCller", "m\u00fcller", "m\u00fcller"),
        (b"", "alice", None),
    ],
)
def test_nobody_claims_to_be_another_than_who_logs_in(user, login, goes_on):
    sent = parse_query(PLAIN.replace(b"alice%40example.com", user), b"14.1", None)
    claimed = claiming(sent, login)
    assert claimed.user == goes_on
    assert parse_rendered(claimed) == claimed


def test_a_login_that_no_query_can_carry():
    sent = parse_query(PLAIN, b"14.1", None)
    with pytest.raises(MalformedRequest, match="255 bytes"):
        claiming(sent, "a" * 256)
    with pytest.raises(MalformedRequest, match="control character"):
        claiming(sent, "alice\u200b")


def test_a_base64_query_without_a_claim_stays_without():
    sent = parse_query(SPECIFICATION, None, None)
    assert claiming(sent, "alice") is sent


def test_either_form_has_its_parser():
    assert parse_query(PLAIN, b"14.1", None).form is QueryForm.PLAIN
    assert parse_query(NINE, b"14.1", None).form is QueryForm.BASE64


@pytest.mark.parametrize(
    "query",
    [
        b"",
        PLAIN + b"?DeviceId=Other",
        b"x?" + PLAIN,
        PLAIN + b"#Cmd=Ping",
        PLAIN.replace(b"alice", b"ali ce"),
        PLAIN + b"\r\n",
        PLAIN + b"\0",
        PLAIN + b"\x7f",
        PLAIN + b"&ItemId=" + b"x" * 5000,
        NINE + b"&Cmd=Sync",
        b"Cmd=Sync",
        b"Cmd",
        PLAIN + b"&" + NINE,
        PLAIN + b"&" + SPECIFICATION,
        SPECIFICATION + b"&" + PLAIN,
        NINE + b"?" + PLAIN,
    ],
)
def test_what_has_no_meaning_or_two_is_malformed(query):
    with pytest.raises(MalformedRequest):
        parse_query(query, b"14.1", None)


def test_headers_carry_what_a_server_may_read_there():
    request = parse_query(PLAIN, b"14.1", b"1307199584")
    assert render_headers(request) == (("MS-ASProtocolVersion", "14.1"), ("X-MS-PolicyKey", "1307199584"))
    assert render_headers(parse_query(PLAIN, b"2.5", None)) == (("MS-ASProtocolVersion", "2.5"),)


def test_in_a_base64_query_the_headers_do_not_count():
    request = parse_query(NINE, b"2.5", b"99")
    assert (request.protocol_version, request.policy_key) == ("14.1", 0)
    assert render_headers(request) == (("MS-ASProtocolVersion", "14.1"), ("X-MS-PolicyKey", "0"))


@pytest.mark.parametrize("query", [PLAIN, PLAIN.replace(b"Cmd=Sync&", b""), PLAIN.replace(b"Cmd=Sync", b"cMD=OPTIONS")])
def test_options_names_the_device_where_it_can(query):
    request = parse_options_query(query)
    assert request is not None
    assert (request.command, request.device_id, request.device_type) == ("OPTIONS", "APPLC39GQ8NNDTDL", "iPhone")
    assert (request.protocol_version, request.policy_key, request.parameters) == ("", None, ())
    assert render_query(request) == b""
    assert render_headers(request) == ()


def test_options_in_base64_names_the_device_too():
    request = parse_options_query(NINE)
    assert request is not None
    assert (request.command, request.device_id) == ("OPTIONS", "NINE342BA3F3E6C6")
    assert render_query(request) == b""


@pytest.mark.parametrize("query", [b"", b"Cmd=OPTIONS", b"User=alice", PLAIN + b"&DeviceId=Other", b"%%", b"a&b"])
def test_options_may_say_nothing(query):
    assert parse_options_query(query) is None


printable = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)
device_ids = st.text("abcXYZ0189", min_size=1, max_size=32).map(str.encode)
values = {name: st.just("T") if name in SWITCHES else printable for name in PARAMETERS}


def _parameters(chosen: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, chosen[name]) for name in PARAMETERS if name in chosen)


def _plain(command, sent, device_type, user, version, key, chosen):
    device_id = sent.decode().upper()
    return EasRequest(
        command, device_id, (device_id,), device_type, user, version, key, QueryForm.PLAIN, _parameters(chosen), sent
    )


plain_requests = st.builds(
    _plain,
    st.sampled_from(sorted(COMMANDS)),
    device_ids,
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=20),
    st.none() | printable,
    st.sampled_from(VERSIONS),
    st.none() | st.integers(0, 2**32 - 1),
    st.fixed_dictionaries({}, optional=values),
)


@given(plain_requests)
def test_a_rendered_plain_query_reads_as_the_same_request(request):
    assert parse_rendered(request) == request


base64_queries = st.builds(
    lambda version, code, locale, sent, key, kind, parameters: (
        bytes((version, code, *locale, len(sent)))
        + sent
        + bytes((len(key),))
        + key
        + bytes((len(kind),))
        + kind
        + b"".join(bytes((tag, len(value))) + value for tag, value in parameters.items())
    ),
    st.sampled_from([121, 140, 141, 160, 161]),
    st.sampled_from([command.code for command in COMMANDS.values()]),
    st.binary(min_size=2, max_size=2),
    device_ids | st.binary(min_size=1, max_size=16),
    st.just(b"") | st.binary(min_size=4, max_size=4),
    st.sampled_from([b"iPhone", b"SAMSUNGSGHI317M"]),
    st.dictionaries(
        st.sampled_from([0, 1, 3, 4, 6, 8]),
        st.text(st.characters(exclude_categories=["C", "Z"]), max_size=9).map(str.encode),
    ),
)


@given(base64_queries, st.booleans())
def test_a_rendered_base64_query_reads_as_the_same_request(raw, percent):
    from base64 import b64encode
    from urllib.parse import quote

    written = b64encode(raw)
    request = parse_query(quote(written, safe="").encode() if percent else written, None, None)
    assert request.form is QueryForm.BASE64
    assert parse_rendered(request) == request


@given(st.binary(max_size=120), st.none() | st.binary(max_size=12), st.none() | st.binary(max_size=12))
@example(b"Cmd=Sync&DeviceId=a&DeviceType=b", b"\xb2", None)
@example(b"Cmd=Sync&DeviceId=a&DeviceType=b", b"14.1", b"\xb2")
def test_any_bytes_are_read_or_refused(query, version, key):
    try:
        request = parse_query(query, version, key)
    except MalformedRequest:
        return
    assert parse_rendered(request) == request


@given(st.sampled_from([PLAIN, NINE, SPECIFICATION]), st.data())
def test_a_changed_query_is_read_or_refused(query, data):
    at = data.draw(st.integers(0, len(query)))
    changed = query[:at] + data.draw(st.binary(max_size=3)) + query[at + data.draw(st.integers(0, 3)) :]
    for end in {len(changed), at}:
        try:
            request = parse_query(changed[:end], b"14.1", b"7")
        except MalformedRequest:
            continue
        assert parse_rendered(request) == request
    parse_options_query(changed)

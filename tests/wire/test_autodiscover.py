"""Autodiscover: what phones ask is read or refused in the specification's words, and the answers are what they read."""

import contextlib
import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.autodiscover import (
    DOCUMENT_LIMIT,
    MOBILESYNC_REQUEST,
    MOBILESYNC_RESPONSE,
    OUTLOOK_REQUEST,
    AutodiscoverError,
    answer_json,
    read_request,
    render_error,
    render_settings,
    version,
)

NS = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
MS = "{http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006}"
OUTLOOK_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
URLS = {
    "ActiveSync": "https://eas.example.com/Microsoft-Server-ActiveSync",
    "AutodiscoverV1": "https://eas.example.com/autodiscover/autodiscover.xml",
}


def request(inside=None, *, namespace=MOBILESYNC_REQUEST, schema=MOBILESYNC_RESPONSE, before="", root="Autodiscover"):
    if inside is None:
        inside = (
            "<EMailAddress>alice@example.com</EMailAddress>"
            f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
        )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{before}<{root} xmlns="{namespace}"><Request>{inside}</Request></{root}>'
    ).encode()


SCHEMA = f"<AcceptableResponseSchema>{MOBILESYNC_RESPONSE}</AcceptableResponseSchema>"


@pytest.mark.parametrize(
    "body",
    [
        request(),
        request().replace(b'<?xml version="1.0" encoding="utf-8"?>', b""),
        b"\xef\xbb\xbf" + request(),
        request(f"\n  <EMailAddress>\n alice@example.com </EMailAddress>\n<!-- hello -->\n {SCHEMA}\n"),
        request(f"<EMailAddress>alice<![CDATA[@]]>example&#46;com</EMailAddress>{SCHEMA}<LegacyDN>/o=x</LegacyDN>"),
        request(
            f"<EMailAddress>alice@example.com</EMailAddress><x:EMailAddress xmlns:x='y'>b</x:EMailAddress>{SCHEMA}"
        ),
        request()
        .replace(b"<", b"<a:")
        .replace(b"<a:/", b"</a:")
        .replace(b"<a:?", b"<?")
        .replace(b"xmlns=", b"xmlns:a="),
        request(namespace=OUTLOOK_REQUEST),
        request().decode().replace("utf-8", "utf-16").encode("utf-16"),
        request().replace(b"utf-8", b"no-such-encoding"),
    ],
)
def test_whom_a_phone_asks_about(body):
    assert read_request(body) == "alice@example.com"


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (601, request(schema=OUTLOOK_RESPONSE)),
        (601, request(schema=OUTLOOK_RESPONSE, namespace=OUTLOOK_REQUEST)),
        (601, request(schema="")),
        (600, b""),
        (600, b"hello"),
        (600, request()[:-1]),
        (600, request() + request()),
        (600, request(namespace="")),
        (600, request(namespace="http://example.com/")),
        (600, request(root="Autodiscovery")),
        (600, request(SCHEMA)),
        (600, request("<EMailAddress>alice@example.com</EMailAddress>")),
        (600, request(f"<EMailAddress>a@example.com</EMailAddress><EMailAddress>b@example.com</EMailAddress>{SCHEMA}")),
        (600, request(f"<EMailAddress>a@example.com</EMailAddress>{SCHEMA}{SCHEMA}")),
        (600, request(f"<EMailAddress></EMailAddress>{SCHEMA}")),
        (600, request(f"<EMailAddress>alice</EMailAddress>{SCHEMA}")),
        (600, request(f"<EMailAddress>alice@example.com@example.org</EMailAddress>{SCHEMA}")),
        (600, request(f"<EMailAddress>al ice@example.com</EMailAddress>{SCHEMA}")),
        (600, request(f"<EMailAddress><b>alice@example.com</b></EMailAddress>{SCHEMA}")),
        (600, request(f"<EMailAddress>{'a' * 2000}@example.com</EMailAddress>{SCHEMA}")),
        (600, request(f"<User><EMailAddress>alice@example.com</EMailAddress></User>{SCHEMA}")),
        (600, request(f"<EMailAddress>alice@example.com</EMailAddress>{SCHEMA}{'<a>' * 20}{'</a>' * 20}")),
        (600, request(f"<EMailAddress>alice@example.com</EMailAddress>{SCHEMA}{'<a/>' * 100}")),
        (600, request() + b" " * DOCUMENT_LIMIT),
        # what an XML parser could be made to do
        (600, request(before="<!DOCTYPE Autodiscover>")),
        (600, request("&a;" + SCHEMA, before='<!DOCTYPE Autodiscover [<!ENTITY a "b">]>')),
        (600, request(before='<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>')),
        (600, request(before='<!DOCTYPE a SYSTEM "http://127.0.0.1/">')),
        (600, request(f"<EMailAddress>&xxe;@example.com</EMailAddress>{SCHEMA}")),
        (600, request().decode().replace("utf-8", "utf-16").encode("utf-32")),
        (600, request().replace(b"utf-8", b"utf-7").replace(b"alice", b"+AGEAbABpAGMAZQ-\xe4")),
        (600, request(f"<EMailAddress>alice@example.com\x00</EMailAddress>{SCHEMA}")),
        (600, request().replace(b"alice", b"\xff\xfe")),
    ],
)
def test_what_is_no_request_for_us(code, body):
    with pytest.raises(AutodiscoverError) as caught:
        read_request(body)
    assert caught.value.code == code


@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda text: request(text + SCHEMA)))
def test_any_bytes_are_read_or_refused(body):
    with contextlib.suppress(AutodiscoverError):
        assert "@" in read_request(body)


@given(st.integers(0, len(request()) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_a_damaged_request_is_read_or_refused(at, put, cut):
    with contextlib.suppress(AutodiscoverError):
        assert "@" in read_request(request()[:at] + put + request()[at + cut :])


def test_an_answer_is_what_phones_look_for():
    document = ET.fromstring(render_settings("alice@example.com", "Alice", "https://eas.example.com/x"))
    assert document.tag == f"{NS}Autodiscover"
    assert document.findtext(f"{MS}Response/{MS}User/{MS}EMailAddress") == "alice@example.com"
    server = document.find(f"{MS}Response/{MS}Action/{MS}Settings/{MS}Server")
    assert [(one.tag.removeprefix(MS), one.text) for one in server] == [
        ("Type", "MobileSync"),
        ("Url", "https://eas.example.com/x"),
        ("Name", "https://eas.example.com/x"),
    ]


def test_an_error_is_in_the_frameworks_namespace():
    document = ET.fromstring(render_error(AutodiscoverError(601, "Provider is not available")))
    error = document.find(f"{NS}Response/{NS}Error")
    assert [(one.tag.removeprefix(NS), one.text) for one in error] == [
        ("ErrorCode", "601"),
        ("Message", "Provider is not available"),
        ("DebugData", None),
    ]
    assert b"Invalid Request" in render_error(AutodiscoverError(600, "what the phone need not know"))


@given(st.text(), st.text(), st.text())
def test_nothing_written_into_an_answer_becomes_markup(address, name, url):
    document = ET.fromstring(render_settings(address, name, url))
    assert len(list(document.iter())) == 12


# -- version 2

GOOD = b'{"Protocol":"ActiveSync","Url":"https://eas.example.com/Microsoft-Server-ActiveSync"}'


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (b"/autodiscover/autodiscover.json", b"Email=u%40example.com&Protocol=ActiveSync&RedirectCount=1"),
        (b"/autodiscover/autodiscover.json", b"email=nobody@example.org&protocol=activesync"),
        (b"/autodiscover/autodiscover.json/", b"Protocol=ActiveSync&Email=x"),
        (b"/Autodiscover/AutoDiscover.JSON/V1.0/u%40example.com", b"Protocol=ActiveSync"),
        (b"/autodiscover/autodiscover.json/v1.0/u@example.com", b"RedirectCount=1&Protocol=ActiveSync"),
    ],
)
def test_the_same_address_for_everybody(path, query):
    answer = answer_json(path, query, URLS)
    assert (answer.status, answer.body) == (200, GOOD)


def test_the_other_version_is_found_by_this_one():
    answer = answer_json(b"/autodiscover/autodiscover.json", b"Email=u@example.com&Protocol=AutodiscoverV1", URLS)
    assert json.loads(answer.body) == {"Protocol": "AutodiscoverV1", "Url": URLS["AutodiscoverV1"]}


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        (b"/autodiscover/autodiscover.json", b"", "MandatoryParameterMissing"),
        (b"/autodiscover/autodiscover.json", b"Protocol=ActiveSync", "MandatoryParameterMissing"),
        (b"/autodiscover/autodiscover.json", b"Email=&Protocol=ActiveSync", "MandatoryParameterMissing"),
        (b"/autodiscover/autodiscover.json", b"Email=u@example.com", "MandatoryParameterMissing"),
        (b"/autodiscover/autodiscover.json/v1.0/", b"Protocol=ActiveSync", "MandatoryParameterMissing"),
        (b"/autodiscover/autodiscover.json/v1.0/u@example.com", b"", "MandatoryParameterMissing"),
        (b"/autodiscover/autodiscover.json", b"Email=u@example.com&Protocol=Ews", "InvalidProtocol"),
        (b"/autodiscover/autodiscover.json", b"Email=u@example.com&Protocol=%3Cscript%3E", "InvalidProtocol"),
        (b"/autodiscover/autodiscover.json", b"&".join([b"a=b"] * 20), "InvalidRequest"),
    ],
)
def test_errors_of_version_2(path, query, code):
    answer = answer_json(path, query, URLS)
    assert answer.status == 400
    assert json.loads(answer.body)["ErrorCode"] == code
    assert b"script" not in answer.body


@pytest.mark.parametrize("rest", [b"/v1.0", b"/v2.0/u@example.com", b"/v1.0/a/b", b"//v1.0/u@example.com"])
def test_other_forms_are_not_there(rest):
    assert answer_json(b"/autodiscover/autodiscover.json" + rest, b"Protocol=ActiveSync", URLS).status == 404


def test_which_path_is_which_version():
    assert version(b"/autodiscover/autodiscover.xml") == version(b"/AutoDiscover/AUTODISCOVER.XML") == 1
    assert version(b"/Autodiscover/Autodiscover.json") == version(b"/autodiscover/autodiscover.json/v1.0/x") == 2
    for path in (
        b"",
        b"/autodiscover/autodiscover.xml/",
        b"/autodiscover/autodiscover.svc",
        b"/autodiscover/autodiscover.jsonx",
    ):
        assert version(path) is None


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_path_and_query_has_an_answer(rest, query):
    answer = answer_json(b"/autodiscover/autodiscover.json" + rest, query, URLS)
    assert answer.status in {200, 400, 404}

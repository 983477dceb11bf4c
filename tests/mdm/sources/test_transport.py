"""One exchange: where it may go, how long it may take, and what may come back."""

import asyncio
import contextlib
import logging
import ssl

import pytest
from tests.support.loop import in_loop
from tests.support.rest_api import answer, rest_api
from tests.support.tls import make_certificates
from tests.support.workspace_one import twin_login

from gatepost.demo.workspace_one import Mood, WorkspaceOneTwin
from gatepost.mdm.sources import transport
from gatepost.mdm.sources.base import SourceRefused, SourceUnavailable
from gatepost.mdm.sources.transport import Answer, Connection, Transport


@pytest.mark.parametrize(
    "url",
    ["https://mdm.example.com", "https://mdm.example.com:8443/api/v1", "https://[2001:db8::1]", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"],
)  # fmt: skip
def test_a_url_that_may_have_our_credentials(url):
    assert Connection(url).url == url


@pytest.mark.parametrize(
    "url",
    ["", "mdm.example.com", "//mdm.example.com", "ftp://mdm.example.com", "http://mdm.example.com", "http://10.0.0.1", "https://", "https://user@mdm.example.com",
     "https://mdm.example.com/?x=1", "https://mdm.example.com/#x", "https://mdm.example.com:99999", "https://mdm.example.com:x", "file:///etc/passwd"],
)  # fmt: skip
def test_a_url_that_may_not(url):
    with pytest.raises(ValueError, match="source"):
        Connection(url)


def test_a_refused_url_does_not_show_its_user():
    with pytest.raises(ValueError, match=r"mdm\.example\.com") as caught:
        Connection("https://alice:" + "hunter2hunter2" + "@mdm.example.com")
    assert "hunter2" not in str(caught.value)


def test_what_httpx_logs_of_each_request_is_not_logged():
    assert logging.getLogger("httpx").getEffectiveLevel() == logging.WARNING
    assert logging.getLogger("httpcore").getEffectiveLevel() == logging.WARNING


@pytest.mark.parametrize(("body", "page"), [(b"<html>", True), (b"\xef\xbb\xbf \n<?xml", True), (b"{}", False), (b"", False), (b"gone", False)])  # fmt: skip
def test_a_web_page_is_seen(body, page):
    assert Answer(404, {}, body).is_page is page


async def asked(reply, **options):
    async with rest_api(reply) as api:
        client = Transport(Connection(api.url, **options))
        try:
            return await client.ask("GET", api.url + "/x", {"accept": "application/json"}), api
        finally:
            await client.close()


@in_loop
async def test_an_answer_comes_back_whatever_its_status():
    found, api = await asked(lambda _: answer({"a": 1}, 418, {"X-Thing": "1"}))
    assert (found.status, found.headers["x-thing"], found.body) == (418, "1", b'{"a": 1}')
    assert api.requests[0].headers["accept-encoding"] == "identity"
    assert api.requests[0].headers["accept"] == "application/json"


@in_loop
async def test_a_redirection_is_not_followed():
    found, api = await asked(lambda _: answer({}, 302, {"Location": "/elsewhere"}))
    assert found.status == 302
    assert api.asked == ["/x"]


@in_loop
async def test_a_body_without_end_is_not_read(monkeypatch):
    monkeypatch.setattr(transport, "BODY_LIMIT", 1000)
    assert (await asked(lambda _: answer(body=b"x" * 1000)))[0].body == b"x" * 1000
    with pytest.raises(SourceRefused, match="more than 1000 bytes"):
        await asked(lambda _: answer(body=b"x" * 1001))


@in_loop
async def test_a_compressed_body_is_not_unpacked():
    with pytest.raises(SourceRefused, match="compressed"):
        await asked(lambda _: answer({}, headers={"Content-Encoding": "gzip"}))


@in_loop
async def test_who_does_not_answer_is_not_waited_for():
    twin = WorkspaceOneTwin(twin_login())
    await twin.start()
    client = Transport(Connection(twin.url, timeout=0.2))
    twin.fail(Mood.HANGS)
    with pytest.raises(SourceUnavailable, match=r"within 0\.2 seconds"):
        await client.ask("GET", twin.url, {})
    twin.fail(Mood.DROPS)
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        await client.ask("GET", twin.url, {})
    url = twin.url
    await twin.close()
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        await client.ask("GET", url, {})
    await client.close()


@in_loop
async def test_who_waits_for_a_connection_is_not_kept_waiting_by_the_source():
    async def slow(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.2)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = Transport(Connection(url, timeout=0.35, connections=1))
    answers = await asyncio.gather(*(client.ask("GET", url, {}) for _ in range(4)))
    assert [one.body for one in answers] == [b"{}"] * 4
    await client.close()
    await ended.wait()
    server.close()


@in_loop
async def test_tls_as_the_operator_set_it_up(tmp_path):
    made = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    twin = WorkspaceOneTwin(twin_login())
    await twin.start(tls=context)
    weak = "ECDHE+AESGCM:!ECDSA"  # what tenants with weak keys need; this one has only ECDSA
    for options, why in (
        ({}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca_file": made.authority, "ciphers": weak}, "(?i)handshake|reset|eof"),
    ):
        client = Transport(Connection(twin.url, **options))
        with pytest.raises(SourceUnavailable, match=why):
            await client.ask("GET", twin.url, {})
        await client.close()
    client = Transport(Connection(twin.url, ca_file=made.authority, ciphers="ECDHE+AESGCM"))
    assert (await client.ask("GET", twin.url + "/api/mdm/devices/1", {})).status == 401
    await client.close()
    await twin.close()


def test_ciphers_that_openssl_does_not_know_are_refused():
    with pytest.raises(ValueError, match="ciphers"):
        Transport(Connection("https://mdm.example.com", ciphers="NO-SUCH-CIPHER"))


def test_certificates_that_are_none_are_refused(tmp_path):
    for path in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(ValueError, match="ca_file"):
            Transport(Connection("https://mdm.example.com", ca_file=path))
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(ValueError, match=r"ca\.pem"):
        Transport(Connection("https://mdm.example.com", ca_file=tmp_path / "ca.pem"))


@in_loop
async def test_a_proxy_is_asked_instead_and_its_password_is_not_shown():
    async with rest_api(lambda _: answer({"via": "proxy"})) as proxy:
        connection = Connection("http://localhost:1", proxy=proxy.url)
        client = Transport(connection)
        assert (await client.ask("GET", "http://localhost:1/x", {})).body == b'{"via": "proxy"}'
        await client.close()
    assert proxy.url not in repr(connection)


@in_loop
async def test_a_proxy_of_the_environment_is_not_meant(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert (await asked(lambda _: answer({})))[0].status == 200


@pytest.mark.parametrize("proxy", ["", "proxy:3128", "socks5://proxy", "http://", "http://a b", "http://proxy/path"])
def test_a_proxy_that_is_none_is_refused(proxy):
    with pytest.raises(ValueError, match="`proxy` is"):
        Connection("https://mdm.example.com", proxy=proxy)

"""Real proxies that say whose connection they pass on: by the PROXY protocol, or by a header where they speak HTTP.

The configurations are those of docs/how-to/discovery-and-proxies.md, word for word but for TLS.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support import haproxy, nginx
from tests.support.daemons import free_ports
from tests.support.haproxy import Haproxy
from tests.support.mailbox_thread import MailboxThread
from tests.support.needs import need
from tests.support.nginx import Nginx
from tests.support.phone import Phone
from tests.support.stack import Gatepost

from gatepost.demo.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "discovery-and-proxies.md"
ALICE = "alice@example.com"
PROXY, OFFICE, ELSEWHERE = "127.0.0.1", "127.0.0.20", "127.0.0.30"  # all of 127.0.0.0/8 is this machine
IN, REFUSED = (200, "1"), (200, "129")


def product(*, proxy_protocol: bool) -> Iterator[Gatepost]:
    """The product, where ActiveSync is for the office only and the proxy's address is the only trusted one."""
    mailbox = MailboxThread(Mailbox(ACCOUNTS))
    settings = {"TRUSTED_PROXIES": f"{PROXY}/32", "PROXY_PROTOCOL": str(proxy_protocol).lower()}
    gatepost = Gatepost(mailbox.url, settings={f"GATEPOST_GATEWAY__{key}": value for key, value in settings.items()})
    gatepost.client = boto3_client(gatepost)
    try:
        gatepost.serve()
        for rule in gatepost.call("list_access_control_rules")["Rules"]:
            gatepost.call("delete_access_control_rule", Name=rule["Name"])
        office = {"Name": "Office", "Effect": "ALLOW", "Description": "the office", "IpRanges": [f"{OFFICE}/32"]}
        gatepost.call("put_access_control_rule", **office)
        gatepost.wait_followed()
        yield gatepost
    finally:
        gatepost.stop()
        mailbox.stop()


@pytest.fixture(scope="module")
def by_protocol() -> Iterator[Gatepost]:
    yield from product(proxy_protocol=True)


@pytest.fixture(scope="module")
def by_header() -> Iterator[Gatepost]:
    yield from product(proxy_protocol=False)


def documented(kind: str, number: int, gatepost: Gatepost, port: int) -> str:
    """A configuration out of the page, for this gateway and port, and without TLS."""
    found = re.findall(rf"```{kind}\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)[number]
    found = re.sub(r"listen 443 ssl|bind :443 ssl crt \S+", lambda m: f"{m[0].split()[0]} 127.0.0.1:{port}", found)
    found = re.sub(r"^ *ssl_certificate.*\n", "", found, flags=re.MULTILINE)
    assert re.search(r"\b443\b", found) is None
    assert "127.0.0.1:8080" in found
    return found.replace("127.0.0.1:8080", gatepost.gateway_url.split("/")[2])


def nginx_stream(gatepost: Gatepost, port: int) -> Nginx:
    need(nginx.missing_stream())
    return Nginx("", port=port, stream=documented("nginx", 1, gatepost, port))


def haproxy_tcp(gatepost: Gatepost, port: int, options: str | None = None) -> Haproxy:
    need(haproxy.missing())
    section = documented("haproxy", 1, gatepost, port)
    if options is not None:
        assert DOCUMENTED_OPTIONS in section
        section = section.replace(DOCUMENTED_OPTIONS, options)
    return Haproxy(section.replace(" check\n", " check inter 200ms\n"), port=port)


DOCUMENTED_OPTIONS = "send-proxy-v2 proxy-v2-options crc32c"
SPEAKERS: dict[str, Callable[[Gatepost, int], Nginx | Haproxy]] = {
    "nginx stream, version 1": nginx_stream,
    "haproxy, as documented": haproxy_tcp,
    "haproxy, version 1": lambda gatepost, port: haproxy_tcp(gatepost, port, "send-proxy"),
    "haproxy, version 2": lambda gatepost, port: haproxy_tcp(gatepost, port, "send-proxy-v2"),
    "haproxy, version 2 with more": lambda gatepost, port: haproxy_tcp(
        gatepost, port, "send-proxy-v2 proxy-v2-options crc32c,authority,ssl"
    ),
}


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_the_phones_own_address_counts(by_protocol, speaker):
    (port,) = free_ports(1)
    proxy = SPEAKERS[speaker](by_protocol, port)
    try:
        proxy.wait()
        url = f"http://127.0.0.1:{port}/Microsoft-Server-ActiveSync"
        refused = by_protocol.metrics()["gatepost_proxy_headers_refused_total"]
        assert outcome(url, source=OFFICE) == IN
        assert outcome(url, source=ELSEWHERE) == REFUSED
        assert outcome(url, source=ELSEWHERE, headers={"X-Forwarded-For": OFFICE}) == REFUSED
        assert autodiscover(port)["Url"].endswith("/Microsoft-Server-ActiveSync")
        if isinstance(proxy, Haproxy):  # it checks our health by connections of its own, which say LOCAL or its address
            checks = answered_checks(by_protocol)
            time.sleep(1)
            assert answered_checks(by_protocol) > checks
            assert "DOWN" not in proxy.daemon.said()
        assert by_protocol.metrics()["gatepost_proxy_headers_refused_total"] == refused
    finally:
        proxy.stop()


def answered_checks(gatepost: Gatepost) -> float:
    return gatepost.metrics()['gatepost_requests_total{command="Autodiscover",status="200"}']


def test_without_a_proxy_in_between(by_protocol):
    url = by_protocol.gateway_url
    assert outcome(url, source=OFFICE) == IN
    assert outcome(url, source=ELSEWHERE) == REFUSED
    before = by_protocol.metrics()["gatepost_proxy_headers_refused_total"]
    with pytest.raises((OSError, EOFError)):  # the trusted proxy, and it does not say who it speaks for
        outcome(url, source=PROXY)
    assert by_protocol.metrics()["gatepost_proxy_headers_refused_total"] > before


def nginx_http(gatepost: Gatepost, port: int) -> Nginx:
    need(nginx.missing())
    return Nginx(documented("nginx", 0, gatepost, port), port=port)


def haproxy_http(gatepost: Gatepost, port: int, headers: str | None = None) -> Haproxy:
    need(haproxy.missing())
    section = documented("haproxy", 0, gatepost, port)
    if headers is not None:
        section = section.replace("option forwardfor", headers).replace("http-request del-header Forwarded", "")
    return Haproxy(section, port=port)


SAYING: dict[str, Callable[[Gatepost, int], Nginx | Haproxy]] = {
    "nginx, as documented": nginx_http,
    "haproxy, as documented": haproxy_http,
    "haproxy, Forwarded": lambda gatepost, port: haproxy_http(
        gatepost, port, "http-request set-header Forwarded for=%[src]\n  http-request del-header X-Forwarded-For"
    ),
    "haproxy, both": lambda gatepost, port: haproxy_http(
        gatepost, port, "option forwardfor\n  http-request set-header Forwarded for=%[src]"
    ),
}


@pytest.mark.parametrize("saying", SAYING)
def test_what_a_proxy_says_in_a_header_counts(by_header, saying):
    (port,) = free_ports(1)
    proxy = SAYING[saying](by_header, port)
    try:
        proxy.wait()
        url = f"http://127.0.0.1:{port}/Microsoft-Server-ActiveSync"
        forged = {"X-Forwarded-For": OFFICE, "Forwarded": f"for={OFFICE}"}
        assert outcome(url, source=OFFICE) == IN
        assert outcome(url, source=ELSEWHERE) == REFUSED
        assert outcome(url, source=ELSEWHERE, headers=forged) == REFUSED
        assert autodiscover(port)["Url"].endswith("/Microsoft-Server-ActiveSync")
    finally:
        proxy.stop()


def test_forged_headers_are_counted(by_header):
    def ignored():
        return by_header.metrics().get('gatepost_forwarding_headers_ignored_total{header="Forwarded"}', 0.0)

    before = ignored()
    assert outcome(by_header.gateway_url, source=ELSEWHERE, headers={"Forwarded": f"for={OFFICE}"}) == REFUSED
    assert ignored() > before


def autodiscover(port: int) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}/Autodiscover/Autodiscover.json?Email={ALICE}&Protocol=ActiveSync"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, str] = json.load(answer)
    return found


def outcome(url: str, *, source: str, headers: dict[str, str] | None = None) -> tuple[int, str | None]:
    """What a phone that calls from `source` hears when it syncs its folders."""
    phone = Phone(url, ALICE, ACCOUNTS[ALICE], device_id="PROXIED1", source=source, headers=headers or {})
    try:
        provisioned = phone.provision()
        return phone.folder_sync().outcome if provisioned.outcome == IN else provisioned.outcome
    finally:
        phone.close()

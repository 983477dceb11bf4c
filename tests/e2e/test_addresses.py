"""An access control rule on addresses, behind nginx: X-Forwarded-For is believed from trusted proxies, and from nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support.daemons import free_ports
from tests.support.mailbox_thread import MailboxThread
from tests.support.nginx import Nginx, front
from tests.support.phone import Phone
from tests.support.stack import Gatepost

from gatepost.demo.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

ALICE = "alice@example.com"
PROXY, OFFICE, ELSEWHERE = "127.0.0.1", "127.0.0.20", "127.0.0.30"  # all of 127.0.0.0/8 is this machine
IN, REFUSED = (200, "1"), (200, "129")


@pytest.fixture(scope="module")
def gatepost() -> Iterator[Gatepost]:
    """The product, where ActiveSync is for the office only and nginx's address is the only trusted one."""
    mailbox = MailboxThread(Mailbox(ACCOUNTS))
    product = Gatepost(mailbox.url, settings={"GATEPOST_GATEWAY__TRUSTED_PROXIES": f"{PROXY}/32"})
    product.client = boto3_client(product)
    try:
        product.serve()
        for rule in product.call("list_access_control_rules")["Rules"]:
            product.call("delete_access_control_rule", Name=rule["Name"])
        office = {"Name": "Office", "Effect": "ALLOW", "Description": "the office", "IpRanges": [f"{OFFICE}/32"]}
        product.call("put_access_control_rule", **office)
        product.wait_followed()
        yield product
    finally:
        product.stop()
        mailbox.stop()


@pytest.fixture(scope="module")
def nginx_url(gatepost: Gatepost, need_nginx: None) -> Iterator[str]:
    (port,) = free_ports(1)
    proxy = Nginx(front(port=port, upstream=gatepost.gateway_url.rsplit("/", 1)[0]), port=port)
    try:
        proxy.wait()
        yield gatepost.gateway_url.replace(gatepost.gateway_url.split("/")[2], f"127.0.0.1:{port}")
    finally:
        proxy.stop()


def outcome(url: str, *, source: str, forwarded_for: str | None = None) -> tuple[int, str | None]:
    """What a phone that calls from `source` hears when it syncs its folders."""
    headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else {}
    phone = Phone(url, ALICE, ACCOUNTS[ALICE], device_id="ADDRESS1", source=source, headers=headers)
    try:
        provisioned = phone.provision()
        return phone.folder_sync().outcome if provisioned.outcome == IN else provisioned.outcome
    finally:
        phone.close()


def test_through_nginx_the_phones_own_address_counts(nginx_url):
    assert outcome(nginx_url, source=OFFICE) == IN
    assert outcome(nginx_url, source=ELSEWHERE) == REFUSED


def test_what_a_phone_says_about_its_address_does_not_count(nginx_url, gatepost):
    assert outcome(nginx_url, source=ELSEWHERE, forwarded_for=OFFICE) == REFUSED
    assert outcome(gatepost.gateway_url, source=ELSEWHERE, forwarded_for=OFFICE) == REFUSED
    assert outcome(gatepost.gateway_url, source=OFFICE, forwarded_for=ELSEWHERE) == IN


def test_only_the_trusted_proxy_speaks_for_others(gatepost):
    assert outcome(gatepost.gateway_url, source=PROXY, forwarded_for=OFFICE) == IN
    assert outcome(gatepost.gateway_url, source=PROXY, forwarded_for=ELSEWHERE) == REFUSED
    assert outcome(gatepost.gateway_url, source=PROXY) == REFUSED

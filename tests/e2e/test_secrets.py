"""A process that tells everything (level debug) tells no secret, whatever phones and administrators do with theirs."""

from __future__ import annotations

import base64
import http.client
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support import secrets
from tests.support.phone import Phone
from tests.support.stack import Gatepost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.mailbox_thread import MailboxThread

pytestmark = pytest.mark.e2e

ALICE = "alice@example.com"
WRONG = secrets.password("a wrong one, typed on a phone")
PASTED = secrets.password("one that was pasted where it does not belong")


@pytest.fixture(params=["sqlite", "postgresql"])
def product(request: pytest.FixtureRequest, mailbox: MailboxThread) -> Iterator[Gatepost]:
    store_url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        name = f"gatepost_{time.monotonic_ns()}"
        server.execute(f"create database {name}")
        store_url = server.url(name)
    made = Gatepost(mailbox.url, store_url=store_url, settings={"GATEPOST_LOG__LEVEL": "debug"})
    made.client = boto3_client(made)
    yield made
    made.stop()


def test_what_goes_right_and_wrong_with_secrets_is_told_without_them(product):
    daemon = product.serve()
    phones(product)
    strangers(product)
    administrators(product)
    daemon.stop()
    told = daemon.log.read_text()
    assert "SECRETS2" in told, "or it has told nothing at all"


def phones(product: Gatepost) -> None:
    """Right and wrong passwords, allowed and denied, and a password in each place where one can be typed by mistake."""
    for device_id, effect in (("SECRETS1", "ALLOW"), ("SECRETS2", "DENY")):
        product.override(ALICE, device_id, effect)
        product.wait_followed()
        for login, password in (
            (ALICE, ACCOUNTS[ALICE]),
            (ALICE, WRONG),
            (f"EXAMPLE\\{ALICE}", WRONG),
            (PASTED, WRONG),
            (f"{PASTED}@example.com", WRONG),
            (f"{ALICE}:{PASTED}", WRONG),
        ):
            phone = Phone(product.gateway_url, login, password, device_id=device_id)
            try:
                assert phone.options().http_status in {200, 400, 401}
                assert phone.provision().http_status in {200, 400, 401}
                assert phone.folder_sync().http_status in {200, 400, 401}
            finally:
                phone.close()


def strangers(product: Gatepost) -> None:
    """Requests that are none, with a secret in them."""
    url = urlsplit(product.gateway_url)
    host, path = url.netloc, url.path
    sent = base64.b64encode(f"{ALICE}:{PASTED}".encode()).decode()
    heads = (
        f"POST {path}?Cmd=FolderSync&User=alice&DeviceId=X1&DeviceType=X&Password={PASTED} HTTP/1.1\r\nAuthorization: Basic {sent}",
        f"POST {path}?Cmd=FolderSync&User={PASTED}&DeviceId={PASTED}{PASTED}&DeviceType=X HTTP/1.1\r\nAuthorization: Basic {sent}",
        f"POST {path}?{sent} HTTP/1.1\r\nAuthorization: Basic {sent}",
        f"POST {path}?{sent} HTTP/1.1\r\nAuthorization: Bearer {PASTED}",
        f"POST http://alice:{PASTED}@{host}{path}?Cmd=Sync HTTP/1.1\r\nAuthorization: Basic {sent}",
        f"GET /{PASTED}?password={PASTED} HTTP/1.1\r\nAuthorization: Basic {sent}",
        f"OPTIONS {path} HTTP/1.1\r\nAuthorization: Basic {sent}\r\nAuthorization: Basic {sent}",
        f"OPTIONS {path} HTTP/1.1\r\nAuthorization : Basic {sent}",
        f"OPTIONS {path} HTTP/1.1\r\nMS-ASProtocolVersion: {PASTED}\r\nAuthorization: Basic {sent}",
        f"POST {path}?Cmd=Provision&User=alice&DeviceId=X1&DeviceType=X HTTP/1.1\r\nContent-Type: x/{PASTED}\r\nAuthorization: Basic {sent}",
        f"{PASTED} Authorization: Basic {sent}",
    )
    for head in heads:
        with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
            connection.sendall(
                f"{head}\r\nHost: {host}\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\x03\x01j".encode()
            )
            with connection.makefile("rb") as answer:
                secrets.record("answer", "an answer of the gateway", answer.read())


def administrators(product: Gatepost) -> None:
    """Keys that are made, used, used wrongly and revoked; a password that the API is told."""
    product.call("create_user", Name="bob", DisplayName="Bob", Password=secrets.password("bob's, told to the API"))
    product.gatepost("keys", "create", "--json")
    made = product.gatepost("keys", "create")
    key_id = made.partition("AWS_ACCESS_KEY_ID=")[2].split()[0]
    product.gatepost("keys", "revoke", key_id)
    right = product.initial["secret_access_key"]
    for access_key_id, secret in (
        (key_id, right),
        (product.initial["access_key_id"], PASTED),
        (right, product.initial["access_key_id"]),  # the two of them changed about: easily done
    ):
        product.initial |= {"access_key_id": access_key_id, "secret_access_key": secret}
        with pytest.raises(ClientError):
            product.new_client().list_organizations()
    host = urlsplit(product.control_url).netloc
    for headers in (
        {"Authorization": f"Basic {base64.b64encode(f'admin:{PASTED}'.encode()).decode()}"},
        {"Authorization": f"AWS4-HMAC-SHA256 Credential={right}/20260101/us-east-1/workmail/aws4_request"},
        {"X-Amz-Target": f"WorkMailService.{PASTED}"},
        {"X-Amz-Security-Token": PASTED},
    ):
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("POST", f"/?X-Amz-Signature={PASTED}", f'{{"Password": "{PASTED}"', headers)
        assert connection.getresponse().read()
        connection.close()

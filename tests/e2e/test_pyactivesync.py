"""A foreign client, unmodified, as in the field: pyactivesync over nginx with TLS, the gateway, a server with a policy.

It speaks 16.1, only https, insists on a policy key, and has a WBXML coder of its own.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from pyactivesync import Client, StatusError
from pyactivesync.models import FolderType
from tests.e2e.conftest import ACCOUNTS, boto3_client
from tests.support.daemons import free_ports, scratch_folder
from tests.support.mails import new_mail
from tests.support.nginx import Nginx, front
from tests.support.stack import Gatepost
from tests.support.tls import make_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.mailbox_thread import MailboxThread

pytestmark = pytest.mark.e2e

DEVICE_ID = "PYACTIVESYNC01"
ALICE = "alice@example.com"


@pytest.fixture
def gatepost(mailbox: MailboxThread) -> Iterator[Gatepost]:
    """The product in front of the demo mailbox, every device denied."""
    product = Gatepost(mailbox.url)
    product.client = boto3_client(product)
    try:
        product.serve()
        product.only_device_rules({"Name": "DefaultDenyAll", "Effect": "DENY"})
        product.wait_followed()
        yield product
    finally:
        product.stop()


@pytest.fixture
def tls_port(gatepost: Gatepost, need_nginx: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where nginx speaks TLS in front of the product, with a certificate that the client trusts."""
    folder: Path = scratch_folder("tls")
    made = make_certificates(folder)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.authority))
    (port,) = free_ports(1)
    upstream = gatepost.gateway_url.rsplit("/", 1)[0]
    proxy = Nginx(front(port=port, certificate=made.certificate, key=made.key, upstream=upstream), port=port, root=folder)  # fmt: skip
    try:
        proxy.wait()
        yield port
    finally:
        proxy.stop()


def new_client(port: int) -> Client:
    return Client(f"localhost:{port}", ALICE, ACCOUNTS[ALICE], device_id=DEVICE_ID)


def test_refused_at_first(tls_port, mailbox):
    with new_client(tls_port) as client, pytest.raises(StatusError) as refusal:
        client.list_folders()
    assert refusal.value.code == "129"
    assert mailbox.executed(DEVICE_ID) == []


def test_allowed_it_provisions_reads_sends_and_waits(gatepost, tls_port, mailbox):
    mailbox.deliver(ALICE, new_mail("First mail", "alice", "Grüße aus Köln\n"))
    gatepost.override(ALICE, DEVICE_ID, "ALLOW")
    gatepost.wait_followed()
    with new_client(tls_port) as client:
        folders = {folder.type: folder for folder in client.list_folders()}
        inbox = folders[FolderType.INBOX]
        key = client.sync_folder(inbox.id).sync_key
        first = client.sync_folder(inbox.id, key)
        assert [item.fields["Email.Subject"] for item in first.added] == ["First mail"]
        body = client.fetch_item(inbox.id, first.added[0].server_id)
        assert "Grüße aus Köln" in str(body)

        client.send_mail(new_mail("From pyactivesync", "bob"))
        arrived = mailbox.ask(lambda server: [mail.message["Subject"] for mail in server.mails("bob@example.com")])
        assert arrived == ["From pyactivesync"]

        threading.Timer(1, mailbox.deliver, (ALICE, new_mail("Second mail", "alice"))).start()
        asked = time.monotonic()
        woken = client.ping([inbox.id], heartbeat=60, timeout=70)
        assert inbox.id in woken.changed_folder_ids
        assert time.monotonic() - asked < 10
        second = client.sync_folder(inbox.id, first.sync_key)
        assert [item.fields["Email.Subject"] for item in second.added] == ["Second mail"]
    assert {one.command for one in mailbox.executed(DEVICE_ID)} >= {
        "Provision",
        "FolderSync",
        "Sync",
        "SendMail",
        "Ping",
    }
    gatepost.device(
        DEVICE_ID,
        device_model="pyactivesync",
        device_operating_system="Linux",
        device_user_agent="pyactivesync/0.1",
    )
    assert len(gatepost.devices()) == 1


def test_denied_while_it_waits_it_is_told_to_sync_folders_and_then_refused(gatepost, tls_port, mailbox):
    gatepost.override(ALICE, DEVICE_ID, "ALLOW")
    gatepost.wait_followed()
    with new_client(tls_port) as client:
        inbox = next(folder for folder in client.list_folders() if folder.type is FolderType.INBOX)
        threading.Timer(1, gatepost.override, (ALICE, DEVICE_ID, "DENY")).start()
        asked = time.monotonic()
        assert client.ping([inbox.id], heartbeat=60, timeout=70).status == "7"
        assert time.monotonic() - asked < 3
        with pytest.raises(StatusError) as refusal:
            client.list_folders()
    assert refusal.value.code == "129"
    assert [one.command for one in mailbox.cancelled(DEVICE_ID)] == ["Ping"]

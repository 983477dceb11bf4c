"""What the end-to-end tests stand on. Where a real server cannot be started they are skipped, on CI they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from tests.support import nginx, postgres_server, sogo
from tests.support.mailbox_thread import MailboxThread
from tests.support.needs import need
from tests.support.postgres_server import PostgresServer
from tests.support.sogo import PASSWORDS, Sogo

from gatepost.demo.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.stack import Gatepost

ACCOUNTS = {f"{user}@example.com": password for user, password in PASSWORDS.items()}


@pytest.fixture(scope="session")
def sogo_server() -> Iterator[Sogo]:
    need(sogo.missing())
    server = Sogo()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def need_nginx() -> None:
    need(nginx.missing())


@pytest.fixture
def mailbox() -> Iterator[MailboxThread]:
    """The demo mailbox, which wants every device to accept its policy first."""
    thread = MailboxThread(Mailbox(ACCOUNTS, policy_required=True))
    yield thread
    thread.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    need(None if postgres_server.programs() else "not installed: postgresql (`make test` installs it)")
    server = PostgresServer()
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.remove()


def boto3_client(product: Gatepost) -> Any:
    """The client that administrators' scripts use."""
    return product.new_client(boto3.client)

"""A real server for the vendor's clients: uvicorn on a free loopback port, an SQLite store, one access key."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

import boto3
import pytest
import uvicorn
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from tests.support import evidence

from gatepost.control.app import create_app
from gatepost.control.health import store_probe
from gatepost.operations import access_keys
from gatepost.operations.context import Context
from gatepost.operations.sealing import new_key
from gatepost.store.database import Store
from gatepost.telemetry import new_registry
from gatepost.web.server import configuration

REGION = "eu-west-1"
AWS = Path(sys.executable).parent / "aws"


def utc_now():
    return datetime.now(UTC)


class Server:
    """The control API on `url`, and clients for it."""

    def __init__(self, folder, empty_store, **options):
        shutil.copy(empty_store, folder / "gatepost.db")
        self.store = Store.open(f"sqlite:///{folder / 'gatepost.db'}")
        self.sealing_key = new_key()
        self.context = self.context_for("test")
        key, self.secret = access_keys.create(self.context, self.sealing_key)
        self.access_key_id = key.access_key_id
        self.registry = new_registry()
        self.app = create_app(
            context_for=lambda key: self.context_for(key.access_key_id, key.role),
            key_of=self.key_of,
            now=utc_now,
            registry=self.registry,
            probes={"store": store_probe(self.store)},
            **options,
        )
        self.home = folder / "home"
        self.home.mkdir()
        self._names = itertools.count()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._uvicorn = uvicorn.Server(configuration(self.app))
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.005)

    def close(self):
        urllib.request.urlopen(
            f"{self.url}/metrics", timeout=10
        ).read()  # searched for secrets, as everything that is read
        self._uvicorn.should_exit = True
        self._thread.join()
        self._socket.close()
        self.store.close()

    def context_for(self, caller, role=None):
        return Context(self.store, utc_now, caller, role)

    def key_of(self, access_key_id):
        return access_keys.valid(self.context, self.sealing_key, access_key_id)

    def client(self, access_key_id=None, secret=None, **config):
        """A boto3 client; it checks nothing of the parameters itself and does not repeat, unless told."""
        defaults = {"parameter_validation": False, "retries": {"total_max_attempts": 1}}
        return boto3.client(
            "workmail",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=access_key_id or self.access_key_id,
            aws_secret_access_key=secret or self.secret,
            config=Config(**{**defaults, **config}),
        )

    def alias(self):
        """An alias that no organization of this server has."""
        return f"org{next(self._names)}"

    def aws(self, *words, **environment):
        """Run the `aws` command as its user would, with nothing but a key and a region in its environment."""
        given = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            **environment,
        }
        ran = subprocess.run([AWS, *words], env=given, capture_output=True, text=True, timeout=60, check=False)
        evidence.command_output(f"aws {' '.join(words[:2])}", ran.stdout, ran.stderr)
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def signed_headers(self, body, *, target="WorkMailService.ListOrganizations", **more):
        """The headers of a request that botocore has signed."""
        request = AWSRequest(
            "POST",
            f"{self.url}/",
            headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target, **more},
            data=body,
        )
        request.context["payload_signing_enabled"] = True
        SigV4Auth(Credentials(self.access_key_id, self.secret), "workmail", REGION).add_auth(request)
        return {"Host": f"127.0.0.1:{self.port}", **dict(request.headers.items())}

    def post(self, body=b"{}", headers=None, **more):
        """POST / as these bytes, signed unless `headers` are given: (status, headers, decoded body)."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/", body, headers or self.signed_headers(body, **more))
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        finally:
            connection.close()


class Ran:
    """What the `aws` command left behind."""

    def __init__(self, code, output, errors):
        self.code, self.output, self.errors = code, output, errors

    @property
    def answer(self):
        assert self.code == 0, self.errors
        return json.loads(self.output) if self.output.strip() else {}


@pytest.fixture(scope="package")
def server(tmp_path_factory, empty_sqlite_file):
    """One server for the tests here; each makes organizations of its own."""
    running = Server(tmp_path_factory.mktemp("control"), empty_sqlite_file)
    yield running
    running.close()


@pytest.fixture
def own_server(tmp_path, empty_sqlite_file):
    """A server for a test that counts organizations, stops the store, or gives it options."""
    running = []

    def start(**options):
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Server(folder, empty_sqlite_file, **options))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture(scope="package")
def client(server):
    return server.client()


@pytest.fixture
def organization_id(server, client):
    alias = server.alias()
    domains = [{"DomainName": f"{alias}.example.com"}]
    return client.create_organization(Alias=alias, Domains=domains)["OrganizationId"]


@pytest.fixture
def domain(client, organization_id):
    return client.describe_organization(OrganizationId=organization_id)["DefaultMailDomain"]


@pytest.fixture
def alice(client, organization_id, domain):
    """The id of an enabled user."""
    user_id = client.create_user(OrganizationId=organization_id, Name="alice", DisplayName="Alice")["UserId"]
    client.register_to_work_mail(OrganizationId=organization_id, EntityId=user_id, Email=f"alice@{domain}")
    return user_id

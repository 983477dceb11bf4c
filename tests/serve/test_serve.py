import asyncio
import contextlib
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta

import botocore.session
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from tests.support import evidence, secrets
from tests.support.cli import run as run_command

from gatepost import serve
from gatepost.control import health
from gatepost.gateway.limits import Limits
from gatepost.mdm import bridge, observing
from gatepost.model import keys
from gatepost.operations import access_keys
from gatepost.serve import CannotListen, Role, Server
from gatepost.settings import Address, SettingsError, load, read_key_file
from gatepost.store import feed, mdm_inbox, mdm_work
from gatepost.store.database import Store, StoreError

SETTINGS = {
    "GATEPOST_GATEWAY__LISTEN": "127.0.0.1:0",
    "GATEPOST_CONTROL__LISTEN": "127.0.0.1:0",
    "GATEPOST_GATEWAY__UPSTREAM": "http://127.0.0.1:9",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    assert run_command("init", "--directory", tmp_path, "--domain", "example.com").code == 0
    return tmp_path


def new_server(folder, role=Role.ALL, **environ: str) -> Server:
    settings = load(folder / "gatepost.toml", {**SETTINGS, **environ})
    return Server(settings, role, read_key_file(settings.store.key_file))


class Serving:
    """A server on an event loop in a thread."""

    def __init__(self, server: Server, *, alone: bool = False) -> None:
        self.server = server
        self.alone = alone  # without the API's listener
        server.open()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __enter__(self) -> httpx.Client:
        self.wait(self.server.start())
        address = self.server.mdm_address if self.alone else self.server.control_address
        self.client = httpx.Client(base_url=f"http://{address}", trust_env=False)
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.wait(self.server.stop())
        self.end()

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.server.close()


def families(client: httpx.Client) -> set[str]:
    return {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}


def test_everything_in_one_process(folder):
    server = new_server(folder)
    with Serving(server) as control:
        assert control.get("/healthz").text == "ok\n"
        ready = control.get("/readyz").json()
        assert (ready["ready"], ready["store"]["ready"], ready["replica"]["ready"]) == (True, True, True)
        assert control.post("/").json()["__type"] == "MissingAuthenticationTokenException"
        assert {"gatepost_decisions", "gatepost_replica_revision", "gatepost_control_requests"} <= families(control)
        answer = httpx.request(
            "OPTIONS", f"http://{server.gateway_address}/Microsoft-Server-ActiveSync", trust_env=False
        )
        assert answer.status_code == 401
        addresses = (server.control_address, server.gateway_address)
    for address in addresses:
        with pytest.raises(OSError), socket.create_connection(address, 1):
            pass


def test_whoever_was_answered_finds_the_gateway_going_by_the_change(folder, monkeypatch):
    def slow(*arguments):
        for changes in watch(*arguments):
            time.sleep(0.05)
            yield changes

    watch = feed.watch
    monkeypatch.setattr(feed, "watch", slow)
    server = new_server(folder)
    serving = Serving(server)
    with serving:
        key, secret = access_keys.create(server._context("test"), server._sealing_key)
        client = botocore.session.Session().create_client(
            "workmail",
            region_name="us-east-1",
            endpoint_url=f"http://{server.control_address}",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=secret,
            config=Config(proxies={}),
        )
        (organization,) = client.list_organizations()["OrganizationSummaries"]
        named = {"OrganizationId": organization["OrganizationId"], "UserId": "alice@example.com", "DeviceId": "A1"}
        for effect in ("DENY", "ALLOW") * 10:
            client.put_mobile_device_access_override(Effect=effect, **named)
            (ruleset,) = server._gateway.replica.rulesets.values()
            assert [override.effect for override in ruleset.overrides.values()] == [effect]
        client.close()


@pytest.mark.parametrize(("rate", "refused"), [("0.001", True), ("0", False)])
def test_the_rate_of_requests_is_a_setting_and_a_key_has_its_role(folder, rate, refused):
    limits = {"GATEPOST_CONTROL__REQUESTS_PER_SECOND": rate, "GATEPOST_CONTROL__BURST": "2"}
    server = new_server(folder, Role.CONTROL, GATEPOST_GATEWAY__UPSTREAM="", **limits)
    serving = Serving(server)
    with serving:
        key, secret = access_keys.create(server._context("test"), server._sealing_key, role=keys.Role.BRIDGE)
        client = botocore.session.Session().create_client(
            "workmail",
            region_name="us-east-1",
            endpoint_url=f"http://{server.control_address}",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=secret,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )
        assert len(client.list_organizations()["OrganizationSummaries"]) == 1
        with pytest.raises(ClientError, match="AccessDeniedException"):
            client.create_organization(Alias="acme")
        expected = pytest.raises(ClientError, match="ThrottlingException") if refused else contextlib.nullcontext()
        with expected:
            client.list_organizations()
        client.close()


def test_a_gateway_alone_has_health_and_no_api(folder):
    server = new_server(folder, Role.GATEWAY)
    with Serving(server) as control:
        assert set(control.get("/readyz").json()) == {"ready", "replica"}
        assert control.post("/").status_code in (404, 405)
        assert "gatepost_decisions" in families(control)
        assert server.gateway_address.port


def test_the_api_alone(folder):
    server = new_server(folder, Role.CONTROL, GATEPOST_GATEWAY__UPSTREAM="")
    with Serving(server) as control:
        assert server.gateway_address is None
        assert set(control.get("/readyz").json()) == {"ready", "store"}
        assert control.post("/").status_code == 400
        assert "gatepost_decisions" not in families(control)


WEBHOOK_PASSWORD = secrets.password("a webhook of a served bridge")
BRIDGE = f"""
[[mdm.sources]]
name = "any"
kind = "generic"
url = "http://127.0.0.1:9"
fetch_path = "/devices/{{device_key}}"
notification_key = "id"
fields = {{ device_key = "id" }}
[[mdm.sources.webhook_credentials]]
kind = "basic"
user = "mdm"
password = "{WEBHOOK_PASSWORD}"
"""


@pytest.mark.parametrize("role", [Role.ALL, Role.MDM])
def test_the_bridge_takes_notifications_beside_the_rest_or_alone(folder, role):
    with (folder / "gatepost.toml").open("a") as file:
        file.write(BRIDGE)
    upstream = {} if role is Role.ALL else {"GATEPOST_GATEWAY__UPSTREAM": ""}
    server = new_server(folder, role, GATEPOST_MDM__LISTEN="127.0.0.1:0", **upstream)
    serving = Serving(server, alone=role is Role.MDM)
    with serving, httpx.Client(base_url=f"http://{server.mdm_address}", trust_env=False) as webhooks:
        assert webhooks.get("/mdm/any").status_code == 401
        webhooks.auth = ("mdm", WEBHOOK_PASSWORD)
        assert webhooks.get("/mdm/any").status_code == 200
        assert webhooks.post("/mdm/any", json={"id": "7"}).status_code == 200
        assert webhooks.get("/healthz").text == "ok\n"
        gateway = {"replica"} if role is Role.ALL else set()
        assert set(webhooks.get("/readyz").json()) == {"ready", "store", "bridge"} | gateway
        assert {"gatepost_mdm_notifications", "gatepost_mdm_devices_settled"} <= families(webhooks)
        with server._store.read() as reader:
            assert mdm_inbox.last_received(reader, "any") is not None
        assert (server.gateway_address is None) == (role is Role.MDM)
        assert (server._control is None) == (role is Role.MDM)
    with pytest.raises(OSError), socket.create_connection(server.mdm_address, 1):
        pass


def wait_until(true, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it does not become so"
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("role", [Role.ALL, Role.MDM])
def test_an_mdm_that_is_away_takes_nothing_out_and_a_bridge_that_does_not_run_does(folder, role, monkeypatch):
    with (folder / "gatepost.toml").open("a") as file:
        file.write(BRIDGE)
    monkeypatch.setattr(bridge, "_OBSERVE_SECONDS", 0.05)
    upstream = {} if role is Role.ALL else {"GATEPOST_GATEWAY__UPSTREAM": ""}
    server = new_server(folder, role, GATEPOST_MDM__LISTEN="127.0.0.1:0", **upstream)
    with Serving(server, alone=role is Role.MDM) as client:

        def said():
            return client.get("/readyz").json()["bridge"]

        def taken_out():
            answer = client.get("/readyz")
            return answer.json() if answer.status_code == 503 else None

        with server._store.bookkeeping() as writer:
            mdm_work.dirty(writer, "any", "7", urgent=True)
        wait_until(lambda: said().get("sources", {}).get("any", {}).get("failures"))
        assert said()["sources"]["any"]["last_answer_seconds"] is None
        assert client.get("/readyz").status_code == 200

        def hangs(*arguments):
            time.sleep(0.5)
            return gauges(*arguments)

        gauges = observing.gauges
        monkeypatch.setattr(observing, "gauges", hangs)
        monkeypatch.setattr(health, "BRIDGE_SECONDS", 0.2)
        answer = wait_until(taken_out)
        assert answer["bridge"]["error"].startswith("the bridge has not looked at itself for ")
        assert answer["store"]["ready"]
        monkeypatch.setattr(observing, "gauges", gauges)
        wait_until(lambda: client.get("/readyz").status_code == 200)


def test_without_a_source_there_is_no_bridge(folder):
    server = new_server(folder)
    with Serving(server) as control:
        assert server.mdm_address is None
        assert set(control.get("/readyz").json()) == {"ready", "store", "replica"}
    with pytest.raises(
        SettingsError, match=r"mdm.sources: expected at least one table \[\[mdm.sources\]\], got nothing"
    ):
        new_server(folder, Role.MDM)


def test_a_denial_of_the_bridge_may_come_first(folder):
    server = new_server(folder, GATEPOST_MDM__BRIDGE_DENY_WINS="true")
    with Serving(server):
        assert server._context("test").bridge_deny_wins
        assert serve._gateway_configuration(server.settings).bridge_deny_wins
    assert not serve._gateway_configuration(new_server(folder).settings).bridge_deny_wins


@pytest.mark.parametrize("role", [Role.ALL, Role.GATEWAY])
def test_a_gateway_needs_a_mail_server(folder, role):
    with pytest.raises(SettingsError, match=r"gateway.upstream: expected the mail server's URL, got nothing"):
        new_server(folder, role, GATEPOST_GATEWAY__UPSTREAM="")


@pytest.mark.parametrize("key", ["gateway.listen", "control.listen", "mdm.listen"])
def test_a_taken_address_is_one_sentence_and_nothing_is_left_running(folder, key):
    with (folder / "gatepost.toml").open("a") as file:
        file.write(BRIDGE)
    # An address that other tests at the same time do not use: the port is free, and is to be free again.
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.77", 0)) as free:
        port, other = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        variables = {one: f"GATEPOST_{one.upper().replace('.', '__')}" for one in ("gateway.listen", "control.listen")}
        environ = {"GATEPOST_MDM__LISTEN": "127.0.0.1:0"} | {
            name: f"127.0.0.77:{other}" if side != key else f"127.0.0.1:{port}" for side, name in variables.items()
        }
        if key == "mdm.listen":
            environ |= {"GATEPOST_MDM__LISTEN": f"127.0.0.1:{port}", "GATEPOST_GATEWAY__LISTEN": "127.0.0.1:0"}
        serving = Serving(new_server(folder, **environ))
        with pytest.raises(CannotListen, match=f"{key}: cannot listen at 127.0.0.1:{port}: address already in use"):
            serving.wait(serving.server.start())
        socket.create_server(("127.0.0.77", other)).close()
        serving.end()


def test_a_database_that_is_not_there(folder):
    (folder / "gatepost.db").unlink()
    with pytest.raises(StoreError, match="gatepost db upgrade"):
        new_server(folder).open()


def test_an_upstream_with_tls_is_verified(folder):
    configuration = serve._gateway_configuration(new_server(folder, GATEPOST_GATEWAY__UPSTREAM="https://mail").settings)
    assert configuration.ssl_context.check_hostname
    assert serve._gateway_configuration(new_server(folder).settings).ssl_context is None


def test_old_changes_are_forgotten_after_a_day(folder, monkeypatch):
    store = Store.open(f"sqlite:///{folder}/gatepost.db")
    serve._compact_once(store)
    assert len(feed.changes_after(store, store.epoch, 0)) == 3
    later = serve._now() + timedelta(days=1, minutes=1)
    monkeypatch.setattr(serve, "_now", lambda: later)
    serve._compact_once(store)
    with pytest.raises(feed.Compacted):
        feed.changes_after(store, store.epoch, 0)
    assert feed.changes_after(store, store.epoch, 3) == []
    store.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_says_when_it_is_ready_and_ends_well(folder, number, tmp_path):
    import os

    environ = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")} | SETTINGS
    process = subprocess.Popen(
        [sys.executable, "-m", "gatepost", "serve", "--config", folder / "gatepost.toml"],
        env=environ, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    ready = next(line for line in map(json.loads, process.stderr) if line["event"] != "limits.few_files")
    assert (ready["event"], ready["role"]) == ("ready", "all")
    address = Address(*ready["control"].split(":"))
    assert httpx.get(f"http://{address}/readyz", trust_env=False).json()["ready"] is True
    started = time.monotonic()
    process.send_signal(number)
    rest = process.communicate(timeout=20)[1]
    assert process.returncode == 0, rest
    assert time.monotonic() - started < 5
    assert "Traceback" not in rest
    evidence.command_output("gatepost serve", "", json.dumps(ready) + rest)


@pytest.mark.parametrize(
    ("files", "possible"), [(resource.RLIM_INFINITY, 16_384), (100_000, 16_384), (20_000, 9_900), (64, 16)]
)
def test_connections_are_as_many_as_the_system_allows_files_for(monkeypatch, files, possible):
    limited = []
    monkeypatch.setattr(serve.resource, "getrlimit", lambda _: (1_024, files))
    monkeypatch.setattr(serve.resource, "setrlimit", lambda _, both: limited.append(both))
    with capture_logs() as logged:
        assert serve._fitting(Limits()).connections == possible
    assert [entry["possible"] for entry in logged] == ([] if possible == 16_384 else [possible])
    assert limited == ([] if files == 64 else [(min(files, 32_968) if files > 0 else 32_968, files)])

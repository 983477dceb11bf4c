"""The webhooks, over HTTP on a real socket with the server that `serve` gives them."""

import asyncio
import base64
import hmac
import json
import shutil
import socket
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs
from tests.support import secrets
from tests.support.clock import NOON, Clock

from gatepost.mdm import app as module
from gatepost.mdm.app import Receiver, create_app
from gatepost.mdm.inbox import Inbox
from gatepost.mdm.sources.base import BadNotification
from gatepost.mdm.sources.reading import Unreadable, read_json
from gatepost.store import mdm_inbox, mdm_work
from gatepost.store.database import Store
from gatepost.store.errors import StoreUnavailable
from gatepost.telemetry import new_registry
from gatepost.web.server import HttpServer
from gatepost.wire.webhook import (
    BasicCredential,
    HeaderCredential,
    SignatureCredential,
    StandardWebhooksCredential,
)

OLD = secrets.password("a webhook's old password")
NEW = secrets.password("a webhook's new password")
API_KEY = secrets.password("a webhook's header")
HMAC_KEY = secrets.password("a webhook's HMAC key").encode()
SIGNING_KEY = secrets.password("a webhook's signing key").encode()
EVENT = b'{"DeviceId": 10001, "EventType": "Compliance Status Changed", "EnrollmentEmailAddress": "alice@example.com"}'


class FakeSource:
    """Reads {"DeviceId": …}."""

    def device_key_of(self, body, headers):
        if "xml" in headers.get("content-type", ""):
            raise BadNotification("the event is XML: choose JSON in the console", 415)
        try:
            event = read_json(body)
        except Unreadable as error:
            raise BadNotification(f"the event cannot be read: {error}") from error
        if event == "broken":
            raise ZeroDivisionError
        found = event.get("DeviceId")
        return None if found is None else str(found)


RECEIVERS = {
    "uem": Receiver(FakeSource(), (BasicCredential("gatepost", OLD), BasicCredential("gatepost", NEW))),
    "keyed": Receiver(FakeSource(), (HeaderCredential("X-Api-Key", API_KEY),)),
    "signed": Receiver(FakeSource(), (SignatureCredential("X-Signature", HMAC_KEY),)),
    "standard": Receiver(FakeSource(), (StandardWebhooksCredential(SIGNING_KEY),)),
    "polled": Receiver(FakeSource(), ()),
}


class Served:
    """The webhooks, and what became of them."""

    def __init__(self, store, **options) -> None:
        self.store = store
        self.clock = Clock()
        self.registry = new_registry()
        self.told = 0
        self.missed: list[str] = []
        self.options = options

    def run(self, story):
        async def whole():
            inbox = Inbox(self.store, self.tell)
            routes = [Route("/healthz", lambda _: PlainTextResponse("ok\n"))]
            app = create_app(
                RECEIVERS,
                inbox,
                now=self.clock.now,
                registry=self.registry,
                routes=routes,
                missed=self.missed.append,
                **self.options,
            )
            server = HttpServer(socket.create_server(("127.0.0.1", 0)), app)
            await server.start()
            try:
                host, port = server.address
                async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
                    return await asyncio.wait_for(story(client), 30)
            finally:
                await server.stop()
                await inbox.close()

        return asyncio.run(whole())

    def tell(self) -> None:
        self.told += 1

    def request(self, method, path, **options) -> httpx.Response:
        async def story(client):
            return await client.request(method, path, **options)

        return self.run(story)

    def counted(self, source, result) -> float:
        found = self.registry.get_sample_value("gatepost_mdm_notifications_total", {"source": source, "result": result})
        return found or 0.0


@pytest.fixture
def store(empty_sqlite_file, tmp_path):
    """What is here has nothing to do with the database; the inbox is tested with each of them."""
    shutil.copy(empty_sqlite_file, tmp_path / "gatepost.db")
    opened = Store.open(f"sqlite:///{tmp_path / 'gatepost.db'}")
    yield opened
    opened.close()


@pytest.fixture
def served(store):
    return Served(store)


def basic(password=OLD, user="gatepost") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def signed(body=EVENT) -> dict[str, str]:
    return {"x-signature": "sha256=" + hmac.digest(HMAC_KEY, body, "sha256").hex()}


def standard(body=EVENT, name="msg_1", at=NOON) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    mac = hmac.digest(SIGNING_KEY, f"{name}.{timestamp}.".encode() + body, "sha256")
    signature = "v1," + base64.b64encode(mac).decode()
    return {"webhook-id": name, "webhook-timestamp": timestamp, "webhook-signature": signature}


HEADERS = {"uem": basic, "keyed": lambda: {"x-api-key": API_KEY}, "signed": signed, "standard": standard}


def stored(store, source) -> list[tuple[str, str | None, bytes]]:
    with store.read() as reader:
        found = mdm_inbox.since(reader, source, NOON - timedelta(days=1))
    return [(one.notification_id, one.device_key, one.body) for one in found]


def dirty(store) -> list[tuple[str, str]]:
    with store.bookkeeping() as writer:
        return sorted((one.source, one.device_key) for one in mdm_work.claim(writer, 60, 1000))


@pytest.mark.parametrize("source", HEADERS)
def test_a_notification_that_proves_itself_is_stored_and_its_device_dirty_when_it_is_answered(served, source):
    answer = served.request("POST", f"/mdm/{source}", headers=HEADERS[source](), content=EVENT)
    assert (answer.status_code, answer.text) == (200, "ok\n")
    ((notification_id, device_key, body),) = stored(served.store, source)
    assert (device_key, body) == ("10001", EVENT)
    assert notification_id == "msg_1" if source == "standard" else notification_id.startswith("sha256:")
    assert dirty(served.store) == [(source, "10001")]
    assert (served.told, served.counted(source, "stored")) == (1, 1)


def test_one_that_comes_twice_is_stored_once_and_the_device_looked_at_again(served):
    async def story(client):
        first = await client.post("/mdm/standard", headers=standard(), content=EVENT)
        found = dirty(served.store)
        # another body under the same id cannot be signed for by anybody but the sender
        again = await client.post("/mdm/standard", headers=standard(at=NOON + timedelta(seconds=9)), content=EVENT)
        return first.status_code, again.status_code, found

    assert served.run(story) == (200, 200, [("standard", "10001")])
    assert len(stored(served.store, "standard")) == 1
    assert served.counted("standard", "repeated") == 1


@pytest.mark.parametrize("seconds", [301, -301])
def test_a_recorded_notification_is_too_old_after_five_minutes(served, seconds):
    served.clock.advance(seconds)
    answer = served.request("POST", "/mdm/standard", headers=standard(), content=EVENT)
    assert answer.status_code == 401
    assert stored(served.store, "standard") == []


@pytest.mark.parametrize("password", [OLD, NEW])
def test_the_old_password_and_the_new_one_are_both_good_while_they_are_exchanged(served, password):
    answer = served.request("POST", "/mdm/uem", headers=basic(password), content=EVENT)
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("uem", {}),
        ("uem", basic("wrong")),
        ("uem", basic(OLD, "somebody")),
        ("uem", {"authorization": f"Bearer {OLD}"}),
        ("keyed", {"x-api-key": "wrong"}),
        ("keyed", basic()),
        ("signed", {}),
        ("signed", signed(EVENT + b" ")),
        ("standard", standard(EVENT + b" ")),
    ],
)
def test_whoever_does_not_prove_himself_gets_401_and_leaves_nothing(served, method, source, headers):
    answer = served.request(method, f"/mdm/{source}", headers=headers, content=EVENT if method == "POST" else b"")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="gatepost", charset="UTF-8"'
    assert stored(served.store, source) == []
    assert dirty(served.store) == []
    assert served.counted(source, "unauthorized") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_connection_test_of_a_console_proves_something(served, method):
    capitals = {"authorization": basic()["authorization"].replace("Basic", "BaSIc")}

    async def story(client):
        answers = [
            await client.request(method, "/mdm/uem", headers=capitals),
            await client.request(method, "/mdm/signed", headers=signed(b"")),
        ]
        return [answer.status_code for answer in answers]

    assert served.run(story) == [200, 200]
    assert stored(served.store, "uem") == []
    assert (served.counted("uem", "test"), served.counted("signed", "test")) == (1, 1)


@pytest.mark.parametrize("name", ["nobody", "polled", "%75em%00", "UEM"])
def test_a_source_that_is_not_there_or_sends_nothing_is_404_after_the_same_work(served, name, monkeypatch):
    asked = []
    original = module.prove
    monkeypatch.setattr(module, "prove", lambda *them: asked.append(len(them[0])) or original(*them))
    answer = served.request("POST", f"/mdm/{name}", headers=basic(), content=EVENT)
    assert (answer.status_code, asked) == (404, [1])
    assert served.counted("", "unknown-source") == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_there_is_no_other_method(served, method):
    assert served.request(method, "/mdm/uem", headers=basic()).status_code == 405


def test_other_routes_are_beside(served):
    assert served.request("GET", "/healthz").text == "ok\n"


@pytest.mark.parametrize(
    ("body", "headers", "status", "result", "reason"),
    [
        (b"<Eventlog/>", {"content-type": "application/xml"}, 415, "unsupported", "choose JSON"),
        (b"\x1f\x8b", {"content-encoding": "gzip"}, 415, "unsupported", "compressed"),
        (b"{", {}, 400, "unreadable", "not JSON"),
        (b'{"DeviceId": 1, "DeviceId": 2}', {}, 400, "unreadable", "twice"),
        (b'{"DeviceId": NaN}', {}, 400, "unreadable", "NaN"),
        (b"[" * 200_000, {}, 400, "unreadable", "cannot be read"),
        (b"", {}, 400, "unreadable", "cannot be read"),
        (b'"broken"', {}, 500, "failed", "internal error"),
    ],
)
def test_what_cannot_be_read_is_told_and_not_stored(served, body, headers, status, result, reason):
    answer = served.request("POST", "/mdm/uem", headers=basic() | headers, content=body)
    assert (answer.status_code, served.counted("uem", result)) == (status, 1)
    assert reason in answer.text
    assert stored(served.store, "uem") == []


def test_a_notification_of_no_device_is_kept_and_makes_nothing_dirty(served):
    assert served.request("POST", "/mdm/uem", headers=basic(), content=b"{}").status_code == 200
    assert [one[1] for one in stored(served.store, "uem")] == [None]
    assert dirty(served.store) == []
    assert served.counted("uem", "no-device") == 1


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("headers", [basic(), {}])
def test_a_body_has_256_kibibytes_at_most(served, more, headers):
    filler = json.dumps({"DeviceId": 1, "x": ""}).encode()
    body = filler[:-2] + b"a" * (256 * 1024 - len(filler) + more) + b'"}'
    answer = served.request("POST", "/mdm/uem", headers=headers, content=body)
    assert answer.status_code == (413 if more else 200 if headers else 401)


def test_a_body_of_a_stranger_is_not_kept(served, monkeypatch):
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 10)

    async def story(client):
        stranger = await client.post("/mdm/uem", content=EVENT)
        assert stranger.status_code == 401
        return await client.post("/mdm/uem", headers=basic(), content=EVENT)

    answer = served.run(story)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert served.counted("uem", "busy") == 1


def test_what_was_held_is_given_back(served, monkeypatch):
    monkeypatch.setattr(module, "MAX_HELD_BYTES", len(EVENT) + 1)

    async def story(client):
        return [
            (await client.post("/mdm/uem", headers=basic(), content=body)).status_code for body in (EVENT, b"{") * 3
        ]

    assert served.run(story) == [200, 400] * 3


def test_a_body_that_does_not_end_is_not_waited_for(store):
    served = Served(store, body_seconds=0.2)

    async def forever():
        yield b"{"
        await asyncio.sleep(1)  # this client reads the answer when it has sent everything
        yield EVENT[1:]

    assert served.request("POST", "/mdm/uem", headers=basic(), content=forever()).status_code == 408


@contextmanager
def _away():
    raise StoreUnavailable("the database does not answer")
    yield


def test_while_the_store_is_away_senders_are_told_to_come_again(served, monkeypatch):
    monkeypatch.setattr(served.store, "bookkeeping", _away)

    async def story(client):
        await client.post("/mdm/uem", headers=basic("wrong"), content=EVENT)
        assert served.missed == []  # strangers cannot have a source swept
        return await client.post("/mdm/uem", headers=basic(), content=EVENT)

    answer = served.run(story)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert (served.counted("uem", "unavailable"), served.told) == (1, 0)
    assert served.missed == ["uem"]  # it will hardly be sent again


def test_many_at_once_are_all_stored_before_they_are_answered(served):
    async def story(client):
        bodies = [json.dumps({"DeviceId": number}).encode() for number in range(200)]
        answers = await asyncio.gather(*(client.post("/mdm/uem", headers=basic(), content=one) for one in bodies))
        return {answer.status_code for answer in answers}

    assert served.run(story) == {200}
    assert len(stored(served.store, "uem")) == 200
    assert served.told < 200


def test_logs_have_neither_secrets_nor_people_in_them_and_strangers_write_one_line(served):
    async def story(client):
        for _ in range(5):
            await client.post("/mdm/uem", headers=basic("wrong"), content=EVENT)
        await client.post("/mdm/uem", headers=basic(), content=EVENT)
        await client.post("/mdm/alice@example.com", headers=basic(), content=EVENT)
        await client.post("/mdm/uem", headers=basic(), content=EVENT[:-1])

    with capture_logs() as logged:
        served.run(story)
    assert [(one["event"], one["source"], one["result"]) for one in logged] == [
        ("notification.refused", "uem", "unauthorized"),
        ("notification.refused", None, "unknown-source"),
        ("notification.refused", "uem", "unreadable"),
    ]
    assert not any(word in json.dumps(logged) for word in ("alice", "10001", OLD, "Basic "))

import asyncio
import time

import httpx
import pytest

from gatepost.control import health
from gatepost.control.app import create_health_app
from gatepost.control.health import Probe, bridge_probe, replica_probe, store_probe
from gatepost.store.database import Store
from gatepost.store.errors import StoreUnavailable
from gatepost.telemetry import new_registry


def asked(path, method="GET", **probes):
    async def ask():
        transport = httpx.ASGITransport(create_health_app(new_registry(), probes))
        async with httpx.AsyncClient(transport=transport, base_url="http://gatepost") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def test_alive_whatever_the_probes_say():
    answer = asked("/healthz", store=lambda: Probe(ready=False))
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_ready_when_every_probe_is():
    answer = asked("/readyz", store=lambda: Probe(ready=True), replica=lambda: Probe(ready=True, facts={"revision": 7}))
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "store": {"ready": True}, "replica": {"ready": True, "revision": 7}}


def test_not_ready_when_one_is_not():
    answer = asked("/readyz", store=lambda: Probe(ready=True), replica=lambda: Probe(ready=False))
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "store": {"ready": True}, "replica": {"ready": False}}


def test_a_probe_that_hangs_is_not_ready(monkeypatch):
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    answer = asked("/readyz", store=lambda: time.sleep(0.5) or Probe(ready=True))
    assert answer.status_code == 503
    assert answer.json()["store"] == {"ready": False, "error": "no answer within 0.05 seconds"}


@pytest.mark.parametrize(
    ("revision", "age", "ready"), [(7, 0.0, True), (7, 60.0, True), (7, 60.1, False), (None, float("inf"), False)]
)
def test_a_replica_is_ready_when_loaded_and_young(revision, age, ready):
    answer = asked("/readyz", replica=replica_probe(lambda: revision, lambda: age, max_age=60.0))
    assert answer.status_code == (200 if ready else 503)
    assert answer.json()["replica"] == {
        "ready": ready,
        "revision": revision,
        "age_seconds": None if revision is None else age,
        "max_age_seconds": 60.0,
    }


AWAY = {"sources": {"uem": {"last_answer_seconds": 7200.0, "failures": 40, "guard_stands": True}}}


@pytest.mark.parametrize(
    ("age", "trouble", "said"),
    [
        (3.0, None, {"ready": True}),
        (60.0, "the database does not answer", {"ready": True, "error": "the database does not answer"}),
        (60.1, "the database does not answer", {"ready": False, "error": "the database does not answer"}),
        (75.4, None, {"ready": False, "error": "the bridge has not looked at itself for 75 seconds"}),
    ],
)
def test_a_bridge_is_ready_while_it_runs_whoever_of_its_mdms_is_away(age, trouble, said):
    answer = asked("/readyz", bridge=bridge_probe(lambda: age, lambda: AWAY, lambda: trouble))
    assert answer.status_code == (200 if said["ready"] else 503)
    assert answer.json()["bridge"] == {"age_seconds": age, **AWAY, **said}


def test_a_store_is_ready_while_it_answers(store):
    probe = store_probe(store)
    assert probe() == Probe(ready=True, facts={"reachable": True})


def test_a_store_that_is_gone_is_not(empty_sqlite_file):
    class Gone(Store):
        def read(self):
            raise StoreUnavailable("the database does not answer")

    opened = Gone.open(f"sqlite:///{empty_sqlite_file}")
    try:
        found = store_probe(opened)()
    finally:
        opened.close()
    assert not found.ready
    assert found.facts == {"reachable": False, "error": "the database does not answer"}


def test_metrics_are_prometheus_text():
    answer = asked("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "process_resident_memory_bytes" in answer.text


def test_a_gateway_alone_has_no_control_api():
    assert asked("/", method="POST").status_code == 404


def test_the_three_are_beside_the_control_api(server):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert httpx.get(server.url + path).status_code == 200
    assert httpx.post(server.url + "/healthz").status_code == 405

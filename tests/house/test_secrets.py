"""The search for secrets finds them: in each place, in each spelling, in a run of several processes, told without their value."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from urllib.parse import quote

import pytest
from tests.support.secrets import RUN, Ledger

ROOT = Path(__file__).parent.parent.parent
SECRET = "qzrw7k2mx5vf3htj8nbd4pcy"

SPELLINGS = {
    "as it is": SECRET,
    "cut off": SECRET[:12],
    "its end": f"…{SECRET[-12:]}",
    "quoted": quote(f"a&{SECRET}", safe=""),
    "hex": SECRET.encode().hex(),
    "HEX": SECRET.encode().hex().upper(),
    "in a header": "Basic " + base64.b64encode(f"alice@example.com:{SECRET}".encode()).decode(),
    "in a header of another length": "Basic " + base64.b64encode(f"bob@example.com:{SECRET}".encode()).decode(),
    "in a third": "Basic " + base64.b64encode(f"carol@example.com:{SECRET}!".encode()).decode(),
    "for URLs": base64.urlsafe_b64encode(f"??>>~~{SECRET}".encode()).decode(),
    "repr": repr([{"headers": {b"x": SECRET.encode()}}]),
}


@pytest.fixture
def ledger():
    made = Ledger()
    made.register("alice's password", SECRET)
    return made


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_found_and_told_without_the_secret(ledger, spelling):
    ledger.record("log", "a log", f"first line\nuser=alice said {SPELLINGS[spelling]} and went on\nlast line")
    [found] = ledger.settle()
    assert str(found).startswith("alice's password: in a log, line 2: user=alice said ")
    assert str(found).endswith(" and went on")
    assert not any(str(found).find(SECRET[at : at + 6]) >= 0 for at in range(len(SECRET) - 6))
    assert ledger.settle() == []


def test_what_is_no_secret_is_not_found(ledger):
    ledger.record("log", "a log", f"{SECRET[:11]} {SECRET[5:15]}\n" + "alice password secret correct horse " * 100)
    assert ledger.settle() == []
    assert ledger.searched == {"log": 1}


def test_a_key_of_raw_bytes_is_found_raw_in_hex_and_in_base64(ledger):
    key = bytes(range(200, 232))
    ledger.register("the key", key)
    for text in (b"\0" * 999 + key, key.hex().encode(), base64.b64encode(key), base64.b64encode(b"x" + key)):
        [found] = ledger.search("database", "gatepost.db", text)
        assert found.label == "the key"


@pytest.mark.parametrize("short", ["secret", "geheim123", "xxxxxxxxxxxxxxxxxxxx"])
def test_a_word_is_no_secret_that_can_be_looked_for(short):
    with pytest.raises(ValueError, match="would find what is none"):
        Ledger().register("a word", short)


def test_passwords_are_the_same_in_every_process_and_like_nothing_else():
    assert Ledger().password("alice") == Ledger().password("alice") != Ledger().password("bob")
    assert re.fullmatch(r"[a-z2-7]{24}", Ledger().password("alice"))


# One test a place. Each one does what a careless change of the product would.
PLANTED = {
    "a log call (warning), line 2: header='Basic [here]'": """
        import structlog
        def test(password):
            structlog.get_logger().warning("login.failed", header="Basic " + b64encode(b"alice:" + password.encode()).decode())
    """,
    "a log call (warning), line 2: password='[here]'": """
        import structlog
        from structlog.testing import capture_logs
        def test(password):
            with capture_logs():
                structlog.get_logger().warning("caught", password=password)
    """,
    "a log call (error), line 6: ValueError: [here] is wrong": """
        import structlog
        def test(password):
            try:
                raise ValueError(password + " is wrong")
            except ValueError:
                structlog.get_logger().exception("failed")
    """,
    "a log record of uvicorn.error, line 1: got [here]": """
        import logging
        def test(password):
            logging.getLogger("uvicorn.error").warning("got %s", password)
    """,
    "what test_planted.py::test": """
        def test(password):
            print("debugging:", password)
    """,
    'an HTTP answer, line 7: gatepost_failures{login="alice:[here]"} 1.0': """
        import threading, urllib.request
        from http.server import BaseHTTPRequestHandler, HTTPServer
        from prometheus_client import CollectorRegistry, Gauge
        from gatepost.telemetry import render
        def test(password):
            registry = CollectorRegistry()
            Gauge("gatepost_failures", "Failed logins.", ["login"], registry=registry).labels("alice:" + password).inc()
            class Metrics(BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(render(registry)[0])
                def log_message(self, *_):
                    pass
            with HTTPServer(("127.0.0.1", 0), Metrics) as server:
                thread = threading.Thread(target=server.handle_request)
                thread.start()
                with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % server.server_port) as answer:
                    answer.read()
                thread.join()
    """,
    "the database gatepost.db": """
        from gatepost.operations import organizations
        def test(password, context):
            organizations.create(context, alias="example", domains=[password + ".example.com"])
            context.store.close()
    """,
    "standard error of gatepost serve": """
        from tests.support.cli import run
        def test(password, tmp_path):
            file = tmp_path / "gatepost.toml"
            file.write_text('[log]\\nlevel = "%s"\\n' % password)
            run("serve", "--config", file)
    """,
    "standard output of gatepost keys create": """
        from tests.support import evidence
        def test(context):
            key, secret = access_keys.create(context, new_key())
            shown = f"export AWS_SECRET_ACCESS_KEY={secret}\\n"
            evidence.command_output("gatepost keys create", shown)
            evidence.command_output("gatepost keys create, twice", shown + shown)
            context.store.close()
    """,
    "the log of gatepost": """
        from tests.support import evidence
        def test(tmp_path, context):
            key = new_key()
            access_keys.create(context, key)
            context.store.close()
            (tmp_path / "serve.log").write_text("ready\\nsealing with " + key.hex())
            evidence.process_log("gatepost", tmp_path / "serve.log")
    """,
}

HEAD = """
from base64 import b64encode
from datetime import UTC, datetime
import pytest
from tests.support import secrets
from gatepost.operations import access_keys
from gatepost.operations.context import Context
from gatepost.operations.sealing import new_key
from gatepost.store.database import Store

@pytest.fixture
def password():
    return secrets.password("alice's, planted")

@pytest.fixture
def context(tmp_path):
    return Context(Store.open(f"sqlite:///{tmp_path}/gatepost.db", create=True), lambda: datetime.now(UTC), "test")
"""


def test_a_run_of_several_processes_fails_where_a_secret_was_left_behind(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from tests.support import verdict\n\ndef pytest_configure(config):\n    verdict.install(config)\n"
    )
    parts = [dedent(text).replace("def test(", f"def test_{number}(") for number, text in enumerate(PLANTED.values())]
    clean = (
        "def test_clean(password, context):\n    access_keys.create(context, new_key())\n    context.store.close()\n"
    )
    (tmp_path / "test_planted.py").write_text("\n".join([HEAD, *parts, clean]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n2", "--import-mode=importlib", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    told = done.stdout
    assert done.returncode == 1, told + done.stderr
    for place in PLANTED:
        assert re.search(rf"^  .*(planted|secret|key).*: in {re.escape(place)}", told, re.MULTILINE), f"{place}\n{told}"
    assert f"{len(PLANTED)} errors" in told, told
    assert f"{len(PLANTED) + 1} passed" in told, told
    verdicts = re.findall(r"^  .*: in .*", told, re.MULTILINE)
    assert not any(RUN.password("alice's, planted")[:6] in one for one in verdicts)
    assert "gatepost keys create, twice" in told
    kinds = "database, .*log, .*metrics, .*output, .*printed, .*process log"
    assert re.search(rf"^secrets looked for: \d+, in .*{kinds}$", told, re.MULTILINE), told

import io
import json
import logging
import time

import pytest
import structlog

from gatepost.telemetry.logs import configure_logs, redact


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"authorization": "Basic YWxpY2U6Z2VoZWlt"}, {"authorization": "[redacted]"}),
        ({"SecretAccessKey": "abc"}, {"SecretAccessKey": "[redacted]"}),
        ({"headers": {"Cookie": "a=b", "host": "h"}}, {"headers": {"Cookie": "[redacted]", "host": "h"}}),
        ({"event": "got Basic YWxpY2U6Z2VoZWlt from"}, {"event": "got Basic [redacted] from"}),
        ({"url": "postgresql://gate:geheim@db/x"}, {"url": "postgresql://gate:[redacted]@db/x"}),
        ({"url": "postgresql://gate:ge/heim@db/x"}, {"url": "postgresql://gate:[redacted]@db/x"}),
        ({"url": "postgresql://db/x?password=geheim&a=b"}, {"url": "postgresql://db/x?password=[redacted]&a=b"}),
        ({"e": f"SignedHeaders=host, Signature={'0a' * 32}"}, {"e": "SignedHeaders=host, Signature=[redacted]"}),
        ({"lines": ["Bearer abcdefghij"]}, {"lines": ["Bearer [redacted]"]}),
        ({"raw": b"Basic YWxpY2U6Z2VoZWlt"}, {"raw": "Basic [redacted]"}),
        (
            {"user": "alice", "count": 3, "basic": "a basic thing"},
            {"user": "alice", "count": 3, "basic": "a basic thing"},
        ),
    ],
)
def test_secrets_are_blotted_out(event, expected):
    assert redact(None, "info", event) == expected


@pytest.mark.parametrize("piece", ["://a:", "?", "&password", "://", "basic ", "Signature="])
def test_a_long_text_from_outside_costs_no_time(piece):
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    redact(None, "info", {"error": text})
    assert time.process_time() - started < 1


def test_json_lines_from_structlog_and_from_the_standard_library():
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    structlog.get_logger().info("decided", user="alice", password="geheim")
    structlog.get_logger().debug("too small to be told")
    logging.getLogger("alembic.runtime").warning("listening at %s", "postgresql://a:geheim@b/c")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["user"], first["level"], first["password"]) == (
        "decided",
        "alice",
        "info",
        "[redacted]",
    )
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["logger"]) == ("listening at postgresql://a:[redacted]@b/c", "alembic.runtime")
    assert "geheim" not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variables(form):
    stream = io.StringIO()
    configure_logs("info", form, stream)
    login = "geheim" * 2
    try:
        raise ValueError(f"{len(login)} characters")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "12 characters" in stream.getvalue()
    assert "geheimgeheim" not in stream.getvalue()


def test_auto_is_json_where_nobody_looks():
    stream = io.StringIO()
    configure_logs("debug", "auto", stream)
    structlog.get_logger().debug("seen")
    assert json.loads(stream.getvalue())["event"] == "seen"

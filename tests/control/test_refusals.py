"""However many requests are refused, the log has few lines of them and nothing grows."""

import pytest
import structlog

from gatepost.control.refusals import LINES, WINDOW_SECONDS, RefusalLog
from gatepost.control.throttle import Throttle


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def refusals(clock):
    return RefusalLog(clock)


@pytest.fixture
def lines():
    with structlog.testing.capture_logs() as captured:
        yield captured


def test_the_first_of_a_kind_is_written_and_the_others_are_counted(refusals, clock, lines):
    for number in range(100):
        refusals.note("AKIAONE", "InvalidSignatureException", request_id=number)
    refusals.note("AKIAONE", "UnrecognizedClientException")
    refusals.note(None, "MissingAuthenticationTokenException")
    assert [(line["access_key_id"], line["error"]) for line in lines] == [
        ("AKIAONE", "InvalidSignatureException"),
        ("AKIAONE", "UnrecognizedClientException"),
        (None, "MissingAuthenticationTokenException"),
    ]
    assert lines[0]["request_id"] == 0
    clock.now += WINDOW_SECONDS
    refusals.settle()
    refusals.settle()
    assert [(line["event"], line["requests"]) for line in lines[3:]] == [("more requests refused", 99)]
    refusals.note("AKIAONE", "InvalidSignatureException")
    assert lines[4]["event"] == "request refused"


def test_a_flood_under_many_names_is_a_few_lines(refusals, clock, lines):
    for minute in range(3):
        clock.now = minute * WINDOW_SECONDS
        for number in range(10_000):
            refusals.note(f"AKIA{number}", "UnrecognizedClientException")
        assert len(refusals._written) == LINES
    assert len(lines) == 3 * LINES + 2
    assert [line["requests"] for line in lines if "requests" in line] == [10_000 - LINES] * 2


def test_nothing_to_tell_is_not_told(refusals, clock, lines):
    clock.now += WINDOW_SECONDS
    refusals.settle()
    assert lines == []


def test_strangers_leave_few_lines_in_the_log_of_a_server(own_server, lines):
    server = own_server()
    for number in range(30):
        server.post(b"{}", {"Host": "x", "Authorization": f"AWS4-HMAC-SHA256 Credential=AKIA{number}/a/b/c/d"})
        server.post(b"{}", {"Host": "x"})
    refused = [line for line in lines if line["event"] == "request refused"]
    assert len(refused) == 2
    assert not [line for line in lines if line["event"] == "operation"]

    def count(error):
        labels = {"operation": "unknown", "error": error}
        return server.registry.get_sample_value("gatepost_control_requests_total", labels)

    assert count("MissingAuthenticationTokenException") == count("IncompleteSignatureException") == 30


def test_a_key_that_is_throttled_leaves_few_lines_too(own_server, lines):
    server = own_server(throttle=Throttle(0.001, 1, lambda: 0.0))
    for _ in range(10):
        server.post()
    assert [(line["event"], line["error"]) for line in lines] == [
        ("operation", None),
        ("request refused", "ThrottlingException"),
    ]
    assert lines[1]["access_key_id"] == server.access_key_id

"""Every hostile request of the corpus through a gateway in this process: what it answers, and what arrives behind it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from structlog.testing import capture_logs
from tests.support import hostile
from tests.support.gateway import rig
from tests.support.hostile import ALICE, ALICE_PASSWORD, ALLOWED, BOBS, BODIES, GATEWAY, load_cases, notation
from tests.support.recording import RecordingServer, converse, http_answer, objections

from gatepost.gateway.limits import Limits
from gatepost.gateway.notices import Notices
from gatepost.wire.eas.commands import COMMAND_ROOTS, at_least
from gatepost.wire.wbxml import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gateway import Rig
    from tests.support.hostile import Case, Outcome
    from tests.support.recording import Arrived

BOB = "bob@example.com"
CONTENT = b"the content of a mailbox"
SILENCE = 0.02  # seconds in which a gateway that has something to say has said it


def mail_server(request: Arrived, raw: bytes) -> bytes:
    """Takes logins as SOGo takes them, and gives everybody who can log in the content of a mailbox."""
    del raw
    login, password = request.credentials
    if login not in {"alice", ALICE} or password != ALICE_PASSWORD:
        return http_answer(401, b"", 'WWW-Authenticate: Basic realm="SOGo"')
    return http_answer(200) if request.is_options else http_answer(200, CONTENT)


class Running:
    """A gateway and its rig in a loop of their own, asked from outside like any server."""

    def __init__(self, folder: Path) -> None:
        self.mail = RecordingServer(mail_server)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        limits = Limits(failed_logins=10_000, devices_per_user=10_000, requests_per_device=10_000)
        self._context = rig(folder, upstream=self.mail.url + GATEWAY, limits=limits)
        self.rig: Rig = self.run(self._context.__aenter__())
        self.rig.gateway._workings.notices = Notices(10_000)  # each case looks for its line
        self.rig.deny_by_default()
        self.rig.rule("DefaultDenyAll", "DENY")
        self.rig.override("ALLOW", ALLOWED, ALICE)
        self.rig.override("ALLOW", BOBS, BOB)
        self.run(self.rig.settled())
        ((self.alice, _),) = {  # the user's id
            (one.user_id, one.device_id)
            for one in self.rig.gateway.replica.rulesets[self.rig.organization_id].overrides.values()
            if one.device_id == ALLOWED
        }

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def close(self) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self.mail.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


def _each(cases: Any) -> Any:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])


@_each(load_cases())
def test_what_is_answered_and_what_arrives(running: Running, case: Case) -> None:
    for silence in (0, 0, SILENCE):  # heads that came twice are recognised: that must make no difference
        arrived, answers, said = ask(running, case, [case.hostile], silence)
        check(running, case, arrived, answers, said)


def ask(
    running: Running, case: Case, pieces: list[bytes], silence: float
) -> tuple[list[Arrived], list[bytes], list[Any]]:
    """What arrived at the mail server, what was answered and what was logged."""
    before = len(running.mail.arrived)
    expected = 0 if case.expected[0].kind == "nothing" else len(case.expected)
    silence = max(silence, 0.1) if not expected else silence
    with capture_logs() as said:
        answers, _ = converse(running.rig.gateway.address, pieces, expected, silence)
    return running.mail.arrived[before:], answers, said


def check(running: Running, case: Case, arrived: list[Arrived], answers: list[bytes], said: list[Any]) -> None:
    """The oracle: what arrives is what was decided on, in one canonical form, and nobody else is told anything."""
    assert [one for request in arrived for one in objections(request, GATEWAY)] == []
    expected = [one for one in case.expected if one.kind != "nothing"]
    assert len(answers) == len(expected), answers
    posts = [request for request in arrived if not request.is_options]
    assert [request.query for request in posts] == [
        one.query for one in expected if one.kind == "forwarded" and one.query
    ]
    assert all(request.login == ALICE for request in posts)
    for outcome, answer in zip(expected, answers, strict=True):
        check_answer(case, outcome, answer)
    refusals = [one for one in said if one["event"] == "access.refused"]
    denied = [one for one in expected if one.kind == "denied"]
    assert [(one["device_id"], one["reason"]) for one in refusals] == [(one.device_id, one.reason) for one in denied]
    assert {one["user_id"] for one in refusals} <= {running.alice, None}
    if case.expected[0].kind not in {"forwarded", "denied"} and case.group != "identity" and len(expected) < 2:
        assert not posts


def check_answer(case: Case, outcome: Outcome, answer: bytes) -> None:
    """Status and words."""
    status = int(answer.split(b" ", 2)[1])
    if outcome.kind == "status":
        assert status == outcome.status, answer
        assert CONTENT not in answer
        if status == 401:
            assert b"WWW-Authenticate: Basic" in answer
    elif outcome.kind == "forwarded":
        assert status == 200, answer
        assert answer.endswith(CONTENT) is bool(outcome.query)
    else:
        in_words = at_least(case.version, "14.0") and b"Cmd=GetAttachment" not in case.hostile
        assert status == (200 if in_words else 403), answer
        assert f"X-MS-ASThrottle: {outcome.reason}".encode() in answer
        assert CONTENT not in answer


LONG = 8_192  # bytes; longer ones would take seconds


@_each([case for number, case in enumerate(load_cases()) if number % 4 == 0 and len(case.hostile) < LONG])
def test_byte_by_byte(running: Running, case: Case) -> None:
    arrived, answers, said = ask(running, case, [bytes([byte]) for byte in case.hostile], SILENCE)
    check(running, case, arrived, answers, said)


def test_half_a_head_is_no_request_whatever_it_was_half_of(running: Running) -> None:
    (case,) = [one for one in load_cases() if one.id == "query-forms: no User"]
    end = case.hostile.index(b"\r\n\r\n")
    for at in (case.hostile.index(b"Authorization"), case.hostile.index(b"MS-AS") + 3, end, end + 2):
        for _ in range(3):  # what came twice is recognised
            with socket.create_connection(running.rig.gateway.address, timeout=10) as connection:
                connection.sendall(case.hostile[:at])
                time.sleep(SILENCE)
                connection.sendall(case.hostile[at:])
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        before = len(running.mail.arrived)
        answers, closed = converse(running.rig.gateway.address, [case.hostile[at:]], 1, SILENCE)
        assert [answer.split()[1] for answer in answers] == [b"400"]
        assert closed
        assert running.mail.arrived[before:] == []


def test_the_corpus_is_as_its_description_says() -> None:
    cases = load_cases()
    assert len(cases) >= 300
    assert all(case.why for case in cases)
    described = (hostile.CORPUS / "README.md").read_text()
    assert {path.name for path in hostile.CORPUS.glob("*.toml")} == {
        line.split("`")[1] for line in described.splitlines() if line.startswith("| `") and ".toml" in line
    }


def test_the_bodies_are_what_they_are_called() -> None:
    assert {name: decode(notation(body)).name for name, body in BODIES.items()} == {
        name: COMMAND_ROOTS[name] for name in BODIES
    }

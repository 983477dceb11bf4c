"""Every hostile request of the corpus, sent to SOGo directly and through the product: what one reads, the other does not.

Two users with a secret in their mailbox each: alice, who may use one device, and bob. The attacker has alice's password
and other devices, or no password. Between the product and SOGo stands a relay that writes everything down. What is shown:

- whatever arrives at SOGo through the product is one canonical request, or the question whether a login is right; it is of
  the device, the user and the command that the product decided on, and SOGo, PHP and a foreign WBXML reader read it alike
- no answer has bob's secret in it, and none alice's, except to her allowed device
- SOGo and the product know of no other device and no other user of it afterwards
- directly, many of the same requests do reach a mailbox
"""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.e2e.conftest import boto3_client
from tests.support import sogo
from tests.support.hostile import ALICE, ALICE_PASSWORD, ALLOWED, BOBS, DIRECT, load_cases
from tests.support.needs import need
from tests.support.recording import RecordingServer, as_sogo, converse, objections
from tests.support.sogo import Sogo
from tests.support.stack import Gatepost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.hostile import Case
    from tests.support.recording import Arrived

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("differential"), pytest.mark.timeout(600)]

SECRETS = {"alice": b"secret-folder-of-alice", "bob": b"secret-folder-of-bob"}
AT_ONCE = 6
CASES = load_cases()
SPELLINGS = {ALLOWED, ALLOWED.lower(), ALLOWED.encode().hex().upper()}
"""The allowed device, as SOGo may name it: from a base64 query it takes the hexadecimal form."""


@dataclass(frozen=True)
class Seen:
    """What was answered to a case, and what arrived at SOGo because of it."""

    answers: list[bytes]
    arrived: list[Arrived]

    def shows(self, user: str) -> bool:
        """True when an answer has that user's secret in it."""
        return any(SECRETS[user] in answer for answer in self.answers)


@dataclass
class Attack:
    """The corpus, through the product and directly: what was seen by case, and the devices that SOGo knew after each."""

    through: dict[str, Seen]
    unasked: list[Arrived]
    devices_through: set[str]
    users_through: set[str]
    written_down: list[dict[str, object]]
    directly: dict[str, Seen]
    devices_directly: set[str]


@pytest.fixture(scope="module")
def attack() -> Iterator[Attack]:
    need(sogo.missing())
    server = Sogo()  # one of its own: some requests leave a worker that never ends
    relay = RecordingServer(lambda _, raw: pass_on(server.port, raw), keeps=False)
    product = None
    try:
        server.start()
        for user, secret in SECRETS.items():
            with server.imap(user) as session:
                session.create(secret.decode())
        product = protected(f"{relay.url}{DIRECT}")
        through, unasked = send_through(product, relay)
        devices_through, users_through = server.known_devices(), known_users(server)
        written_down = product.devices()
        directly = send_directly(server)
        yield Attack(through, unasked, devices_through, users_through, written_down, directly, server.known_devices())
    finally:
        if product is not None:
            product.stop()
        relay.close()
        server.stop()


def protected(upstream: str) -> Gatepost:
    """The product in front of SOGo: one device of each user is allowed, all others are denied."""
    generous = {"DEVICES_PER_USER": "10000", "FAILED_LOGINS": "1000", "REQUESTS_PER_DEVICE": "64"}
    product = Gatepost(upstream, settings={f"GATEPOST_LIMITS__{name}": value for name, value in generous.items()})
    try:
        product.client = boto3_client(product)
        product.serve()
        product.only_device_rules({"Name": "DefaultDenyAll", "Effect": "DENY"})
        product.override(ALICE, ALLOWED, "ALLOW")
        product.override("bob@example.com", BOBS, "ALLOW")
        product.wait_followed()
    except BaseException:
        product.stop()
        raise
    return product


def pass_on(port: int, raw: bytes) -> bytes:
    """SOGo's answer to these bytes; it closes after each."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(raw)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer


def send_through(product: Gatepost, relay: RecordingServer) -> tuple[dict[str, Seen], list[Arrived]]:
    """Each case from an address of its own, which the product passes on: so it is known what arrived because of which."""
    url = urlsplit(product.gateway_url)
    assert url.hostname is not None
    assert url.port is not None
    address = (url.hostname, url.port)

    def send(number: int) -> list[bytes]:
        expected = [one for one in CASES[number].expected if one.kind != "nothing"]
        silence = 0.05 if expected else 0.3
        answers, _ = converse(
            address, [CASES[number].hostile], len(expected), silence, patience=30, source=source(number)
        )
        return answers

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(send, range(len(CASES))))
    arrived: dict[str | None, list[Arrived]] = {}
    for request in relay.arrived:
        arrived.setdefault(request.header("x-forwarded-for"), []).append(request)
    seen = {case.id: Seen(answers[number], arrived.pop(source(number), [])) for number, case in enumerate(CASES)}
    return seen, [request for rest in arrived.values() for request in rest]


def source(number: int) -> str:
    """The loopback address that the case of that number is sent from."""
    return f"127.77.{number // 250}.{number % 250 + 1}"


def send_directly(server: Sogo) -> dict[str, Seen]:
    def send(case: Case) -> Seen:
        answers, _ = converse(("127.0.0.1", server.port), [case.direct], 1, 0.05, patience=3)
        return Seen(answers, [])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip([case.id for case in CASES], pool.map(send, CASES), strict=True))


def known_users(server: Sogo) -> set[str]:
    """The users for whose devices SOGo keeps state."""
    rows = server.postgres.execute("select distinct c_uid from sogo_cache_folder", database="sogo")
    return {str(row[0]) for row in rows}


def test_what_arrives_is_what_was_decided_on_in_one_form(attack: Attack) -> None:
    for case in CASES:
        arrived = attack.through[case.id].arrived
        assert [one for request in arrived for one in objections(request, DIRECT)] == [], case.id
        forwarded = [outcome.query for outcome in case.expected if outcome.kind == "forwarded"]
        assert [request.query for request in arrived] == forwarded, case.id


def test_it_is_of_the_allowed_device_and_of_who_logged_in(attack: Attack) -> None:
    posts = [(case, one) for case in CASES for one in attack.through[case.id].arrived if not one.is_options]
    assert len(posts) > 100
    for case, request in posts:
        read = as_sogo(request.query)
        assert read["DeviceId"] in SPELLINGS, case.id
        assert request.credentials == (ALICE, ALICE_PASSWORD), case.id
        assert read.get("User", ALICE).replace("%40", "@").lower() == ALICE, case.id


def test_whatever_else_arrives_is_the_question_whether_a_login_is_right(attack: Attack) -> None:
    assert attack.unasked
    for request in attack.unasked:
        assert request.is_options
        assert objections(request, DIRECT) == []


def test_no_mailbox_is_shown(attack: Attack) -> None:
    assert sum(attack.through[case.id].shows("alice") for case in CASES) > 100  # to her allowed device
    for case in CASES:
        seen = attack.through[case.id]
        assert not seen.shows("bob"), case.id
        assert not seen.shows("alice") or any(one.kind == "forwarded" and one.query for one in case.expected), case.id


def test_each_is_answered_as_the_corpus_says(attack: Attack) -> None:
    for case in CASES:
        answers = attack.through[case.id].answers
        expected = [one for one in case.expected if one.kind != "nothing"]
        assert len(answers) == len(expected), (case.id, answers)
        for outcome, answer in zip(expected, answers, strict=True):
            if outcome.kind == "status":
                assert answer.split()[1] == b"%d" % outcome.status, (case.id, answer)
            elif outcome.kind == "denied":
                assert f"X-MS-ASThrottle: {outcome.reason}".encode() in answer, (case.id, answer)


def test_the_mail_server_knows_no_other_device_and_no_other_user(attack: Attack) -> None:
    assert attack.devices_through <= {spelling.upper() for spelling in SPELLINGS}
    assert attack.users_through <= {"alice"}


def test_the_product_wrote_down_nobody_else(attack: Attack) -> None:
    named = {outcome.device_id for case in CASES for outcome in case.expected if outcome.kind == "denied"}
    assert {device["device_id"] for device in attack.written_down} <= named | {ALLOWED}
    assert len({device["user_id"] for device in attack.written_down}) == 1


def test_directly_they_do_reach_a_mailbox(attack: Attack, capsys: pytest.CaptureFixture[str]) -> None:
    refused = [case for case in CASES if not any(one.kind == "forwarded" for one in case.expected)]
    served = [case for case in refused if attack.directly[case.id].shows("alice")]
    recorded = [case for case in refused if case.evil in attack.devices_directly]
    fooled = [case for case in recorded if ALLOWED in read_naively(case, "DeviceId")]
    hidden = [case for case in served if "Provision" in read_naively(case, "Cmd")]
    with capsys.disabled():
        print(
            f"\n{len(CASES)} hostile requests; {len(refused)} are refused by the product, {len(CASES) - len(refused)} normalised."
            f" Of the refused ones SOGo, asked directly, shows a mailbox to {len(served)} and keeps state for a denied device"
            f" after {len(recorded)}; in {len(fooled)} of these a query read the usual way names the allowed device,"
            f" and {len(hidden)} read mail as Provision."
        )
    assert len(served) >= 100
    assert len(recorded) >= 50
    assert len(fooled) >= 8
    assert hidden


def read_naively(case: Case, name: str) -> set[str]:
    """The values that a gateway with a usual query parser may find for a parameter: the first, the last, either `?`."""
    target = case.direct.partition(b"\r\n")[0].decode("latin-1").split(" ")[1:2]
    if not target:
        return set()
    queries = {target[0].partition("?")[2], target[0].rpartition("?")[2]}
    found = [values for query in queries for key, values in parse_qs(query).items() if key.lower() == name.lower()]
    return {value for values in found for value in (values[0], values[-1])}

"""Who can log in is found out by an OPTIONS, and remembered for a while."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.support.gateway import WRONG_PASSWORD, MailServer, Received, basic, http, rig, run

from gatepost.gateway import proofs as module
from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.credentials import Proofs
from gatepost.gateway.outbox import Outbox
from gatepost.gateway.proofs import Prober, Proof, Question
from gatepost.gateway.redirects import Redirects
from gatepost.gateway.upstream import Upstream

ALICE = basic().encode()
WRONG = basic(password=WRONG_PASSWORD).encode()


def test_a_proof_says_whether_it_is_one():
    assert Proof(200).accepted
    assert not any(Proof(status).accepted for status in (401, 403, 500, 503))


async def asking(mail, *authorizations, proofs=None):
    """The proofs of these credentials, asked for at the same moment; and what is remembered then."""
    await mail.start()
    try:
        return await asking_at(mail.url, *authorizations, proofs=proofs)
    finally:
        await mail.close()


async def asking_at(url, *authorizations, proofs=None):
    outbox = Outbox()
    outbox.open(asyncio.get_running_loop())
    configuration = GatewayConfiguration("127.0.0.1", 0, upstream_address(url))
    upstream = Upstream(configuration, outbox)
    proofs = Proofs(60.0) if proofs is None else proofs
    prober = Prober(Redirects(configuration, upstream, outbox), proofs)
    told = [asyncio.get_running_loop().create_future() for _ in authorizations]
    for authorization, future in zip(authorizations, told, strict=True):
        assert prober.wonder(authorization, future.set_result, known=False)
    found = [proof.status for proof in await asyncio.gather(*told)]
    assert (len(prober), prober._asking) == (0, set())
    upstream.close()
    return found, proofs


def answering_with(status):
    """A mail server whose OPTIONS is answered with `status`."""

    class Server(MailServer):
        async def _serve(self, reader, writer):
            while head := await reader.read(65_536):
                self.received.append(Received(head.decode().split("\r\n")[0], {}, b""))
                writer.write(http(status))
            writer.close()

    return Server()


def test_phones_that_ask_at_the_same_time_share_one_question():
    async def story():
        mail = MailServer()
        found, proofs = await asking(mail, ALICE, ALICE, ALICE)
        assert found == [200, 200, 200]
        assert [one.command for one in mail.received] == ["OPTIONS"]
        assert proofs.find(ALICE)

    run(story())


def test_a_mistake_about_one_does_not_keep_the_others_waiting(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            told = []
            prober = r.gateway._workings.prober
            with capture_logs() as logged:
                for tell in (lambda _: 1 / 0, told.append):
                    prober.wonder(ALICE, tell, known=False)
                prober.wonder(WRONG, told.append, known=False)
                await r.until(lambda: len(told) == 2)
            assert (sorted(proof.status for proof in told), len(prober)) == ([200, 401], 0)
            assert [entry["event"] for entry in logged] == ["proof.not_told"]

    run(story())


def test_a_crowd_that_goes_away_costs_no_more_than_it_is_large():
    class Tell:
        compared = 0

        def __call__(self, proof):
            pass

        def __eq__(self, other):
            Tell.compared += 1
            return self is other

        __hash__ = object.__hash__

    question, crowd = Question(ALICE), [Tell() for _ in range(500)]
    question.wondering.update(dict.fromkeys(crowd))
    for tell in reversed(crowd):
        question.leave(tell)
    question.leave(crowd[0])
    assert not question.wondering
    assert Tell.compared <= 2 * len(crowd)


def test_one_who_asks_later_asks_anew():
    async def story():
        mail = MailServer()
        await mail.start()
        await asking_at(mail.url, ALICE)
        await asking_at(mail.url, ALICE)
        assert [one.command for one in mail.received] == ["OPTIONS", "OPTIONS"]
        await mail.close()

    run(story())


def test_different_credentials_are_different_questions():
    async def story():
        mail = MailServer()
        found, proofs = await asking(mail, ALICE, WRONG)
        assert found == [200, 401]
        assert (proofs.find(ALICE) is not None, proofs.find(WRONG)) == (True, None)
        assert sorted(one.headers["authorization"] for one in mail.received) == sorted([ALICE.decode(), WRONG.decode()])

    run(story())


def test_a_401_forgets_what_was_accepted_before():
    async def story():
        proofs = Proofs(60.0)
        proofs.remember(WRONG)
        found, _ = await asking(MailServer(), WRONG, proofs=proofs)
        assert found == [401]
        assert proofs.find(WRONG) is None

    run(story())


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_any_other_answer_proves_nothing_and_forgets_nothing(status):
    async def story():
        proofs = Proofs(60.0)
        proofs.remember(ALICE)
        found, _ = await asking(answering_with(status), ALICE, WRONG, proofs=proofs)
        assert found == [status, status]
        assert (proofs.find(ALICE) is not None, proofs.find(WRONG)) == (True, None)

    run(story())


def test_a_mail_server_that_cannot_be_reached():
    async def story():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        found, proofs = await asking_at(f"http://127.0.0.1:{port}", ALICE)
        assert found == [503]
        assert proofs.find(ALICE) is None

    run(story())


class Silent(MailServer):
    """Takes requests and says nothing."""

    async def _serve(self, reader, writer):
        self._writers.append(writer)
        await reader.read()
        self.gave_up += 1
        writer.close()


class Breaking(MailServer):
    """Hangs up instead of answering."""

    async def _serve(self, reader, writer):
        await reader.read(1)
        writer.close()


def test_a_mail_server_that_hangs_up():
    async def story():
        found, _ = await asking(Breaking(), ALICE)
        assert found == [503]

    run(story())


def test_a_mail_server_that_does_not_answer_in_time(monkeypatch):
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)

    async def story():
        mail = Silent()
        await mail.start()
        found, proofs = await asking_at(mail.url, ALICE, ALICE)
        assert found == [503, 503]
        assert proofs.find(ALICE) is None
        async with asyncio.timeout(5):
            while not mail.gave_up:
                await asyncio.sleep(0.005)
        await mail.close()

    run(story())

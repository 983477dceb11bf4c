"""Who has not logged in yet: what the mail server hears of him, what he is told, and how often he may try."""

import asyncio

from structlog.testing import capture_logs
from tests.support import secrets
from tests.support.gateway import PASSWORD, WRONG_PASSWORD, MailServer, Received, basic, http, rig, run

from gatepost.gateway.limits import Limits


def guess(number):
    """A wrong password that is like nothing else."""
    return secrets.password(f"guess {number}")


def test_nothing_reaches_the_mail_server_before_it_knows_the_credentials(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for command in ("FolderSync", "Ping", "Sync"):
                assert (await phone.post(command, password=WRONG_PASSWORD)).status == 401
            assert r.mail.commands == []
            assert len(r.mail.questions) == 1, "the same wrong credentials are asked about once"
            assert (await phone.post("FolderSync")).body == b"upstream"
            assert (await phone.post("FolderSync")).body == b"upstream"
            assert r.mail.commands == ["FolderSync", "FolderSync"]
            assert len(r.mail.questions) == 2, "and the right ones too"
            assert r.gateway.metrics.logins == {"refused": 1, "refused_lately": 2, "accepted": 1}

    run(story())


def test_options_is_nobody_s_device_but_has_to_log_in_as_well(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for _ in range(2):
                phone.raw(
                    "OPTIONS",
                    "/Microsoft-Server-ActiveSync",
                    {"Host": "x", "Authorization": basic(password=guess("no"))},
                )
                assert (await phone.answer()).status == 401
            assert r.mail.commands == []

    run(story())


def test_wrong_passwords_are_asked_about_so_many_times_and_then_not(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(failed_logins=3, failed_login_seconds=100.0)) as r:
            phone = await r.phone()
            for number in range(3):
                assert (await phone.post("FolderSync", password=guess(number))).status == 401
            for number in range(3, 6):
                answer = await phone.post("FolderSync", password=guess(number), device_id=f"Other{number}")
                assert answer.status == 503
                assert 90 <= int(answer.headers["retry-after"]) <= 100
                assert answer.headers["x-ms-asthrottle"] == "TooManyFailedLogins"
            # other spellings of the same user are the same user
            assert (await phone.post("FolderSync", login="EXAMPLE\\Alice", password=guess("last"))).status == 503
            # and so is the right password, which cannot be told from a guess
            assert (await phone.post("FolderSync")).status == 503
            assert len(r.mail.questions) == 3
            assert (await phone.post("FolderSync", login="bob@example.com")).status == 200

    run(story())


def test_a_crowd_of_guesses_at_the_same_moment_is_no_crowd_of_questions(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(failed_logins=3)) as r:
            phones = [await r.phone() for _ in range(20)]
            for number, phone in enumerate(phones):
                phone.send("FolderSync", password=guess(number))
            answers = sorted([(await phone.answer()).status for phone in phones])
            assert answers == [401] * 3 + [503] * 17
            assert len(r.mail.questions) == 3

    run(story())


def test_guessing_does_not_keep_a_phone_out_that_has_logged_in(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(failed_logins=2)) as r:
            alices, attackers = await r.phone(), await r.phone()
            assert (await alices.post("FolderSync")).status == 200
            for number in range(5):
                await attackers.post("FolderSync", password=guess(number), device_id="Other")
            assert (await attackers.post("FolderSync", password=guess("last"), device_id="Other")).status == 503
            assert (await alices.post("FolderSync")).status == 200
            # not even when the attacker knows its id: what was right is still right
            for number in range(5):
                await attackers.post("FolderSync", password=guess(number))
            assert (await attackers.post("FolderSync", password=guess("last"))).status == 503
            assert (await alices.post("FolderSync")).status == 200
            # and with a new password it has a budget of its own, which nobody spends who does not know its id
            r.mail.password = "new " + PASSWORD
            assert (await alices.post("FolderSync", device_id="Phone2")).status == 401

    run(story())


def test_a_new_password_is_a_new_try_of_the_phone_that_is_known(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(failed_logins=2)) as r:
            phone, attacker = await r.phone(), await r.phone()
            assert (await phone.post("FolderSync")).status == 200
            for number in range(4):
                await attacker.post("FolderSync", password=guess(number), device_id="Other")
            r.mail.password = "new " + PASSWORD
            assert (await phone.post("FolderSync")).status == 401
            assert (await phone.post("FolderSync")).status == 401
            asked = len(r.mail.questions)
            assert (await phone.post("FolderSync", password="new " + PASSWORD)).status == 200
            assert len(r.mail.questions) == asked + 1

    run(story())


def test_a_phone_that_was_let_in_and_is_not_any_more_spends_one_try(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(failed_logins=2)) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync")).status == 200
            r.mail.password = "new " + PASSWORD
            for _ in range(6):
                assert (await phone.post("FolderSync")).status == 401
            # its first request and nothing else: the mail server saw the old password twice, at the start and once more
            assert [one.command for one in r.mail.received] == ["OPTIONS", "FolderSync", "FolderSync"]
            assert (await phone.post("FolderSync", password=guess("typo"))).status == 401
            assert (await phone.post("FolderSync", password=guess("another typo"))).status == 503

    run(story())


def test_phones_that_wonder_about_the_same_share_one_question_and_one_try(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(failed_logins=1)) as r:
            phones = [await r.phone() for _ in range(5)]
            for phone in phones:
                phone.send("FolderSync", password=WRONG_PASSWORD)
            assert [(await phone.answer()).status for phone in phones] == [401] * 5
            assert len(r.mail.questions) == 1

    run(story())


class Slow(MailServer):
    """Takes its time to say who may come in."""

    async def _serve(self, reader, writer):
        self._writers.append(writer)
        while head := await reader.read(65_536):
            self.received.append(Received(head.decode().split("\r\n")[0], {}, b""))
            await asyncio.sleep(self.delay)
            writer.write(http(200))
        writer.close()


def test_who_goes_away_while_it_is_asked_leaves_nothing(tmp_path):
    async def story():
        mail = Slow()
        mail.delay = 0.1
        async with rig(tmp_path, mail=mail) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            await r.until(lambda: len(r.gateway._workings.prober) == 1)
            phone.close()
            await r.until(lambda: len(r.gateway._workings.prober) == 0)
            assert [one.line for one in mail.received] == ["OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1"]
            assert len(r.gateway.devices) == 0
            assert len(r.gateway._workings.connections) == 0

    run(story())


def test_known_devices_go_before_a_crowd_of_strangers(tmp_path, monkeypatch):
    monkeypatch.setattr("gatepost.gateway.proofs._MOST_ASKING", 1)

    async def story():
        async with rig(tmp_path) as r:
            alice = await r.phone()
            await alice.post("FolderSync")
            r.gateway._workings.proofs._accepted.clear()  # as after a day
            r.gateway._workings.heads.sweep(1e12)
            strangers = [await r.phone() for _ in range(10)]
            for number, phone in enumerate(strangers):
                phone.send("FolderSync", login=f"user{number}@example.com", password=WRONG_PASSWORD)
            await asyncio.sleep(0)
            alice.send("FolderSync")
            await r.until(lambda: len(r.mail.questions) >= 8)
            asked = [one.headers["authorization"] for one in r.mail.questions][1:]
            assert basic() in asked[:3]
            for phone in strangers:
                assert (await phone.answer()).status == 401

    run(story())


def test_a_flood_of_made_up_logins_leaves_a_few_lines_and_no_rows(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            with capture_logs() as logged:
                phones = [await r.phone() for _ in range(10)]
                for number in range(30):
                    for phone in phones:
                        phone.send(
                            "FolderSync",
                            login=f"u{number}-{id(phone)}@example.com",
                            password=WRONG_PASSWORD,
                            device_id=f"D{number}",
                        )
                    for phone in phones:
                        assert (await phone.answer()).status == 401
            refused = [entry for entry in logged if entry["event"] == "login.refused"]
            assert 0 < len(refused) <= 60, "300 would be a flood"
            assert "example.com" not in str(logged)
            assert len(r.gateway.devices) == 0
            with r.store.read() as reader:
                from gatepost.store import devices, users

                assert devices.page(reader, r.organization_id, None, 10) == []
                assert users.page(reader, r.organization_id, None, 10) == []

    run(story())


def test_a_mail_server_that_is_down_says_nothing_about_a_password(tmp_path):
    async def story():
        async with rig(tmp_path, upstream="http://127.0.0.1:1", limits=Limits(failed_logins=1)) as r:
            phone = await r.phone()
            for _ in range(4):
                answer = await phone.post("FolderSync")
                assert answer.status == 503
                assert "x-ms-asthrottle" not in answer.headers
            assert len(r.gateway._workings.failed_logins) == 0

    run(story())

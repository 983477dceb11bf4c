"""What a phone is told, by what the rules say at that moment."""

import asyncio
import time

from tests.support.gateway import (
    ALICE,
    FOLDER_SYNC,
    WRONG_PASSWORD,
    MailServer,
    Received,
    basic,
    http,
    report,
    rig,
    run,
)

from gatepost.engine import Decision, Reason
from gatepost.model import Directory, Effect, enrolled_user_id
from gatepost.operations import access_control_rules, registrations, users
from gatepost.store import devices
from gatepost.wire.wbxml import Element, encode

BLOCKED = {
    "FolderSync": bytes.fromhex("03016a000007564c03313239000101"),
    "Ping": bytes.fromhex("03016a00000d454703313239000101"),
    "Provision": bytes.fromhex("03016a00000e454b03313239000101"),
    "Settings": bytes.fromhex("03016a000012454603313239000101"),
}
USER_INFORMATION = encode(
    Element("Settings:Settings", (Element("Settings:UserInformation", (Element("Settings:Get"),)),))
)
PING_7 = bytes.fromhex("03016a00000d45470337000101")
SYNC_12 = bytes.fromhex("03016a00454e033132000101")
PROVISION_FIRST = bytes.fromhex("03016a000007564c03313432000101")


def test_an_allowed_phone_is_forwarded_with_a_generated_request(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            answer = await phone.post("FolderSync", Cookie="a=b", X_Evil="1", X_Forwarded_For="10.9.9.9")
            assert (answer.status, answer.body) == (200, b"upstream")
            assert "keep-alive" not in answer.headers
            got = r.mail.received[-1]
            assert got.line == (
                "POST /Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice%40example.com&DeviceId=Phone1&DeviceType=iPhone HTTP/1.1"
            )
            assert got.body == FOLDER_SYNC
            assert got.headers["host"] == r.mail.url.removeprefix("http://")
            assert got.headers["x-forwarded-for"] == "127.0.0.1"
            assert got.headers["x-forwarded-host"] == "gate.example.com"
            assert got.headers["cookie"] == "a=b"
            assert got.headers["ms-asprotocolversion"] == "14.1"
            assert "x-evil" not in got.headers

    run(story())


def test_without_credentials_a_phone_is_asked_for_them_and_nothing_reaches_the_mail_server(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for authorization in ("", "Bearer abc", "Basic !!!", "Basic " + "bm9jb2xvbg=="):
                answer = await phone.post("FolderSync", Authorization=authorization)
                assert answer.status == 401
                assert answer.headers["www-authenticate"].startswith("Basic realm=")
            phone.raw("OPTIONS", "/Microsoft-Server-ActiveSync", {"Host": "x"})
            assert (await phone.answer()).status == 401
            assert r.mail.received == []

    run(story())


def test_options_passes_for_any_device_and_offers_provision(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            await r.settled()
            phone = await r.phone()
            phone.raw(
                "OPTIONS",
                "/Microsoft-Server-ActiveSync",
                {"Host": "x", "Authorization": basic()},
            )
            answer = await phone.answer()
            assert answer.status == 200
            assert answer.headers["ms-asprotocolcommands"] == "Sync,Ping,Settings,Provision"
            assert answer.headers["ms-asprotocolversions"] == "12.1,14.1"

    run(story())


def test_a_denied_phone_is_refused_in_the_words_of_its_version_and_command(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            await r.settled()
            phone = await r.phone()
            for command, body in BLOCKED.items():
                sent = report("iPhone", root="Settings:Settings") if command == "Settings" else None
                sent = report("iPhone") if command == "Provision" else sent
                answer = await phone.post(command, sent)
                assert (answer.status, answer.body) == (200, body), command
                assert answer.headers["x-ms-asthrottle"] == "NoMobileDeviceAccessRule"
                answer = await phone.post(command, sent, version="12.1")
                assert (answer.status, answer.body) == (403, b""), command
            assert r.mail.commands == []
            assert r.mail.questions

    run(story())


def test_credentials_are_proven_once_before_a_refusal(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            await r.settled()
            phone = await r.phone()
            for _ in range(3):
                assert (await phone.post("FolderSync")).body == BLOCKED["FolderSync"]
            assert r.mail.commands == []
            assert len(r.mail.questions) == 1

    run(story())


def test_who_cannot_log_in_is_told_nothing_and_recorded_nowhere(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.override("DENY", device_id="KNOWN")
            await r.settled()
            phone = await r.phone()
            for device_id in ("KNOWN", "UNKNOWN"):
                answer = await phone.post("FolderSync", device_id=device_id, password=WRONG_PASSWORD)
                assert (answer.status, answer.body) == (401, b"")
                assert "x-ms-asthrottle" not in answer.headers
            answer = await phone.post("Provision", report("iPhone", "iOS 18"), password=WRONG_PASSWORD)
            assert answer.status == 401
            assert len(r.gateway.devices) == 0

    run(story())


def test_a_401_of_the_mail_server_asks_for_basic_only_and_forgets_the_proof(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            r.knows(password=WRONG_PASSWORD)  # it was right until a moment ago
            answer = await phone.post("FolderSync", password=WRONG_PASSWORD)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == 'Basic realm="mail"'
            r.deny_by_default()
            await r.settled()
            assert (await phone.post("FolderSync")).status == 200
            r.mail.password = "changed"
            r.override("ALLOW")
            await r.settled()
            assert (await phone.post("FolderSync")).status == 401
            r.override("DENY")
            await r.settled()
            assert (await phone.post("FolderSync")).status == 401

    run(story())


def test_an_override_decides_for_one_device_and_its_id_has_no_case(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.override("ALLOW", device_id="pHoNe1")
            await r.settled()
            phone = await r.phone()
            assert (await phone.post("FolderSync", device_id="PHONE1")).body == b"upstream"
            assert (await phone.post("FolderSync", device_id="PHONE2")).body == BLOCKED["FolderSync"]
            assert (await phone.post("FolderSync", login="bob@example.com")).body == BLOCKED["FolderSync"]
            for login in ("alice", "EXAMPLE\\alice", "Alice@Example.com"):
                assert (await phone.post("FolderSync", login=login)).body == b"upstream", login

    run(story())


def test_a_parked_ping_and_sync_end_at_once_when_the_device_becomes_denied(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            ping, sync = await r.phone(), await r.phone()
            ping.send("Ping")
            sync.send("Sync")
            await r.until(lambda: r.mail.parked == 2)
            started = time.monotonic()
            r.override("DENY")
            first, second = await ping.answer(), await sync.answer()
            assert time.monotonic() - started < 1.0
            assert (first.status, first.body) == (200, PING_7)
            assert (second.status, second.body) == (200, SYNC_12)
            assert first.headers["x-ms-asthrottle"] == "MobileDeviceAccessOverride"
            await r.until(lambda: r.mail.gave_up == 2)
            assert (await ping.post("FolderSync")).body == BLOCKED["FolderSync"]

    run(story())


def test_what_ends_a_parked_ping(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            await (await r.phone()).post("FolderSync")
            await r.until(lambda: _device(r) is not None)

            async def parked_ends_by(change, *, version="14.1"):
                phone = await r.phone()
                phone.send("Ping", version=version)
                await r.until(lambda: r.mail.parked == 1)
                await asyncio.to_thread(change)
                answer = await phone.answer()
                assert (answer.status, answer.body) == (200, PING_7)
                await r.until(lambda: r.mail.parked == 0)
                return answer.headers["x-ms-asthrottle"]

            def rule():
                r.rule("no iPhones", "DENY", device_types=["iphone"])

            assert await parked_ends_by(rule, version="12.1") == "MobileDeviceAccessRule"
            r.override("ALLOW")
            await r.settled()

            def access():
                access_control_rules.put(
                    r.context,
                    organization_id=r.organization_id,
                    name="lan only",
                    effect="DENY",
                    description="x",
                    ip_ranges=["127.0.0.0/8"],
                    actions=["ActiveSync"],
                )

            assert await parked_ends_by(access) == "AccessControlRule"
            access_control_rules.delete(r.context, organization_id=r.organization_id, name="lan only")
            await r.settled()

            def disable():
                registrations.deregister_from_work_mail(r.context, organization_id=r.organization_id, entity_id=ALICE)

            assert await parked_ends_by(disable) == "UserNotEnabled"

    run(story())


def _device(r, device_id="PHONE1"):
    with r.store.read() as reader:
        return devices.get(reader, r.organization_id, enrolled_user_id(r.organization_id, ALICE), device_id)


def test_a_late_answer_is_looked_at_again_before_it_is_passed_on(tmp_path):
    async def story():
        async def answering(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
            await mail.turn.wait()
            writer.write(http(200, b"the mail that came in the same second"))
            return True

        mail = MailServer(answering=answering)
        mail.turn = asyncio.Event()
        async with rig(tmp_path, mail=mail) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            await r.until(lambda: "FolderSync" in mail.commands)
            # the gateway does not reconsider by itself here: only the look before the answer can catch it
            r.gateway._workings.connections._by_user.clear()
            r.override("DENY")
            await r.settled()
            mail.turn.set()
            answer = await phone.answer()
            assert (answer.status, answer.body) == (200, BLOCKED["FolderSync"])

    run(story())


def test_an_undecided_phone_may_only_say_what_it_is(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.rule("new iPhones", "ALLOW", device_operating_systems=["iOS 18"])
            await r.settled()
            phone = await r.phone()
            asked = await phone.post("FolderSync")
            assert (asked.status, asked.body) == (200, PROVISION_FIRST)
            assert asked.headers["x-ms-asthrottle"] == "DeviceInformationRequired"
            assert (await phone.post("FolderSync", version="12.1", device_id="OLD1")).status == 449
            assert (await phone.post("Ping")).body == PING_7
            settings = await phone.post("Settings", USER_INFORMATION)
            assert b"142" in settings.body
            silent = await phone.post("Provision", report())
            assert b"165" in silent.body
            assert r.mail.commands == []
            assert r.mail.questions
            said = await phone.post("Provision", report("iPhone15C2", "iOS 18.1"))
            assert said.body == b"upstream"
            assert (await phone.post("FolderSync")).body == b"upstream"

    run(story())


def test_a_phone_of_12_1_that_provisions_in_silence_has_had_its_say(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.rule("nameless", "ALLOW", device_models=["$NONE"])
            await r.settled()
            phone = await r.phone()
            assert (await phone.post("FolderSync", version="12.1")).status == 449
            assert (await phone.post("Provision", report(), version="12.1")).body == b"upstream"
            assert (await phone.post("FolderSync", version="12.1")).body == b"upstream"
            # it may still speak later, and is decided about again
            answer = await phone.post("Settings", report("Nokia", root="Settings:Settings"), version="12.1")
            assert answer.status == 403

    run(story())


def test_a_blocked_phone_heals_after_an_update_of_its_operating_system(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.rule("old iOS", "DENY", device_operating_systems=["iOS 16"])
            await r.settled()
            phone = await r.phone()
            refused = await phone.post("Provision", report("iPhone", "iOS 16.1"))
            assert refused.body == BLOCKED["Provision"]
            assert (await phone.post("FolderSync")).body == BLOCKED["FolderSync"]
            healed = await phone.post("Settings", report("iPhone", "iOS 18.0", "Settings:Settings"))
            assert healed.body == b"upstream"
            assert (await phone.post("FolderSync")).body == b"upstream"
            await r.until(lambda: (found := _device(r)) is not None and found.facts.operating_system == "iOS 18.0")

    run(story())


def test_a_closed_directory_refuses_who_is_not_in_it_as_a_user(tmp_path):
    async def story():
        async with rig(tmp_path, directory=Directory.CLOSED) as r:
            phone = await r.phone()
            answer = await phone.post("FolderSync")
            assert answer.headers["x-ms-asthrottle"] == "UserNotFound"
            assert b"126" in answer.body
            assert (await phone.post("FolderSync", login="alice@elsewhere.com")).body == answer.body

    run(story())


def test_an_open_directory_takes_a_user_up_when_the_mail_server_accepted_the_login(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync", login="carol")).status == 200
            assert (await phone.post("FolderSync", login="mallory", password=WRONG_PASSWORD)).status == 401
            listed = lambda: [user.email for user in users.list(r.context, organization_id=r.organization_id).items]  # noqa: E731
            await r.until(lambda: listed() == ["carol@example.com"])

    run(story())


def test_the_body_must_be_the_commands_own(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.rule("undecided", "ALLOW", device_models=["x"])
            await r.settled()
            for command, body, extra in (
                ("Provision", FOLDER_SYNC, {}),
                ("GetAttachment", FOLDER_SYNC, {}),
                ("FolderSync", b"", {}),
                ("FolderSync", b"garbage", {}),
                ("SendMail", b"From: x", {"Content_Type": "message/rfc822"}),
                ("Provision", b"From: x", {"Content_Type": "message/rfc822"}),
                ("Settings", bytes.fromhex("03016a000012455657"), {}),
            ):
                phone = await r.phone()
                assert (await phone.post(command, body, **extra)).status == 400, command
            assert r.mail.received == []

    run(story())


def test_what_is_not_activesync(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            headers = {"Host": "x", "Authorization": "Basic YWxpY2U6eA=="}
            for method, target, status in (
                ("GET", "/", 404),
                ("POST", "/Microsoft-Server-ActiveSync/../owa", 404),
                ("GET", "/Microsoft-Server-ActiveSync?Cmd=Ping", 405),
                ("POST", "/Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=a&DeviceId=b&DeviceType=c", 400),
                ("POST", "/Microsoft-Server-ActiveSync?Cmd=Dance&User=a&DeviceId=a&DeviceType=c", 501),
            ):
                phone.raw(method, target, headers | {"Content-Length": "0"})
                assert (await phone.answer()).status == status, target
            assert r.mail.received == []

    run(story())


def test_rules_too_old_deny_until_the_store_is_back(tmp_path):
    async def story():
        async with rig(tmp_path, max_replica_age=3600.0) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync")).status == 200
            ping = await r.phone()
            ping.send("Ping")
            await r.until(lambda: r.mail.parked == 1)
            decider = r.gateway._workings.decider
            decider._max_age = -1.0
            assert (await ping.answer()).body == PING_7
            answer = await phone.post("FolderSync")
            assert answer.status == 503
            assert answer.headers["x-ms-asthrottle"] == "RulesTooOld"
            assert 60 <= int(answer.headers["retry-after"]) <= 300
            decider._max_age = 3600.0
            await r.until(lambda: not decider.too_old)
            assert (await phone.post("FolderSync")).status == 200

    run(story())


def test_an_error_while_deciding_denies(tmp_path, monkeypatch):
    async def story():
        async with rig(tmp_path) as r:
            monkeypatch.setattr("gatepost.gateway.decisions.decide", lambda *_: 1 / 0)
            answer = await (await r.phone()).post("FolderSync")
            assert answer.status == 503
            assert answer.headers["x-ms-asthrottle"] == "Error"
            assert "FolderSync" not in r.mail.commands

    run(story())


def test_a_denial_that_passes_while_a_request_is_taken_back_lets_the_phone_ask_again(tmp_path, monkeypatch):
    async def story():
        async def never(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
            return True

        async with rig(tmp_path, mail=MailServer(answering=never)) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            await r.until(lambda: "FolderSync" in r.mail.commands)
            workings = r.gateway._workings
            workings.proofs.remember(basic().encode())
            (exchange,) = workings.connections.all()
            right, denied = workings.decider.decide, Decision(Effect.DENY, Reason.MOBILE_DEVICE_ACCESS_RULE)
            answers = iter((lambda *_: denied, right))
            monkeypatch.setattr(workings.decider, "decide", lambda *asked: next(answers)(*asked), raising=False)
            exchange.reconsider()
            assert (await phone.answer()).status == 503
            assert len(workings.connections) == 0

    run(story())


def test_options_has_no_body(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.raw(
                "OPTIONS",
                "/Microsoft-Server-ActiveSync",
                {"Host": "x", "Authorization": basic(), "Content-Length": str(len(FOLDER_SYNC))},
                FOLDER_SYNC,
            )
            assert (await phone.answer()).status == 400
            assert r.mail.received == []

    run(story())

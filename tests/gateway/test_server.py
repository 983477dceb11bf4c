"""A whole gateway: starts, follows, keeps what it saw, looks again at what is in flight, and stops in good order."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs
from tests.support.engine import access_rule
from tests.support.gateway import ALICE, MailServer, http, report, rig, run

from gatepost.gateway import server as module
from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.exchange import Exchange
from gatepost.gateway.limits import Limits
from gatepost.gateway.server import Gateway
from gatepost.model import DeviceFacts, Directory, Effect, enrolled_user_id
from gatepost.operations import aliases, group_members, groups, impersonation_roles, registrations, users
from gatepost.store import access_control_rules, devices, schema
from gatepost.store.database import Store, StoreUnavailable

PING_1 = bytes.fromhex("03016a00000d45470331000101")
PING_7 = bytes.fromhex("03016a00000d45470337000101")


def row(store, r, device_id="PHONE1"):
    with store.read() as reader:
        return devices.get(reader, r.organization_id, enrolled_user_id(r.organization_id, ALICE), device_id)


async def parked(r, command="Ping", count=1, **of):
    phones = [await r.phone() for _ in range(count)]
    before = r.mail.parked
    for phone in phones:
        phone.send(command, **of)
    await r.until(lambda: r.mail.parked == before + count, 10)
    return phones


# -- starting


def test_it_says_where_it_listens(tmp_path, tmp_path_factory):
    async def story():
        async with rig(tmp_path) as r, rig(tmp_path_factory.mktemp("other")) as other:
            assert r.gateway.address[0] == "127.0.0.1"
            assert r.gateway.address[1] > 0
            assert r.gateway.address != other.gateway.address
            assert (await (await r.phone()).post("FolderSync")).status == 200

    run(story())


def test_a_port_that_is_taken_is_an_error(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            configuration = GatewayConfiguration(*r.gateway.address, upstream_address(r.mail.url))
            second = Gateway(configuration, r.store, lambda *_: "")
            second.load()
            with pytest.raises(OSError, match="in use"):
                await second.start()
            await second.stop()

    run(story())


def test_what_a_device_said_is_known_after_a_restart(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.rule("new", "ALLOW", device_operating_systems=["iOS 18"])
            await r.settled()
            phone = await r.phone()
            assert (await phone.post("Provision", report("iPhone", "iOS 18.1"))).status == 200
            await r.until(lambda: row(r.store, r) is not None)
            configuration = GatewayConfiguration("127.0.0.1", 0, upstream_address(r.mail.url))
            second = Gateway(configuration, r.store, lambda *_: "")
            second.load()
            await second.start()
            try:
                assert len(second.devices) == 1
                assert second.replica.devices == ()
                r.gateway = second
                assert (await (await r.phone()).post("FolderSync")).body == b"upstream"
            finally:
                await second.stop()

    run(story())


# -- following


def test_a_user_who_is_created_is_known_at_once(tmp_path):
    async def story():
        async with rig(tmp_path, directory=Directory.CLOSED) as r:
            phone = await r.phone()
            assert b"126" in (await phone.post("FolderSync")).body
            users.create(r.context, organization_id=r.organization_id, name="alice", display_name="Alice")
            registrations.register_to_work_mail(
                r.context, organization_id=r.organization_id, entity_id="alice", email=ALICE
            )
            await r.settled()
            assert (await phone.post("FolderSync")).body == b"upstream"

    run(story())


def test_a_request_of_somebody_unknown_is_followed_to_the_user_whom_an_administrator_creates(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            [ping] = await parked(r, login="carol")
            users.create(r.context, organization_id=r.organization_id, name="carol", display_name="Carol")
            registrations.register_to_work_mail(
                r.context, organization_id=r.organization_id, entity_id="carol", email="carol@example.com"
            )
            await r.settled()
            assert r.mail.parked == 1
            r.override("DENY", user_id="carol")
            assert (await ping.answer()).body == PING_7
            assert len(r.gateway._workings.connections) == 0

    run(story())


def test_an_address_that_becomes_a_group_s_is_nobody_s_and_ends_what_is_in_flight(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 60)  # before the open directory takes them up

    async def story():
        async with rig(tmp_path) as r:
            where = {"organization_id": r.organization_id}
            pings = await parked(r, login="sales@example.com") + await parked(r, login="carol@example.com")
            group_id = groups.create(r.context, **where, name="everyone")
            registrations.register_to_work_mail(r.context, **where, entity_id=group_id, email="sales@example.com")
            answer = await pings[0].answer()
            assert (answer.body, answer.headers["x-ms-asthrottle"]) == (PING_7, "UserNotFound")
            aliases.create(r.context, **where, entity_id=group_id, alias="team@example.com")
            await r.settled()
            for login in ("sales@example.com", "team@example.com"):
                assert (await (await r.phone()).post("FolderSync", login=login)).body != b"upstream"
            assert r.mail.parked == 1
            assert len(r.gateway._workings.connections) == 1
            registrations.deregister_from_work_mail(r.context, **where, entity_id=group_id)
            groups.delete(r.context, **where, group_id=group_id)
            await r.settled()
            for login in ("sales@example.com", "team@example.com"):
                assert (await (await r.phone()).post("FolderSync", login=login)).body == b"upstream"

    run(story())


def test_what_decides_nothing_here_leaves_requests_in_flight_alone(tmp_path, monkeypatch):
    looked = []
    reconsider = Exchange.reconsider

    def counted(exchange):
        looked.append(exchange)
        reconsider(exchange)

    async def story():
        async with rig(tmp_path) as r:
            where = {"organization_id": r.organization_id}
            assert (await (await r.phone()).post("FolderSync")).status == 200
            await r.until(lambda: row(r.store, r) is not None)
            await parked(r)
            group_id = groups.create(r.context, **where, name="everyone")
            await r.settled()
            monkeypatch.setattr(Exchange, "reconsider", counted)
            group_members.associate_member_to_group(r.context, **where, group_id=group_id, member_id=ALICE)
            impersonation_roles.create(r.context, **where, name="migration", type="READ_ONLY", rules=[])
            await r.settled()
            assert looked == []
            r.rule("new", "ALLOW")
            await r.settled()
            assert len(looked) == 1

    run(story())


def test_what_another_gateway_heard_ends_a_parked_request_here(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.rule("old iOS", "DENY", device_operating_systems=["iOS 16"])
            await r.settled()
            first = await r.phone()
            assert (await first.post("Provision", report("iPhone", "iOS 18.0"))).status == 200
            await r.until(lambda: row(r.store, r) is not None)
            [ping] = await parked(r)
            known = row(r.store, r)
            theirs = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path / 'gatepost.db'}")
            with theirs.begin() as transaction:
                downgraded = DeviceFacts(reported=True, operating_system="iOS 16.7")
                later = known.last_seen.replace(year=known.last_seen.year + 1)
                devices.save(transaction, [replace(known, facts=downgraded, last_seen=later)])
            theirs.close()
            assert (await ping.answer()).body == PING_7

    run(story())


def test_a_restored_database_is_loaded_and_everything_in_flight_is_looked_at_again(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            [ping] = await parked(r)
            with r.store.begin() as transaction:
                transaction.connection.execute(update(schema.revision_counter).values(epoch="another"))
                rule = access_rule("nobody", Effect.DENY)
                access_control_rules.put(transaction, replace(rule, organization_id=r.organization_id))
            answer = await ping.answer()
            assert answer.body == PING_7
            assert answer.headers["x-ms-asthrottle"] == "AccessControlRule"

    run(story())


def test_hundreds_in_flight_are_looked_at_again_in_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_AT_A_TIME", 100)

    async def story():
        async with rig(tmp_path, limits=Limits(requests_per_user=300, requests_per_device=300)) as r:
            phones = await parked(r, count=250)
            others = await parked(r, count=50, login="bob@example.com", device_id="Phone2")
            assert len(r.gateway._workings.connections) == 300
            r.override("DENY")
            for phone in phones:
                assert (await phone.answer()).body == PING_7
            await r.until(lambda: r.mail.parked == 50)
            assert len(r.gateway._workings.connections) == 50
            r.deny_by_default()
            for phone in others:
                assert (await phone.answer()).body == PING_7
            assert len(r.gateway._workings.connections) == 0
            assert r.gateway.metrics.ended == 300

    run(story())


def test_an_error_with_one_request_does_not_keep_the_others_in(tmp_path, monkeypatch):
    reconsider, failed = Exchange.reconsider, []

    def failing_once(exchange):
        if not failed:
            failed.append(exchange)
            raise RuntimeError("broken")
        reconsider(exchange)

    async def story():
        async with rig(tmp_path) as r:
            phones = await parked(r, count=3)
            monkeypatch.setattr(Exchange, "reconsider", failing_once)
            with capture_logs() as logged:
                r.override("DENY")
                await r.until(lambda: r.mail.parked == 1)
            assert "gateway.reconsider_failed" in {entry["event"] for entry in logged}
            assert (await phones[1].answer()).body == PING_7
            assert (await phones[2].answer()).body == PING_7

    run(story())


# -- beside the requests


def test_a_connection_that_was_idle_too_long_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SWEEP_SECONDS", 0.02)

    async def story():
        async with rig(tmp_path) as r:
            idle, busy = await r.phone(), await r.phone()
            await idle.post("FolderSync")
            await busy.post("FolderSync")
            first, second = sorted(r.gateway._workings.downstreams, key=lambda one: one.deadline)
            del second
            first.deadline = 0.0
            await r.until(lambda: len(r.gateway._workings.downstreams) == 1)

    run(story())


def test_a_failed_sweep_is_not_the_last_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SWEEP_SECONDS", 0.02)

    async def story():
        async with rig(tmp_path) as r:
            swept = []

            def failing_once():
                swept.append(1)
                if len(swept) == 1:
                    raise RuntimeError("broken")

            with capture_logs() as logged:
                monkeypatch.setattr(r.gateway._workings.upstream, "sweep", failing_once)
                await r.until(lambda: len(swept) > 2)
            assert "gateway.sweep_failed" in {entry["event"] for entry in logged}

    run(story())


def test_rules_that_are_too_old_are_said_once_and_end_what_is_in_flight(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SWEEP_SECONDS", 0.02)

    async def story():
        async with rig(tmp_path) as r:
            [ping] = await parked(r)
            with capture_logs() as logged:
                r.gateway._workings.decider._max_age = -1.0
                assert (await ping.answer()).body == PING_7
                await asyncio.sleep(0.1)
            assert [entry["event"] for entry in logged].count("replica.too_old") == 1

    run(story())


def test_devices_are_written_every_moment_and_kept_while_the_store_is_away(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.02)
    save, away = devices.save, []

    def failing(transaction, those):
        if away:
            raise StoreUnavailable("away")
        return save(transaction, those)

    async def story():
        async with rig(tmp_path) as r:
            monkeypatch.setattr(devices, "save", failing)
            phone = await r.phone()
            await phone.post("FolderSync")
            await r.until(lambda: row(r.store, r) is not None)
            away.append(True)
            with capture_logs() as logged:
                assert (await phone.post("Provision", report("iPhone", "iOS 18.1"))).status == 200
                await r.until(lambda: "devices.not_written" in {entry["event"] for entry in logged})
            assert row(r.store, r).facts == DeviceFacts()
            away.clear()
            await r.until(lambda: row(r.store, r).facts.operating_system == "iOS 18.1")

    run(story())


def test_a_failed_flush_is_not_the_last_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.02)

    async def story():
        async with rig(tmp_path) as r:
            taken, take = [], r.gateway.devices.take

            def failing_once():
                taken.append(1)
                if len(taken) == 1:
                    raise RuntimeError("broken")
                return take()

            with capture_logs() as logged:
                monkeypatch.setattr(r.gateway.devices, "take", failing_once)
                await r.until(lambda: len(taken) > 2)
            assert "gateway.flush_failed" in {entry["event"] for entry in logged}

    run(story())


# -- stopping


def test_a_gateway_that_never_started_stops(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            configuration = GatewayConfiguration("127.0.0.1", 0, upstream_address(r.mail.url))
            await Gateway(configuration, r.store, lambda *_: "").stop()

    run(story())


def test_parked_requests_end_as_if_their_time_were_up(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            [ping] = await parked(r, "Ping")
            [sync] = await parked(r, "Sync", device_id="Phone2")
            await r.gateway.stop()
            answer = await ping.answer()
            assert (answer.status, answer.body) == (200, PING_1)
            assert answer.headers["content-type"] == "application/vnd.ms-sync.wbxml"
            answer = await sync.answer()
            assert (answer.status, answer.body) == (200, b"")
            assert await ping.closed()
            assert await sync.closed()
            await r.until(lambda: r.mail.gave_up == 2)

    run(story())


def test_nobody_new_is_let_in_and_idle_connections_are_closed(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            idle, fresh = await r.phone(), await r.phone()
            await idle.post("FolderSync")
            address = r.gateway.address
            started = asyncio.get_running_loop().time()
            await r.gateway.stop()
            assert asyncio.get_running_loop().time() - started < 2
            assert await idle.closed()
            assert await fresh.closed()
            with pytest.raises(OSError):
                await asyncio.open_connection(*address)

    run(story())


def slow_server():
    """Answers a FolderSync when `turn` is set."""

    async def answering(mail, request, writer):
        await mail.turn.wait()
        writer.write(http(200, b"slow but whole"))
        return True

    mail = MailServer(answering=answering)
    mail.turn = asyncio.Event()
    return mail


def test_an_answer_that_is_under_way_arrives_whole(tmp_path):
    async def story():
        mail = slow_server()
        async with rig(tmp_path, mail=mail) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            await r.until(lambda: "FolderSync" in mail.commands)
            stopping = asyncio.ensure_future(r.gateway.stop())
            await asyncio.sleep(0.05)
            assert not stopping.done()
            mail.turn.set()
            answer = await phone.answer()
            assert (answer.status, answer.body) == (200, b"slow but whole")
            assert answer.headers["connection"] == "close"
            assert await phone.closed()
            await stopping

    run(story())


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_DRAIN_SECONDS", 0.1)

    async def story():
        mail = slow_server()
        async with rig(tmp_path, mail=mail) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            await r.until(lambda: "FolderSync" in mail.commands)
            await r.gateway.stop()
            assert await phone.closed(), "without an answer"
            mail.turn.set()

    run(story())


def test_what_was_seen_last_is_written_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 1000.0)

    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            assert (await phone.post("Provision", report("iPhone", "iOS 18.1"))).status == 200
            assert row(r.store, r) is None
            await r.gateway.stop()
            assert row(r.store, r).facts.operating_system == "iOS 18.1"

    run(story())


def test_a_store_that_is_away_at_the_end_does_not_hold_it_up(tmp_path, monkeypatch):
    def away(*_):
        raise StoreUnavailable("away")

    async def story():
        async with rig(tmp_path) as r:
            await (await r.phone()).post("FolderSync")
            monkeypatch.setattr(devices, "save", away)
            with capture_logs() as logged:
                await r.gateway.stop()
            assert "devices.not_written" in {entry["event"] for entry in logged}

    run(story())

import asyncio
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from gatepost.mdm import inbox as module
from gatepost.mdm.inbox import Inbox
from gatepost.model import Notification
from gatepost.store import mdm_inbox, mdm_work
from gatepost.store.errors import StoreError, StoreUnavailable

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def notification(number: int, device_key="1") -> Notification:
    return Notification("uem", f"n{number}", device_key, b"{}", NOW)


def run(story, store, **options):
    """The story with an inbox; what it returns, and how often the bridge was told."""

    async def whole():
        told = []
        inbox = Inbox(store, lambda: told.append(None), **options)
        try:
            return await asyncio.wait_for(story(inbox), 20), len(told)
        finally:
            await inbox.close()

    return asyncio.run(whole())


def claimed(store) -> list[str]:
    with store.bookkeeping() as writer:
        return sorted(one.device_key for one in mdm_work.claim(writer, 60, 1000))


class Held:
    """A store whose commits wait until they may go on, and that counts them."""

    def __init__(self, store) -> None:
        self.store = store
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.commits = 0

    @contextmanager
    def bookkeeping(self):
        self.begun.set()
        assert self.may_go_on.wait(20)
        self.commits += 1
        with self.store.bookkeeping() as writer:
            yield writer


def test_what_was_added_is_stored_and_its_device_dirty(store):
    async def story(inbox):
        return [
            await inbox.add(notification(1)),
            await inbox.add(notification(1)),
            await inbox.add(notification(2, None)),
        ]

    assert run(story, store) == ([True, False, True], 3)
    with store.read() as reader:
        assert [one.notification_id for one in mdm_inbox.since(reader, "uem", NOW)] == ["n1", "n2"]
    assert claimed(store) == ["1"]


def test_what_arrives_during_a_commit_goes_into_the_next_together(store):
    held = Held(store)

    async def story(inbox):
        first = asyncio.create_task(inbox.add(notification(0)))
        await asyncio.to_thread(held.begun.wait, 20)
        rest = [asyncio.create_task(inbox.add(notification(number, str(number)))) for number in range(1, 41)]
        await asyncio.sleep(0)
        held.may_go_on.set()
        return await asyncio.gather(first, *rest)

    assert run(story, held) == ([True] * 41, 2)
    assert held.commits == 2
    assert len(claimed(store)) == 40


def test_a_batch_has_an_end(store, monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_ONCE", 10)
    held = Held(store)
    held.may_go_on.set()

    async def story(inbox):
        return await asyncio.gather(*(inbox.add(notification(number)) for number in range(35)))

    assert run(story, held) == ([True] * 35, 4)
    assert held.commits == 4


def test_more_than_can_wait_are_told_to_come_again(store, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)

    async def story(inbox):
        return await asyncio.gather(*(inbox.add(notification(number)) for number in range(4)), return_exceptions=True)

    answers, _ = run(story, store)
    assert answers[:2] == [True, True]
    assert all(isinstance(one, StoreUnavailable) for one in answers[2:])


class Away:
    @contextmanager
    def bookkeeping(self):
        raise StoreUnavailable("the database does not answer")
        yield


def test_a_store_that_is_away_is_said_to_everyone_and_nobody_is_woken():
    async def story(inbox):
        return await asyncio.gather(*(inbox.add(notification(number)) for number in range(3)), return_exceptions=True)

    answers, told = run(story, Away())
    assert [type(one) for one in answers] == [StoreUnavailable] * 3
    assert told == 0


def test_a_store_that_hangs_is_not_waited_for_and_what_it_keeps_then_is_kept(store):
    held = Held(store)

    async def story(inbox):
        with pytest.raises(StoreUnavailable, match=r"within 0\.05 seconds"):
            await inbox.add(notification(1))
        held.may_go_on.set()

    run(story, held, patience=0.05)
    assert claimed(store) == ["1"]


def test_one_that_cannot_be_stored_does_not_take_the_others_with_it(store, monkeypatch):
    original = mdm_inbox.receive_many

    def picky(writer, notifications):
        if any(one.device_key == "bad" for one in notifications):
            raise ValueError("no")
        return original(writer, notifications)

    monkeypatch.setattr(mdm_inbox, "receive_many", picky)

    async def story(inbox):
        three = [inbox.add(notification(1)), inbox.add(notification(2, "bad")), inbox.add(notification(3, "3"))]
        return await asyncio.gather(*three, return_exceptions=True)

    answers, told = run(story, store)
    assert (answers[0], answers[2], told) == (True, True, 1)
    assert isinstance(answers[1], StoreError)
    assert claimed(store) == ["1", "3"]

import asyncio

import pytest

from gatepost.gateway.outbox import Outbox


class Transport:
    def __init__(self, log, name):
        self.log, self.name, self.closing = log, name, False

    def is_closing(self):
        return self.closing

    def write(self, data):
        self.log.append((self.name, data))


def test_messages_wait_for_the_end_of_the_turn_and_keep_their_order():
    async def story():
        log = []
        outbox = Outbox()
        outbox.open(asyncio.get_running_loop())
        first, second = Transport(log, 1), Transport(log, 2)
        outbox.send(first, b"a")
        outbox.send(second, b"b")
        outbox.send(first, b"c")
        assert log == []
        await asyncio.sleep(0)
        assert log == [(1, b"a"), (2, b"b"), (1, b"c")]
        outbox.send(second, b"d")
        await asyncio.sleep(0)
        assert log[-1] == (2, b"d")

    asyncio.run(story())


def test_a_connection_that_closed_meanwhile_does_not_stop_the_others():
    async def story():
        log = []
        outbox = Outbox()
        outbox.open(asyncio.get_running_loop())
        gone, here = Transport(log, 1), Transport(log, 2)
        outbox.send(gone, b"a")
        outbox.send(here, b"b")
        gone.closing = True
        outbox.flush()
        assert log == [(2, b"b")]
        await asyncio.sleep(0)
        assert log == [(2, b"b")]

    asyncio.run(story())


def test_there_is_no_turn_without_a_loop():
    with pytest.raises(AssertionError):
        Outbox().send(Transport([], 1), b"a")

"""Whole messages, sent together at the end of the event loop's turn.

A send wakes its receiver, and waking a processor that has gone idle costs more than the send. Sends that follow each
other closely find it awake; measured at 32 connections, this takes a tenth to a fifth off the CPU time of a request.
Only what is whole goes this way: what streams is written at once, so that back-pressure is felt at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Outbox:
    """Messages of one event loop, in order."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on there is a loop whose turns end."""
        self._loop = loop

    def send(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write `data` at the end of this turn."""
        if not self._waiting:
            assert self._loop is not None
            self._loop.call_soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Write everything now."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)

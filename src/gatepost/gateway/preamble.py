"""The beginning of a connection where proxies speak the PROXY protocol: who really connects, before any HTTP.

A trusted proxy has to say so first, anybody else must not: guessing would let everybody choose an address (specification,
section 2). Once it is said the transport gets its `Downstream`, and nothing of this is left.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from gatepost.gateway.downstream import Downstream
from gatepost.wire import proxy_protocol
from gatepost.wire.proxy_protocol import ProxyProtocolError

if TYPE_CHECKING:
    from gatepost.gateway.workings import Workings


class Preamble(asyncio.Protocol):
    """Reads the PROXY header of one connection; its `Downstream` is there from the start, and keeps the time."""

    __slots__ = ("_begun", "_downstream", "_handed_over", "_transport", "_trusted", "_workings")

    def __init__(self, workings: Workings) -> None:
        self._workings = workings
        self._downstream = Downstream(workings)
        self._transport: asyncio.Transport | None = None
        self._trusted = False
        self._handed_over = False
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A proxy is here, or somebody else."""
        self._transport = transport  # type: ignore[assignment]  # asyncio types it as the base class
        self._downstream.connection_made(transport)
        self._trusted = self._workings.clients.trusts(self._downstream.peer)
        if self._trusted:
            self._downstream.hold(self._workings.configuration.limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Read some of the header, or look whether somebody sends one who must not."""
        self._begun += data
        if self._trusted:
            self._read()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended before it said who it is; one that says nothing at all only looks whether somebody listens."""
        late = self._downstream.deadline < self._workings.clock.now
        if self._trusted and (late or self._begun) and not self._handed_over:
            self._workings.metrics.proxy_headers_refused += 1
        self._downstream.connection_lost(exc)

    def _read(self) -> None:
        try:
            header = proxy_protocol.read(self._begun)
        except ProxyProtocolError as error:
            self._workings.notices.say("connection.no_proxy_header", peer=self._downstream.peer, error=str(error))
            self._downstream.abort()
            return
        if header is None:
            return
        downstream = self._downstream
        if not header.local:
            downstream.peer = "" if header.source is None else sys.intern(str(header.source))
        downstream.hold(self._workings.configuration.limits.idle_seconds)
        self._hand_over()
        if len(self._begun) > header.length:
            downstream.data_received(self._begun[header.length :])

    def _watch(self) -> None:
        """Everything is HTTP here, and a PROXY header is none: it gets the answer to that, and is counted."""
        begins = proxy_protocol.begins(self._begun)
        if begins is None:
            self._downstream.hold(self._workings.configuration.limits.head_seconds)
            return
        if begins:
            self._workings.clients.ignore("PROXY")
        self._hand_over()
        self._downstream.data_received(self._begun)

    def _hand_over(self) -> None:
        self._handed_over = True
        if self._transport is not None:
            self._transport.set_protocol(self._downstream)

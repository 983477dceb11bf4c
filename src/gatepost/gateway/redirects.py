"""Which mail server has whose mailbox, as the mail servers themselves say.

Theory of operation. A server that does not have the phone's mailbox answers 451 with `X-MS-Location` (MS-ASHTTP 3.1.5.2.2),
or an ordinary redirection. A phone that were told so would go there, and never ask here again. So we go there: the request
is sent on to the other server when all of it is still here (a redirection comes before the command is carried out, so this
holds for every command), and otherwise the phone is told to ask again, here.

Who was sent on is remembered for an hour by the credentials, not by the login: whoever does not know the password cannot
have anybody else's requests sent anywhere. It is forgotten with a 401, and when the server cannot be reached.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from gatepost.gateway.locations import LocationRefused, Locations, redirects
from gatepost.gateway.upstream import Upstream, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.gateway.configuration import GatewayConfiguration, UpstreamAddress
    from gatepost.gateway.outbox import Outbox
    from gatepost.gateway.upstream import Reply

log = structlog.get_logger(__name__)

MOST_HOPS = 3  # of one request, as in AOSP's client; two servers and a move between them need no more
_REMEMBERED_SECONDS = 3_600.0  # then the configured server is asked again: the mailbox may have moved back
_MOST_REMEMBERED = 100_000  # credentials, about 20 MB
_MOST_CHANGES, _CHANGE_SECONDS = 3, 60.0  # two servers that send a phone to each other would do so for ever
_MOST_SERVERS = 64
_SAY_AGAIN_SECONDS = 60.0
_MOST_SAID = 256


class Redirects:
    """Every mail server, and who is not at the configured one, `home`; `clock` in seconds.

    `known` is empty as long as nobody was sent on, so that nobody need look.
    """

    def __init__(
        self,
        configuration: GatewayConfiguration,
        home: Upstream,
        outbox: Outbox,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.home = home
        self.known: dict[int, _Known] = {}
        self._locations = Locations(home.address, configuration.redirect_hosts, configuration.public_url)
        self.expected = self._locations.others
        self._configuration = configuration
        self._outbox = outbox
        self._clock = clock
        self._servers: dict[UpstreamAddress, Upstream] = {home.address: home}
        self._said: dict[tuple[str | None, str], float] = {}

    @property
    def connections(self) -> int:
        """How many connections to mail servers are open."""
        return sum(map(len, self._servers.values()))

    def of(self, authorization: bytes) -> Upstream:
        """The mail server to ask for whoever has these credentials; by their hash, so that they are not kept."""
        known = self.known.get(hash(authorization))
        return self.home if known is None or known.until < self._clock() else known.upstream

    def follow(
        self, authorization: bytes, current: Upstream, status: int, headers: list[bytes], host: bytes | None
    ) -> Upstream:
        """The mail server that `current` says to ask, from now on; raises UpstreamError, and has logged why."""
        try:
            address = self._locations.read(status, headers, current.address, host)
            upstream = self._server(address)
            self._remember(hash(authorization), upstream)
        except LocationRefused as refused:
            self._say(refused, status, current)
            raise UpstreamError(f"redirection refused: {refused.reason}") from None
        return upstream

    def forget(self, authorization: bytes) -> None:
        """The credentials are not valid there, or there is nobody."""
        self.known.pop(hash(authorization), None)

    def here(self, host: bytes | None) -> tuple[tuple[bytes, bytes], ...]:
        """The header that has a phone ask again, at this gateway; none when its address cannot be known."""
        own = self._locations.here(host)
        return () if own is None else ((b"X-MS-Location", own),)

    async def ask(self, authorization: bytes) -> Reply:
        """OPTIONS with these credentials, sent on like a phone's; raises UpstreamError."""
        upstream = self.of(authorization)
        for hop in range(MOST_HOPS + 1):
            try:
                reply = await upstream.ask(b"OPTIONS", (b"Authorization: " + authorization,))
            except UpstreamError:
                self.forget(authorization)
                if hop or upstream is self.home:
                    raise
                upstream = self.home
                continue
            if redirects(reply.status):
                upstream = self.follow(authorization, upstream, reply.status, list(reply.headers), None)
                continue
            if reply.status == 401:
                self.forget(authorization)
            return reply
        raise UpstreamError("sent on too often")

    def sweep(self) -> None:
        """Called about every second."""
        for upstream in self._servers.values():
            upstream.sweep()
        now = self._clock()
        while self.known and self.known[oldest := next(iter(self.known))].until < now:
            del self.known[oldest]

    def close(self) -> None:
        """Close every connection."""
        for upstream in self._servers.values():
            upstream.close()

    # -- inside

    def _server(self, address: UpstreamAddress) -> Upstream:
        """The one at this address, with connections of its own; made when it is first named."""
        upstream = self._servers.get(address)
        if upstream is None:
            if len(self._servers) >= _MOST_SERVERS:
                self._make_room()
            context = self._configuration.ssl_context
            if address.tls and context is None:
                context = ssl.create_default_context()
            upstream = Upstream(replace(self._configuration, upstream=address, ssl_context=context), self._outbox)
            self._servers[address] = upstream
        return upstream

    def _make_room(self) -> None:
        """A mail server that names a path of its own for everybody must not have us keep them all."""
        used = {known.upstream for known in self.known.values()} | {self.home}
        for address, upstream in list(self._servers.items()):
            if upstream not in used and not len(upstream):
                del self._servers[address]
        if len(self._servers) >= _MOST_SERVERS:
            raise LocationRefused(f"more than {_MOST_SERVERS} mail servers")

    def _remember(self, key: int, upstream: Upstream) -> None:
        """Last in the order of `known`, which is that of time."""
        now = self._clock()
        known = self.known.pop(key, None)
        if known is None:
            if len(self.known) >= _MOST_REMEMBERED:
                del self.known[next(iter(self.known))]
            known = _Known(upstream, now)
        elif known.upstream is not upstream:
            known.change(upstream, now)
        self.known[key] = known
        if known.changes > _MOST_CHANGES:
            raise LocationRefused("servers send the phone to each other", upstream.address.authority.decode())
        known.until = now + _REMEMBERED_SECONDS

    def _say(self, refused: LocationRefused, status: int, current: Upstream) -> None:
        """Log it, each minute once: every request of every phone may meet the same."""
        now, what = self._clock(), (refused.host, refused.reason)
        if now - self._said.get(what, -_SAY_AGAIN_SECONDS) < _SAY_AGAIN_SECONDS:
            return
        if len(self._said) >= _MOST_SAID:
            self._said.clear()
        self._said[what] = now
        log.warning(
            "upstream.redirect_refused",
            host=refused.host,
            reason=refused.reason,
            setting=refused.setting,
            status=status,
            upstream=current.address.authority.decode(),
        )


class _Known:
    """Where somebody's mailbox is, until when that is believed, and how often that changed of late."""

    __slots__ = ("changes", "since", "until", "upstream")

    def __init__(self, upstream: Upstream, now: float) -> None:
        self.upstream = upstream
        self.since = self.until = now
        self.changes = 1

    def change(self, upstream: Upstream, now: float) -> None:
        """It is another one now."""
        self.upstream = upstream
        if now - self.since > _CHANGE_SECONDS:
            self.since, self.changes = now, 0
        self.changes += 1

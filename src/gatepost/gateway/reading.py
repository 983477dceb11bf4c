"""A request as far as it has been read.

This is what the parser talks to: header by header, straight into the forms in which they are read and passed on. It is
gone when its exchange has begun, because a parked request should weigh little.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from gatepost.gateway.forwarding import KNOWN_HEADERS, Head
from gatepost.wire import basic_auth

if TYPE_CHECKING:
    from gatepost.gateway.downstream import Downstream

LOOK_AT = 65_536  # bytes of a body that are waited for before it is looked at
_FROM_STRANGERS = 16_384  # bytes of a body that are kept for somebody whom the mail server has not let in yet

_SINGLE = frozenset(  # two of one of these could mean one thing here and another at the mail server
    {
        b"authorization",
        b"host",
        b"content-type",
        b"user-agent",
        b"ms-asprotocolversion",
        b"x-ms-policykey",
        b"ms-asacceptmultipart",
        b"client-request-id",
    }
)

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]{1,5})?")  # it goes on, and into redirects


class StopReading(Exception):  # noqa: N818 - no error: raised in a callback to stop the parser, the connection knows why
    """What follows is not looked at."""


class Reading:
    """The parser's callbacks; what concerns the connection goes on to `Downstream`."""

    __slots__ = (
        "_downstream",
        "_limits",
        "body",
        "chunked",
        "head_read",
        "head_size",
        "headers",
        "length",
        "lines",
        "method",
        "received",
        "size",
        "spool",
        "url",
        "vouched",
    )

    def __init__(self, downstream: Downstream) -> None:
        self._downstream = downstream
        self._limits = downstream.limits
        self._clear()

    def _clear(self) -> None:
        self.received = 0  # bytes since it began
        self.head_read = False
        self.method = b""
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.lines: list[bytes] = []
        self.head_size = 0
        self.length = 0
        self.chunked = False
        self.body: list[bytes] = []
        self.size = 0
        self.spool: IO[bytes] | None = None
        self.vouched = False

    def on_message_begin(self) -> None:
        """A request begins."""
        self._downstream.request_begins()
        if self.url:  # right behind the one before, in the same bytes
            self._clear()

    def on_url(self, url: bytes) -> None:
        """Some of the request target."""
        self.url += url
        if len(self.url) > self._limits.head_bytes:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; behind a body in chunks it would be a trailer, and those mean nothing (RFC 9110 6.5.1)."""
        if self.head_read:
            return
        if self.received > self._limits.head_bytes:  # more than a head may have: some of it may be a body's
            self.head_size += len(name) + len(value) + 4
            if self.head_size > self._limits.head_bytes:
                self._refuse(431)
        known = KNOWN_HEADERS.get(name) or KNOWN_HEADERS.get(name.lower())
        if known is None:
            return
        key, line = known
        if key is not None:
            headers = self.headers
            if key in headers:
                if key in _SINGLE:
                    self._refuse(400)
                value = headers[key] + b", " + value
            elif key == b"authorization":
                value = basic_auth.canonical(value)
            headers[key] = value
        if line is not None:
            self.lines.append(b"%s%s\r\n" % (line, value))

    def on_headers_complete(self) -> None:
        """The head is whole: how long is the body?"""
        self.head_read = True
        self.method = self._downstream.head_read()
        headers = self.headers
        host = headers.get(b"host")
        if host and _HOST.fullmatch(host.strip()) is None:
            self._refuse(400)
        encoding = headers.get(b"transfer-encoding")
        if encoding is not None:
            self.chunked = True
            if not self._downstream.chunks:  # HTTP/1.0 has none: whoever passed it on may have seen another body
                self._refuse(400)
            if encoding.strip().lower() != b"chunked":
                self._refuse(501)
            # Its length is not known before it is here, so all of it is kept: not for somebody without credentials.
            # (With credentials, they are proven before much of it is.)
            if basic_auth.login(headers.get(b"authorization", b"")) is None:
                self._refuse(401)
        length = headers.get(b"content-length")
        self.length = 0 if length is None else int(length)
        if self.length > self._limits.body_bytes:
            self._refuse(413)
        if b"expect" in headers:
            if headers[b"expect"].strip().lower() != b"100-continue":
                self._refuse(417)
            if basic_auth.login(headers.get(b"authorization", b"")) is None:
                self._refuse(401)  # before anything of the body is sent
            self._downstream.go_on()

    def on_body(self, data: bytes) -> None:
        """Some of a body."""
        if not self._downstream.takes_body(data):
            return
        self.size += len(data)
        if self.size > self._limits.body_bytes:
            self._refuse(413)
        if self.size > _FROM_STRANGERS and not self.vouched:
            self.vouched = True
            if not self._downstream.vouch(self):
                return
        if self.chunked:
            self.spool = self.spool or self._downstream.make_spool()
            self.spool.write(data)
        else:
            self.body.append(data)
            # Provision and Settings are decoded, so all of them must be here; both are small.
            if self.size > LOOK_AT and self.length > self._limits.document_bytes:
                self._downstream.begin(self)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._downstream.request_complete(self)

    @property
    def plain(self) -> bool:
        """Nothing about the frame of the request but its length."""
        return not self.chunked and b"expect" not in self.headers

    def head(self) -> Head:
        """What the exchange gets."""
        return Head(self.method, self.url, self.headers, self.lines, self.size if self.chunked else self.length)

    def _refuse(self, status: int) -> None:
        self._downstream.refuse(status)
        raise StopReading

"""The mail server's answer on its way to the phone."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost.gateway.downstream import Downstream

log = structlog.get_logger(__name__)

ASK_FOR_CREDENTIALS = (b"WWW-Authenticate", b'Basic realm="Gatepost", charset="UTF-8"')


_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    449: b"Retry after sending a PROVISION command",
    451: b"Redirect",
}


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, b"Status"))


class Answer:
    """Frames an answer anew: same status, headers and body, this connection's own length and keep-alive."""

    __slots__ = ("_chunked", "_downstream", "_out", "status")

    def __init__(self, downstream: Downstream, status: int, headers: list[bytes], length: bytes | None) -> None:
        self._downstream = downstream
        self.status = status
        self._chunked = False
        lines = [status_line(status), *headers]
        if length is not None:
            lines.append(b"Content-Length: %s\r\n" % length)
        elif status not in {204, 304}:
            if downstream.chunks:
                self._chunked = True
                lines.append(b"Transfer-Encoding: chunked\r\n")
            else:
                downstream.close_after()
        if not downstream.keeps_alive:
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        self._out = lines

    def body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._chunked:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)

    def flush(self) -> None:
        """Send what has gathered."""
        if self._out:
            out, self._out = self._out, []
            self._downstream.write(b"".join(out))

    def end(self) -> None:
        """Send the rest."""
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        if self._out:
            self._downstream.send(b"".join(self._out))


def corrected(status: int, headers: list[bytes]) -> list[bytes]:
    """Header lines as a phone needs them: a 401 asks for Basic credentials, and for nothing that needs one connection."""
    if status != 401:
        return headers
    asks = [line for line in headers if line[:17].lower() == b"www-authenticate:"]
    basic = [line for line in asks if line[17:].strip()[:5].lower() == b"basic"]
    return [line for line in headers if line not in asks] + (basic or [b"%s: %s\r\n" % ASK_FOR_CREDENTIALS])


class Offer:
    """What a mail server says that phones may ask for, less what the administrator does not want.

    `protocol_versions` and `refused_commands` as in the settings. Provision and Settings are added, because the gateway
    asks phones to provision, and they have to know the word.
    """

    def __init__(self, protocol_versions: Collection[str] = (), refused_commands: Collection[str] = ()) -> None:
        self._versions = frozenset(version.encode() for version in protocol_versions)
        self._refused = frozenset(command.lower().encode() for command in refused_commands)
        self._told = False

    def line(self, name: bytes, value: bytes) -> bytes | None:
        """The header line to pass on, None when nothing of it is left."""
        listed = [one for part in value.split(b",") if (one := part.strip())]
        if name.lower() == _COMMANDS:
            listed += [command for command in (b"Settings", b"Provision") if command not in listed]
            listed = [command for command in listed if command.lower() not in self._refused]
        elif self._versions:
            offered, listed = listed, [version for version in listed if version in self._versions]
            if not listed and not self._told:
                self._told = True
                log.error("upstream.no_version_left", offered=b",".join(offered).decode("latin-1"), setting=_VERSIONS)
        return b"%s: %s\r\n" % (name, b",".join(listed)) if listed else None


_COMMANDS = b"ms-asprotocolcommands"
_VERSIONS = "gateway.protocol_versions"

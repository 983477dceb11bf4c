"""A mail server that knows one password: 401 for any other, a long answer to ItemOperations, a short one to the rest.

Run as a process of its own (`python -m bench.judging_server PORT`). GET /asked says how many requests it has had.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import sys

import uvloop

from bench.phones import PASSWORD

LONG_BODY = b"\0" * (1 << 20)

_HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/vnd.ms-sync.wbxml\r\nMS-ASProtocolVersions: 14.1,16.0,16.1\r\n%sContent-Length: %d\r\n\r\n"
_BASIC = re.compile(rb"\r\nauthorization: basic ([a-z0-9+/=]+)", re.IGNORECASE)
_FOLDERS = bytes.fromhex("03016a00000756 4c033100 01 52033100 01 01")
_asked = 0


def answer(head: bytes) -> bytes:
    """What a request is answered, by its head."""
    if head.startswith(b"GET /asked "):
        text = str(_asked).encode()
        return _HEAD % (b"200 OK", b"", len(text)) + text
    found = _BASIC.search(head)
    try:
        password = base64.b64decode(found[1]).partition(b":")[2] if found else b""
    except binascii.Error:
        password = b""
    if password != PASSWORD.encode():
        return _HEAD % (b"401 Unauthorized", b'WWW-Authenticate: Basic realm="mail"\r\n', 0)
    if head.startswith(b"OPTIONS"):
        return _HEAD % (b"200 OK", b"", 0)
    body = LONG_BODY if b"Cmd=ItemOperations" in head else _FOLDERS
    return _HEAD % (b"200 OK", b"", len(body)) + body


class JudgingServer(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.left = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        global _asked
        self.received += data
        while self.received:
            if self.left:  # of a body
                taken = min(self.left, len(self.received))
                self.left -= taken
                del self.received[:taken]
                continue
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.received[: end + 2])
            del self.received[: end + 4]
            length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            self.left = int(length[1]) if length else 0
            _asked += not head.startswith(b"GET /asked ")
            self.transport.write(answer(head))


async def serve(port: int) -> None:
    """Listen for ever."""
    server = await asyncio.get_running_loop().create_server(JudgingServer, "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

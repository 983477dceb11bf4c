"""A mail server in which everything parks: OPTIONS and FolderSync are answered, a Ping never is.

Run as a process of its own (`python -m bench.parking_server PORT`), so that its memory is nobody else's.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\nMS-Server-ActiveSync: 14.1\r\nMS-ASProtocolVersions: 2.5,12.0,12.1,14.0,14.1,16.0,16.1\r\nContent-Length: "
_EMPTY = _HEAD + b"0\r\n\r\n"
_FOLDERS = bytes.fromhex("03016a00000756 4c033100 01 52033100 01 01")
_FOLDER_SYNC = _HEAD + str(len(_FOLDERS)).encode() + b"\r\n\r\n" + _FOLDERS


class ParkingServer(asyncio.Protocol):
    """One connection: a request at a time, told apart by its first line."""

    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < length:
            return
        self.received = b""
        if lines[0].startswith(b"options"):
            self.transport.write(_EMPTY)
        elif b"cmd=ping" not in lines[0]:
            self.transport.write(_FOLDER_SYNC)


async def serve(port: int) -> None:
    """Listen for ever."""
    server = await asyncio.get_running_loop().create_server(ParkingServer, "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

"""Hostile connections, thousands in one process, until it is terminated.

    python -m tests.support.attackers KIND PORT COUNT SECONDS PASSWORD

Each connection acts every so many SECONDS, comes back when it is closed, and says each time that it is somebody else. Now and
then a line of JSON says how many are connected, how many were closed on them, and what they were answered. The password is
that of the slow readers, who have mailboxes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import resource
import socket
import sys
from collections import Counter
from typing import ClassVar

import uvloop

PATH = "/Microsoft-Server-ActiveSync"

_random = random.Random(1)  # an attack that can be repeated


def nonsense(length: int = 12) -> str:
    """Letters and digits."""
    return "".join(_random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


def head(login: str, password: str, query: str, length: int, *more: str) -> bytes:
    """A request's head."""
    credentials = base64.b64encode(f"{login}:{password}".encode()).decode()
    lines = [
        f"POST {PATH}?{query} HTTP/1.1",
        "Host: mail.example.com",
        f"Authorization: Basic {credentials}",
        "Content-Type: application/vnd.ms-sync.wbxml",
        "MS-ASProtocolVersion: 14.1",
        f"Content-Length: {length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def query(command: str, device_id: str) -> str:
    return f"Cmd={command}&User=x&DeviceId={device_id}&DeviceType=iPhone"


class Attacker(asyncio.Protocol):
    """One connection; `tick` is what it does every so many seconds."""

    connected = 0
    lost = 0
    password = ""
    answers: ClassVar[Counter[str]] = Counter()

    def __init__(self, number: int) -> None:
        self.number = number
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        Attacker.connected += 1
        self.begin()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        Attacker.connected -= 1
        Attacker.lost += 1

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 "):
            Attacker.answers[data[9:12].decode()] += 1

    def send(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def begin(self) -> None:
        """The connection is there."""

    def tick(self) -> None:
        """Some seconds later."""


class SlowHead(Attacker):
    """A head that never ends, a header at a time."""

    def begin(self) -> None:
        self.send(head(nonsense(), nonsense(), query("Sync", nonsense()), 0)[:-2])

    def tick(self) -> None:
        self.send(f"X-{nonsense(4)}: {nonsense(4)}\r\n".encode())


class FatHead(SlowHead):
    """The same with 28 KiB at the beginning."""

    def begin(self) -> None:
        super().begin()
        for _ in range(28):
            self.send(f"X-{nonsense(4)}: {nonsense(4) * 254}\r\n".encode())


class SlowBody(Attacker):
    """A body that never ends: 15 KiB, then a byte at a time."""

    def begin(self) -> None:
        self.send(
            head(nonsense(), nonsense(), query("SendMail", nonsense()), 900_000) + b"\x03\x01\x6a\0" + b"x" * 15_000
        )

    def tick(self) -> None:
        self.send(b"x")


class KnownSlowBody(SlowBody):
    """Somebody with one mailbox and a hundred devices: all of a body but the end."""

    def begin(self) -> None:
        start = head("reader0@example.com", self.password, query("SendMail", f"READER0X{self.number % 100}"), 1_000_000)
        self.send(start + bytes.fromhex("03016a00001545 01") + b"x" * 900_000)


class SlowReader(Attacker):
    """Somebody with a mailbox who asks for a megabyte and reads nothing of it; two hundred of them with fifty devices each."""

    def begin(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self.stop_reading)  # uvloop begins to read after this
        user, device = self.number % 200, self.number // 200
        body = bytes.fromhex("03016a00001445 01")
        self.send(
            head(
                f"reader{user}@example.com", self.password, query("ItemOperations", f"READER{user}X{device}"), len(body)
            )
            + body
        )

    def stop_reading(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()


class RandomLogin(Attacker):
    """A login, a password and a device that nobody has, new ones each time."""

    def begin(self) -> None:
        self.tick()

    def tick(self) -> None:
        body = bytes.fromhex("03016a0000075652033000 01 01")
        self.send(head(f"{nonsense()}@example.com", nonsense(), query("FolderSync", nonsense(16)), len(body)) + body)


class RandomDevice(RandomLogin):
    """One login, wrong passwords, and a new device each time."""

    def tick(self) -> None:
        body = bytes.fromhex("03016a0000075652033000 01 01")
        self.send(head("victim@example.com", nonsense(), query("FolderSync", nonsense(16)), len(body)) + body)


class Malformed(RandomLogin):
    """Requests that are none."""

    def tick(self) -> None:
        some = nonsense(40)
        self.send(
            _random.choice((
                head(some, some, f"Cmd={some}&DeviceId=x&DeviceId=y", 0),
                head(some, some, f"Cmd=Sync&{some}&User=%ff%fe&DeviceId={some}&DeviceType=?", 0),
                head(some, some, base64.b64encode(some.encode()).decode(), 0),
                f"{some} / HTTP/1.1\r\n\r\n".encode(),
                f"GET /{some} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                f"POST {PATH}?{query('Sync', 'X1')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {some}\r\nContent-Length: 3\r\n\r\n".encode(),
                some.encode() * 20,
            ))
        )  # fmt: skip


KINDS: dict[str, type[Attacker]] = {
    "slow heads": SlowHead,
    "heads of 28 KiB": FatHead,
    "slow bodies": SlowBody,
    "slow bodies of a user": KnownSlowBody,
    "slow readers": SlowReader,
    "random logins": RandomLogin,
    "random devices": RandomDevice,
    "malformed requests": Malformed,
}


async def connect(one: Attacker, port: int) -> None:
    """(Again.)"""
    loop = asyncio.get_running_loop()
    made = socket.socket()
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.bind((f"127.0.1.{1 + one.number % 200}", 0))
    try:
        await loop.sock_connect(made, ("127.0.0.1", port))
        await loop.create_connection(lambda: one, sock=made)
    except OSError:
        Attacker.lost += 1
        made.close()


def tell() -> None:
    told = {"connected": Attacker.connected, "lost": Attacker.lost, "answers": Attacker.answers}
    print(json.dumps(told), flush=True)


async def attack(kind: str, port: int, count: int, seconds: float) -> None:
    """For ever."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    all_of_them = [KINDS[kind](number) for number in range(count)]
    for begin in range(0, count, 100):
        await asyncio.gather(*(connect(one, port) for one in all_of_them[begin : begin + 100]))
        tell()
    slices = 100
    while True:
        for number in range(slices):
            wait = asyncio.create_task(asyncio.sleep(seconds / slices))
            for one in all_of_them[number::slices]:
                if one.transport is None:
                    await connect(one, port)
                else:
                    one.tick()
            if number % (slices // 4) == 0:
                tell()
            await wait


if __name__ == "__main__":
    _kind, _port, _count, _seconds, Attacker.password = sys.argv[1:]
    uvloop.run(attack(_kind, int(_port), int(_count), float(_seconds)))

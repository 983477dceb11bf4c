"""Many phones in one process: each a connection that sends a FolderSync, parks a Ping, and notes when it ends."""

from __future__ import annotations

import asyncio
import base64
import time

FOLDER_SYNC = bytes.fromhex("03016a0000075652033000 01 01")
PING = bytes.fromhex("03016a00000d4548 03 393030 00 01 49 4a 4b 03 31 00 01 4c 03 456d61696c 00 01 01 01 01")
# <Settings><DeviceInformation><Set><Model>iPhone8C4</Model><OS>iOS 17.5 21F79</OS><UserAgent>iOS/17.5 dataaccessd/1.0…
SETTINGS = (
    bytes.fromhex("03016a00001245 56 48")
    + b"".join(
        bytes([token, 3]) + text + b"\0\1"
        for token, text in (
            (0x57, b"iPhone8C4"),
            (0x5A, b"iOS 17.5 21F79"),
            (0x60, b"iOS/17.5 (21F79) dataaccessd/1.0"),
        )
    )
    + bytes.fromhex("01 01 01")
)
PASSWORD = "benchmark-password"


def device_type(number: int) -> str:
    """A phone's DeviceType, as requests.lua has it."""
    return "SAMSUNGSMG991B" if number % 2 else "iPhone"


def login(number: int) -> str:
    """The login of a phone's user."""
    return f"user{number}@example.com"


def device_id(number: int) -> str:
    """A phone's DeviceId."""
    return f"BENCHDEVICE{number:06}"


def request(number: int, command: str, body: bytes) -> bytes:
    """The bytes of one command of one phone."""
    credentials = base64.b64encode(f"{login(number)}:{PASSWORD}".encode()).decode()
    query = f"Cmd={command}&User={login(number).replace('@', '%40')}&DeviceId={device_id(number)}&DeviceType={device_type(number)}"
    lines = [
        f"POST /Microsoft-Server-ActiveSync?{query} HTTP/1.1",
        "Host: mail.example.com",
        f"Authorization: Basic {credentials}",
        "Content-Type: application/vnd.ms-sync.wbxml",
        "MS-ASProtocolVersion: 14.1",
        "User-Agent: Apple-iPhone8C4/1504.100",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Phone(asyncio.Protocol):
    """A connection; `answer` is set when the awaited answer has come, `arrived_at` then says when (monotonic seconds)."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.received = b""
        self.arrived_at = 0.0
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, command: str, body: bytes) -> None:
        """Send a command; its answer is a new future."""
        assert isinstance(self.transport, asyncio.Transport)
        self.received = b""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request(self.number, command, body))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if separator and len(body) >= length and not self.answer.done():
            self.arrived_at = now
            self.answer.set_result(self.received)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(error or ConnectionError("closed without an answer"))


async def connect(port: int, numbers: range, *, identify: bool = False) -> list[Phone]:
    """Phones with these numbers, connected and let through with a FolderSync; with `identify` they first say what they are."""
    loop = asyncio.get_running_loop()
    phones: list[Phone] = []
    for start in range(numbers.start, numbers.stop, 100):
        some = range(start, min(start + 100, numbers.stop))
        made = await asyncio.gather(*(loop.create_connection(lambda n=n: Phone(n), "127.0.0.1", port) for n in some))
        batch = [phone for _, phone in made]
        if identify:
            for phone in batch:
                phone.send("Settings", SETTINGS)
            await answers(batch)
        for phone in batch:
            phone.send("FolderSync", FOLDER_SYNC)
        for answer in await answers(batch):
            if b" 200 " not in answer[:16] or b"x-ms-asthrottle" in answer.lower():
                raise RuntimeError(f"FolderSync was not let through: {answer[:200]!r}")
        phones += batch
    return phones


async def introduce(port: int, numbers: range) -> None:
    """Every phone syncs its folders once, over a hundred connections that they share: no memory of many connections stays."""
    shared = await connect(port, range(numbers.start, numbers.start + 100))
    for begin in range(numbers.start, numbers.stop, 100):
        for offset, phone in enumerate(shared):
            phone.number = min(begin + offset, numbers.stop - 1)
            phone.send("FolderSync", FOLDER_SYNC)
        await answers(shared)
    close(shared)


async def answers(phones: list[Phone]) -> list[bytes]:
    """What they were answered; TimeoutError when one of them is not."""
    async with asyncio.timeout(30):
        return await asyncio.gather(*(phone.answer for phone in phones))


async def park(phones: list[Phone]) -> None:
    """Each parks a Ping; returns when all had the time to reach the mail server."""
    for start in range(0, len(phones), 100):
        for phone in phones[start : start + 100]:
            phone.send("Ping", PING)
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.5)
    if any(phone.answer.done() for phone in phones):
        raise RuntimeError("a Ping came back that should be parked")


def close(phones: list[Phone]) -> None:
    """Hang up."""
    for phone in phones:
        phone.answer.cancel()
        phone.transport.close()

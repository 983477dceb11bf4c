"""A Workspace ONE twin in a process of its own, and an MDM's many notifications at once over kept-alive connections."""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench import phones
from gatepost.demo.workspace_one import WorkspaceOneTwin, new_login

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from multiprocessing.connection import Connection

KIND = "Compliance Status Changed"


class Uem:
    """The twin: `count` devices, the phones' (`bench.phones`), each of a user of its own and compliant."""

    def __init__(self, count: int) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_run, args=(theirs, count), daemon=True)
        self._process.start()
        self.url, self.login = self._pipe.recv()

    def change(self, verb: str, numbers: Iterable[int]) -> tuple[float, list[bytes]]:
        """`comply` or `violate` for these phones: when it happened (monotonic seconds), and the events' bodies."""
        return self._asked(verb, list(numbers))

    def tell(self, numbers: Iterable[int]) -> list[bytes]:
        """Events about devices in which nothing has changed, each body another one."""
        return self._asked("tell", list(numbers))[1]

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()

    def _asked(self, verb: str, numbers: list[int]) -> tuple[float, list[bytes]]:
        self._pipe.send((verb, numbers))
        answer: tuple[float, list[bytes]] = self._pipe.recv()
        return answer


def _run(pipe: Connection, count: int) -> None:
    asyncio.run(_serve(pipe, count))


async def _serve(pipe: Connection, count: int) -> None:
    twin = WorkspaceOneTwin(new_login())
    devices = [twin.enroll(phones.login(number), phones.device_id(number)) for number in range(count)]
    for device in devices:
        twin.comply(device.number)
    twin.events.waiting.clear()
    await twin.start()
    pipe.send((twin.url, twin.login))
    ended = asyncio.get_running_loop().create_future()

    def asked() -> None:
        try:
            verb, numbers = pipe.recv()
        except EOFError:
            ended.set_result(None)
            return
        happened = time.monotonic()
        some = [devices[number] for number in numbers]
        for device in some:
            if verb == "tell":
                twin.events.add(device.event(KIND, datetime.now(UTC), 2))
            else:
                getattr(twin, verb)(device.number)
        bodies = [json.dumps(event).encode() for event in twin.events.waiting]
        twin.events.waiting.clear()
        pipe.send((happened, bodies))

    asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
    await ended


class _Sender(asyncio.Protocol):
    """One connection: a notification at a time."""

    def __init__(self) -> None:
        self.received = b""
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: bytes) -> asyncio.Future[int]:
        """The status that it is answered with."""
        self.received, self.answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if separator and len(body) >= length and not self.answer.done():
            self.answer.set_result(int(lines[0].split()[1]))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(error or ConnectionError("closed without an answer"))


class Notifier:
    """One webhook, and the login of its events."""

    def __init__(self, url: str, user: str, password: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {login}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    async def send_all(
        self, bodies: Sequence[bytes], connections: int, rate: float | None = None
    ) -> tuple[Counter[int], list[float]]:
        """Send them over new connections: how many were answered with which status, and how long each took, in seconds.

        Each connection sends one after the other. With a `rate` they are due at so many a second, whether those before them
        have been answered or not, and the time that one waits for a free connection counts.
        """
        loop = asyncio.get_running_loop()
        count = min(connections, len(bodies))
        made = await asyncio.gather(*(loop.create_connection(_Sender, *self._address) for _ in range(count)))
        waiting = iter(enumerate(bodies))
        statuses: Counter[int] = Counter()
        seconds: list[float] = []
        started = time.monotonic()

        async def work(sender: _Sender) -> None:
            for number, body in waiting:
                began = time.monotonic()
                if rate is not None:
                    due = started + number / rate
                    await asyncio.sleep(due - began)
                    began = due
                statuses[await sender.send(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)] += 1
                seconds.append(time.monotonic() - began)

        await asyncio.gather(*(work(sender) for _, sender in made))
        for transport, sender in made:
            sender.answer.cancel()
            transport.close()
        return statuses, seconds

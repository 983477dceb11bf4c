"""How the Workspace ONE twin tells of changes: one POST with HTTP Basic for each, never again, and in no order for sure."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where events go, and as whom: target URL, user name and password of the console's form."""

    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an event: the status it was answered with, None where it was lost on the way or not answered."""

    event: Mapping[str, Any]
    status: int | None


class Events:
    """Events wait here until `deliver`; with `automatic` they are sent as they happen."""

    def __init__(self) -> None:
        self.waiting: list[Mapping[str, Any]] = []
        self.delivered: list[Delivery] = []
        self.automatic = False
        self._subscription: Subscription | None = None
        self._client: httpx.AsyncClient | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def subscribe(self, url: str, user: str, password: str, *, automatic: bool = False) -> None:
        """Send to `url` from now on."""
        self._subscription = Subscription(url, user, password)
        self.automatic = automatic

    def add(self, event: Mapping[str, Any]) -> None:
        """It happened."""
        if not self.automatic or self._subscription is None:
            self.waiting.append(event)
            return
        task = asyncio.get_running_loop().create_task(self._send(event))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def deliver(
        self, chance: random.Random | None = None, *, loss: float = 0.0, doubling: float = 0.0, reorder: bool = False
    ) -> list[Delivery]:
        """Send what waits; by `chance` some are lost, some come twice, and all in another order."""
        events, self.waiting = self.waiting, []
        if chance is not None:
            events = [event for event in events if chance.random() >= loss]
            events += [event for event in events if chance.random() < doubling]
            if reorder:
                chance.shuffle(events)
        before = len(self.delivered)
        for event in events:
            await self._send(event)
        return self.delivered[before:]

    async def test_connection(self) -> int | None:
        """The console's button: a GET with the same login; the status."""
        return await self._request("GET", b"")

    async def send_raw(self, body: bytes, content_type: str = "application/json") -> int | None:
        """POST any body; the status."""
        return await self._request("POST", body, content_type)

    async def close(self) -> None:
        """Give up what is being sent."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send(self, event: Mapping[str, Any]) -> None:
        status = await self._request("POST", json.dumps(event).encode())
        self.delivered.append(Delivery(event, status))

    async def _request(self, method: str, body: bytes, content_type: str = "application/json") -> int | None:
        to = self._subscription
        assert to is not None, "nobody has subscribed"
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=10)
        with contextlib.suppress(httpx.HTTPError):
            answer = await self._client.request(
                method, to.url, content=body, auth=(to.user, to.password), headers={"content-type": content_type}
            )
            return answer.status_code
        return None

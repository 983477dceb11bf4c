"""Notifications on their way into the store: what arrives while one transaction is being committed goes into the next.

A commit is a wait for the disk, the same for one notification as for a hundred. So nobody waits for more than two commits,
however many notifications arrive, and alone none waits longer than for its own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from gatepost.store import mdm_inbox
from gatepost.store.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost.model import Notification
    from gatepost.store.database import Store

MOST_AT_ONCE = 500
"""Notifications in a transaction: some tens of milliseconds of work besides the wait."""
MOST_WAITING = 5_000
"""Notifications that wait for their transaction; who comes then is told to come again."""
PATIENCE = 5.0
"""Seconds after which a sender is told that the store does not answer; what it sent may be stored all the same."""

_log = structlog.get_logger(__name__)


class Inbox:
    """Stores notifications, one transaction at a time, in a thread of its own. For one event loop."""

    def __init__(self, store: Store, notified: Callable[[], None], *, patience: float = PATIENCE) -> None:
        self._store = store
        self._notified = notified
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, "mdm-inbox")
        self._waiting: list[tuple[Notification, asyncio.Future[bool | StoreError]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, notification: Notification) -> bool:
        """Return once it is stored and its device dirty; False when the same one has come before. Raises StoreError."""
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailable("too many notifications wait for the store")
        answer: asyncio.Future[bool | StoreError] = asyncio.get_running_loop().create_future()
        self._waiting.append((notification, answer))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        try:
            async with asyncio.timeout(self._patience):
                stored = await asyncio.shield(answer)
        except TimeoutError as error:
            raise StoreUnavailable(f"the store did not answer within {self._patience:g} seconds") from error
        if isinstance(stored, StoreError):
            raise stored
        return stored

    async def close(self) -> None:
        """Return when what was added is stored, or cannot be."""
        if self._writing is not None:
            await self._writing
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            answers = await loop.run_in_executor(self._thread, self._stored, [one for one, _ in batch])
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)
            if not all(isinstance(answer, StoreError) for answer in answers):
                self._notified()
        self._writing = None

    def _stored(self, batch: Sequence[Notification]) -> Sequence[bool | StoreError]:
        try:
            with self._store.bookkeeping() as writer:
                return mdm_inbox.receive_many(writer, batch)
        except StoreUnavailable as error:
            return [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, those that wait must be answered
            if len(batch) == 1:
                _log.exception("notification.not_stored", source=batch[0].source)
                return [error if isinstance(error, StoreError) else StoreError(f"{type(error).__name__}: {error}")]
            return [answer for one in batch for answer in self._stored([one])]  # the others are not to suffer for it

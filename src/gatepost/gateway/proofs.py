"""Whether credentials let somebody in: the mail server is asked by an OPTIONS with them, one question for all who wonder.

Only so many are asked about at the same time. Those of devices that have logged in before go first, so that a crowd of
strangers makes strangers wait and nobody else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gatepost.gateway.upstream import Reply, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.gateway.credentials import Proofs
    from gatepost.gateway.redirects import Redirects

log = structlog.get_logger(__name__)

_WAIT_SECONDS = 30.0  # a phone waits longer than this; a mail server that does not answer an OPTIONS in it is down
_MOST_ASKING = 64  # at a time; at 20 ms for a login that is 3,000 logins a second, more than most mail servers manage
_MOST_STRANGERS = 8_192  # that wait; of the others each is a device that has logged in before


@dataclass(frozen=True, slots=True)
class Proof:
    """What the mail server said to an OPTIONS: `status` as answered, 503 when it could not be asked."""

    status: int

    @property
    def accepted(self) -> bool:
        """True when the credentials let the user in."""
        return self.status == 200


class Question:
    """One that is asked, or waits to be."""

    __slots__ = ("authorization", "since", "wondering")

    def __init__(self, authorization: bytes) -> None:
        self.authorization = authorization
        self.since = time.monotonic()
        self.wondering: dict[Callable[[Proof], None], None] = {}  # in the order in which they came

    def leave(self, tell: Callable[[Proof], None]) -> None:
        """Somebody does not wonder any more."""
        self.wondering.pop(tell, None)


class Prober:
    """Asks, and remembers the answers in `proofs`."""

    def __init__(self, redirects: Redirects, proofs: Proofs) -> None:
        self._redirects = redirects
        self._proofs = proofs
        self._open: dict[bytes, Question] = {}
        self._known: deque[Question] = deque()
        self._strangers: deque[Question] = deque()
        self._asking: set[asyncio.Task[Proof]] = set()

    def __len__(self) -> int:
        """How many questions are open."""
        return len(self._open)

    def asks(self, authorization: bytes) -> bool:
        """True while the question is open: to wonder too costs nothing."""
        return authorization in self._open

    def wonder(self, authorization: bytes, tell: Callable[[Proof], None], *, known: bool) -> Question | None:
        """Have `tell` called with the proof; None when too many strangers wait. `known` goes before others."""
        question = self._open.get(authorization)
        if question is None:
            if not known and len(self._strangers) >= _MOST_STRANGERS:
                return None
            question = self._open[authorization] = Question(authorization)
            (self._known if known else self._strangers).append(question)
        question.wondering[tell] = None
        self._go_on()
        return question

    def _go_on(self) -> None:
        while len(self._asking) < _MOST_ASKING and (waiting := self._known or self._strangers):
            question = waiting.popleft()
            if not question.wondering:  # all gone meanwhile
                del self._open[question.authorization]
            elif time.monotonic() - question.since > _WAIT_SECONDS:
                self._answer(question, Proof(503))
            else:
                task = asyncio.get_running_loop().create_task(self._ask(question.authorization))
                self._asking.add(task)
                task.add_done_callback(lambda task, question=question: self._asked(question, task))  # type: ignore[misc]  # mypy does not see the default's type

    def _asked(self, question: Question, task: asyncio.Task[Proof]) -> None:
        self._asking.discard(task)
        failed = task.cancelled() or task.exception() is not None
        self._answer(question, Proof(503) if failed else task.result())
        self._go_on()

    def _answer(self, question: Question, proof: Proof) -> None:
        del self._open[question.authorization]
        wondering, question.wondering = question.wondering, {}
        for tell in wondering:
            try:
                tell(proof)
            except Exception:
                log.exception("proof.not_told")  # a mistake of ours about one must not keep the others waiting

    async def _ask(self, authorization: bytes) -> Proof:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                reply: Reply = await self._redirects.ask(authorization)
        except (UpstreamError, TimeoutError, OSError):
            return Proof(503)
        if reply.status == 200:
            self._proofs.remember(authorization)
        elif reply.status == 401:
            self._proofs.forget(authorization)
        return Proof(reply.status)

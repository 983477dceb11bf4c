"""Questions to an MDM's REST API: paced, within its quota, tried again where that can help, and not at all while it is down.

What comes back is an answer (2xx) or the API's own "there is no such thing" (404). Everything else is an error that says
whether to ask again: a 404 in the form of a web page too, since that is a load balancer, or a wrong URL, speaking.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import structlog

from gatepost.mdm.sources.authorization import LoginRefused, authorization
from gatepost.mdm.sources.base import Quota, SourceRefused, SourceUnavailable
from gatepost.mdm.sources.pacing import Breaker, Pace, told
from gatepost.mdm.sources.reading import Unreadable, read_json
from gatepost.mdm.sources.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gatepost.mdm.sources.authorization import Login
    from gatepost.mdm.sources.base import Condition
    from gatepost.mdm.sources.transport import Answer, Connection

log = structlog.get_logger(__name__)

ATTEMPTS = 3
PATIENCE = 5.0
"""Seconds that a question waits for its turn; a worker that holds a lease for longer would lose it."""
LISTING_PATIENCE = 300.0
"""Seconds that a page of a listing waits for its turn: nobody waits for it."""

_QUESTION = 22.0  # seconds for all attempts of a question; with its patience less than the 30 that a worker has
_WITHOUT_A_WORD = 5.0  # seconds of pause after a 429 that does not say how long
_BACK_OFF = (0.25, 1.0)  # seconds before the second and the third attempt, up to half as much again


@dataclass(frozen=True, slots=True)
class Access:
    """How to ask a source: where, as whom, and how often (requests a second on the average, and at once)."""

    connection: Connection
    login: Login | None = None
    rate: float = 20.0
    burst: int = 40


class _TooOften(SourceUnavailable):
    """A 429: the source is at work."""


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class HttpClient:
    """A source's REST API. `name` is for logs; the clocks are parameters for tests."""

    def __init__(
        self,
        name: str,
        access: Access,
        *,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._base = access.connection.url.rstrip("/")
        self._now = now
        self._sleep = sleep
        self._transport = Transport(access.connection)
        self._authorization = authorization(access.login, self._transport, now)
        self._pace = Pace(access.rate, access.burst, clock)
        self._breaker = Breaker(now)
        self._quota = Quota()

    @property
    def quota(self) -> Quota:
        """As of the last answer that told one."""
        return self._quota

    @property
    def condition(self) -> Condition:
        """Whether the source answers."""
        return self._breaker.condition

    async def close(self) -> None:
        """End the connections."""
        await self._transport.close()

    def resolve(self, link: str, page: str) -> str:
        """The URL that a link on `page` (a path, or a URL of this server) means.

        Raises SourceRefused where it leads to another server: that one gets no credentials of ours.
        """
        try:
            url = urljoin(self._url(page), link)
            if _origin(url) == _origin(self._base):
                return url
        except ValueError:
            pass
        raise SourceRefused("its next page is said to be on another server than the configured one")

    async def get(self, path: str, headers: Mapping[str, str] | None = None, *, patience: float = PATIENCE) -> Answer:
        """GET `path` under the configured URL (or a URL from `resolve`): a 2xx answer, or a 404 of the API's own.

        Raises SourceUnavailable and SourceRefused; the breaker has counted what that says about the source.
        """
        left = self._breaker.closed_in()
        if left > 0:
            raise SourceUnavailable(f"it has not answered lately ({self.condition.last_error})", left)
        url = self._url(path)
        try:
            async with asyncio.timeout(patience + _QUESTION):
                answer = await self._attempts(url, dict(headers or {}), patience)
        except TimeoutError as error:
            raise self._failure("it did not answer in time") from error
        except LoginRefused as error:
            self._failure(str(error))
            raise
        except SourceRefused:
            self._succeeded()
            raise
        self._succeeded()
        return answer

    def _url(self, path: str) -> str:
        return path if path.startswith(("http://", "https://")) else self._base + path

    async def _attempts(self, url: str, headers: Mapping[str, str], patience: float) -> Answer:
        renewed = False
        attempt = 0
        while True:
            await self._turn(patience)
            try:
                proof = await self._authorization.headers()
                answer = await self._transport.ask("GET", url, {**headers, **proof})
                if answer.status == 401 and not renewed and self._authorization.rejected(proof):
                    renewed = True
                    continue
                return self._accepted(answer)
            except SourceUnavailable as error:
                attempt += 1
                if attempt == ATTEMPTS:
                    if isinstance(error, _TooOften):
                        raise
                    raise self._failure(str(error), error.retry_after) from error
                if error.retry_after is None:
                    await self._sleep(_BACK_OFF[attempt - 1] * random.uniform(1, 1.5))  # noqa: S311 - spreads requests

    async def _turn(self, patience: float) -> None:
        while True:
            wait = self._pace.turn(patience)
            if wait is None:
                raise SourceUnavailable("it has to be asked more slowly", max(self._pace.paused_for, 1.0))
            if wait > 0:
                await self._sleep(wait)
            if self._pace.paused_for == 0:  # somebody else may have been told to wait meanwhile
                return

    def _accepted(self, answer: Answer) -> Answer:
        status = answer.status
        said = told(status, answer.headers, self._now())
        self._quota = said.quota if said.quota is not None else self._quota
        if said.wait is not None:
            self._pace.pause(said.wait)
        if 200 <= status < 300:
            return answer
        if status == 404:
            if answer.is_page:
                raise SourceUnavailable("it answered 404 with a web page, not as the API: is its URL right?")
            return answer
        if status == 429:
            wait = said.wait if said.wait is not None else _WITHOUT_A_WORD
            self._pace.pause(wait)
            raise _TooOften("it is asked too often (429)", wait)
        if status in (408, 425) or status >= 500:
            raise SourceUnavailable(f"it answered {status}", said.wait)
        if status == 401:
            raise LoginRefused("it does not accept the configured login (401)")
        if 300 <= status < 400:
            raise SourceRefused(f"it answered {status}, a redirection: configure the URL that it leads to")
        raise SourceRefused(f"it answered {status}")

    def _succeeded(self) -> None:
        if self.condition.failures:
            log.info("source.answers_again", source=self._name)
        self._breaker.succeeded()

    def _failure(self, reason: str, retry_after: float | None = None) -> SourceUnavailable:
        self._breaker.failed(reason)
        if self.condition.open_until is not None:
            log.warning("source.left_alone", source=self._name, error=reason, until=self.condition.open_until)
        return SourceUnavailable(reason, retry_after)


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises ValueError for a URL with a user in it too."""
    parts = urlsplit(url)
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise ValueError("a user in a link")
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def document(answer: Answer) -> Any:
    """The JSON of an answer; None for an empty one. Raises SourceUnavailable where it is neither."""
    if not answer.body.strip():
        return None
    try:
        return read_json(answer.body)
    except Unreadable as error:
        raise SourceUnavailable(f"its answer cannot be read: {error}") from error

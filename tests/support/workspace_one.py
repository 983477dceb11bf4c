"""The Workspace ONE twin for tests: with secrets of the run, in this loop or in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.support import secrets

from gatepost.demo.mailbox_http import HttpAnswer
from gatepost.demo.workspace_one import TwinLogin, WorkspaceOneTwin
from gatepost.mdm.sources.authorization import BasicLogin, ClientCredentials
from gatepost.mdm.sources.http import Access
from gatepost.mdm.sources.transport import Connection
from gatepost.mdm.sources.workspace_one import WorkspaceOneConfiguration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


def twin_login() -> TwinLogin:
    """What the twins of this run accept."""
    return TwinLogin(
        password=secrets.password("the API user of the Workspace ONE twin"),
        tenant_code=secrets.password("the API key of the Workspace ONE twin"),
        client_secret=secrets.password("the OAuth client of the Workspace ONE twin"),
    )


def twin_configuration(
    twin: WorkspaceOneTwin, *, oauth: bool = False, rate: float = 1000, name: str = "ws1", **more: Any
) -> WorkspaceOneConfiguration:
    """How the bridge is told of a started twin."""
    login = twin.login
    who: BasicLogin | ClientCredentials = BasicLogin(login.user, login.password)
    if oauth:
        who = ClientCredentials(twin.token_url, login.client_id, login.client_secret)
    access = Access(Connection(twin.url, timeout=more.pop("timeout", 10.0)), who, rate=rate, burst=1000)
    return WorkspaceOneConfiguration(name, access, login.tenant_code, **more)


@asynccontextmanager
async def started_twin(**options: Any) -> AsyncIterator[WorkspaceOneTwin]:
    """A twin in this loop while the block runs."""
    twin = WorkspaceOneTwin(twin_login(), **options)
    await twin.start()
    try:
        yield twin
    finally:
        await twin.close()


class TwinWithoutListing(WorkspaceOneTwin):
    """It answers questions about single devices, and does not let the API user list them.

    A refusal, because that shows a source at work: 503 would have the bridge leave it alone altogether.
    """

    def _search(self, _: Mapping[str, str]) -> HttpAnswer:
        return HttpAnswer(403, (("Content-Type", "application/json"),), b'{"errorCode": 403, "message": "Forbidden"}')


class TwinThread:
    """A twin in a thread of its own until `stop`; it is asked and told in its own loop."""

    def __init__(self, twin: WorkspaceOneTwin | None = None) -> None:
        self.twin = twin if twin is not None else WorkspaceOneTwin(twin_login())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="workspace-one", daemon=True)
        self._thread.start()
        self.run(self.twin.start())
        self.url = self.twin.url

    def run(self, coroutine: Any) -> Any:
        """The result of a coroutine of the twin's, `thread.run(thread.twin.events.deliver())`."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def do(self, act: Callable[[WorkspaceOneTwin], Any]) -> Any:
        """The result of `act(twin)`, in the twin's loop."""

        async def acted() -> Any:
            return act(self.twin)

        return self.run(acted())

    def stop(self) -> None:
        """Stop serving."""
        self.run(self.twin.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

"""The demo mailbox server in a thread of its own, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    from gatepost.demo.mailbox import Executed, Mailbox


class MailboxThread:
    """`mailbox` is served from the moment it is made until `stop`; it is asked and told in its own loop."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mailbox", daemon=True)
        self._thread.start()
        self._in_loop(mailbox.start())
        self.url = mailbox.url

    def _in_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def ask(self, question: Callable[[Mailbox], Any]) -> Any:
        """What `question` says about the mailbox."""

        async def answer() -> Any:
            return question(self._mailbox)

        return self._in_loop(answer())

    def deliver(self, user: str, message: EmailMessage) -> None:
        """Put a mail into the user's inbox."""
        self.ask(lambda mailbox: mailbox.deliver(user, message))

    def executed(self, device_id: str) -> list[Executed]:
        """What that device (upper case) asked of the server, in order."""
        found: list[Executed] = self.ask(
            lambda mailbox: [one for one in mailbox.executed if one.device_id == device_id]
        )
        return found

    def cancelled(self, device_id: str) -> list[Executed]:
        """The hanging requests of that device whose client gave up."""
        found: list[Executed] = self.ask(
            lambda mailbox: [one for one in mailbox.cancelled if one.device_id == device_id]
        )
        return found

    def stop(self) -> None:
        """Stop serving."""
        self._in_loop(self._mailbox.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

"""What the parts of the demo's story share: a phone before a mailbox, somebody who tells, and checks of each step."""

from __future__ import annotations

import asyncio
import time
from email.message import EmailMessage
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gatepost.demo.mailbox import Mailbox
    from gatepost.demo.phone import Answer, FolderAnswer, Phone, PingAnswer

DOMAIN = "example.com"

BLOCKED = 129  # MS-ASCMD 2.2.2: DeviceIsBlockedForThisUser
NEWS, FOLDERS_CHANGED = 2, 7  # Ping's own statuses, MS-ASCMD 2.2.3.177.11
_HEARTBEAT = 900  # seconds: what phones ask for in the field
PATIENCE = 10.0  # seconds that the story waits for what should take milliseconds


class StoryFailed(Exception):  # noqa: N818 - it is what happened
    """Something did not go as told; `str()` says what was expected and what came."""


class Scene:
    """One phone's part. `tell(kind, line)` is called for each line, kind is "step", "command", "detail" or "result"."""

    def __init__(
        self, mailbox: Mailbox, tell: Callable[[str, str], None], phone: Phone, *, after_step: int = 0
    ) -> None:
        self.mailbox = mailbox
        self.tell = tell
        self.phone = phone
        self.step = after_step

    def next(self, line: str) -> None:
        """Begin the next step."""
        self.step += 1
        self.tell("step", f"{self.step}  {line}")

    async def folders(self, patience: float = 1.0) -> FolderAnswer:
        """Provision, and ask for the folders; for so long it may still be refused."""
        # A change reaches the gateway a few milliseconds after its acknowledgement, and no phone is as quick as this one.
        deadline = time.monotonic() + patience
        answer = await self.phone.provision()
        while answer.status == BLOCKED and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            answer = await self.phone.provision()
        self.expect(answer.ok and self.phone.policy_key is not None, "a policy key", answer)
        folders = await self.phone.folder_sync()
        self.expect(folders.ok, "the folders", folders)
        return folders

    async def read(self, inbox: str, expected: int) -> None:
        """Read what is new in the inbox."""
        mails = await self.phone.read_mails(inbox)
        self.check(len(mails) == expected, f"{expected} mails", f"{len(mails)}")
        for mail in mails:
            self.tell("detail", f"mail: {mail.subject}")

    async def park(self, inbox: str) -> asyncio.Task[PingAnswer]:
        """A Ping that waits at the mail server."""
        before = len(self.mailbox.executed)
        ping = asyncio.create_task(self.phone.ping(_HEARTBEAT, inbox))
        deadline = time.monotonic() + PATIENCE
        while not any(one.command == "Ping" for one in self.mailbox.executed[before:]):
            self.check(time.monotonic() < deadline and not ping.done(), "a parked Ping", "none at the mail server")
            await asyncio.sleep(0.01)
        self.tell("detail", f"parked for {_HEARTBEAT // 60} minutes at most")
        return ping

    async def until(
        self, ping: asyncio.Task[PingAnswer], act: Callable[[], Awaitable[object]]
    ) -> tuple[float, PingAnswer]:
        """Act, and see the Ping end: milliseconds from the beginning of the act, and the answer."""
        ended: list[float] = []
        ping.add_done_callback(lambda _: ended.append(time.perf_counter()))
        started = time.perf_counter()
        await act()
        try:
            answer = await asyncio.wait_for(asyncio.shield(ping), PATIENCE)
        except TimeoutError:
            ping.cancel()
            raise StoryFailed(
                f"expected the parked Ping to end, and it was still there after {PATIENCE:.0f} s"
            ) from None
        return (ended[0] - started) * 1000, answer

    async def cut_off(self, ping: asyncio.Task[PingAnswer], act: Callable[[], Awaitable[object]], pings: int) -> float:
        """Act, and see the Ping end because the phone is denied; it is the mail server's so-many-th that is cancelled."""
        milliseconds, answer = await self.until(ping, act)
        self.expect(answer.status == FOLDERS_CHANGED, "Ping Status 7 (look at the folders again)", answer)
        cancelled = [one.command for one in self.mailbox.cancelled]
        self.check(cancelled == ["Ping"] * pings, "the mail server to see its Ping cancelled", str(cancelled))
        return milliseconds

    def refused(self, answer: Answer) -> None:
        """The phone was refused, and was told so."""
        self.expect(answer.status == BLOCKED, f"Status {BLOCKED}", answer)
        reason = answer.headers.get("x-ms-asthrottle", "")
        self.tell("result", f"refused: Status {BLOCKED}, X-MS-ASThrottle: {reason}")

    def expect(self, holds: bool, expected: str, answer: Answer) -> None:  # noqa: FBT001 - it is the question
        """Go on only where it holds. Raises StoryFailed."""
        self.check(holds, expected, f"HTTP {answer.http_status}, Status {answer.status}")

    def check(self, holds: bool, expected: str, got: str) -> None:  # noqa: FBT001
        """Go on only where it holds. Raises StoryFailed."""
        if not holds:
            raise StoryFailed(f"expected {expected}, got {got} (step {self.step})")


def mail(recipient: str, subject: str) -> EmailMessage:
    """A mail of Carol's."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Carol <carol@{DOMAIN}>", recipient, subject
    message.set_content(f"{subject}\n")
    return message

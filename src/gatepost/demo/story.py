"""One story, played for real: a phone is refused, allowed, reads its mail, waits for news, and is cut off.

Nothing is staged but the phone and the mailbox: the gateway decides, the administrator's commands go through the control
API with AWS's own client, and each step is checked before the next one is told.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from gatepost.demo.mailbox import Mailbox
from gatepost.demo.phone import Phone

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.demo.phone import Answer, FolderAnswer, PingAnswer

DOMAIN = "example.com"
ALICE = f"alice@{DOMAIN}"
PASSWORD = "alice-has-mail"  # noqa: S105 - of a mailbox that lives as long as the demo
DEVICE_ID = "DEMOPHONE1"

_SUBJECTS = ("Welcome aboard", "Lunch on Friday?", "Your invoice")
_BLOCKED = 129  # MS-ASCMD 2.2.2: DeviceIsBlockedForThisUser
_NEWS, _FOLDERS_CHANGED = 2, 7  # Ping's own statuses, MS-ASCMD 2.2.3.177.11
_HEARTBEAT = 900  # seconds: what phones ask for in the field
_PATIENCE = 10.0  # seconds that the story waits for what should take milliseconds


class StoryFailed(Exception):  # noqa: N818 - it is what happened
    """Something did not go as told; `str()` says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the story plays: the two endpoints, the organization, an access key, and the mailbox behind the gateway."""

    gateway_url: str
    control_url: str
    organization_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    mailbox: Mailbox


def new_mailbox() -> Mailbox:
    """The mailbox server of the demo; it has a policy, so that phones provision."""
    return Mailbox({ALICE: PASSWORD}, policy_required=True)


def fill(mailbox: Mailbox) -> None:
    """Put three mails into Alice's inbox."""
    for subject in _SUBJECTS:
        mailbox.deliver(ALICE, _mail(subject))


async def play(stage: Stage, tell: Callable[[str, str], None]) -> float:
    """Play it; `tell(kind, line)` is called for each line, kind is "step", "command", "detail" or "result".

    Answers how many milliseconds passed between the DENY command and the end of the parked Ping. Raises StoryFailed.
    """
    phone = Phone(stage.gateway_url, ALICE, PASSWORD, device_id=DEVICE_ID, friendly_name="Alice's phone")
    try:
        return await _Play(stage, tell, phone).run()
    finally:
        await phone.close()


class _Play:
    def __init__(self, stage: Stage, tell: Callable[[str, str], None], phone: Phone) -> None:
        self._stage = stage
        self._tell = tell
        self._phone = phone
        self._client = _client(stage)
        self._step = 0

    async def run(self) -> float:
        self._next("The administrator denies every phone")
        await self._administrator("create_mobile_device_access_rule", Name="DefaultDenyAll", Effect="DENY")

        self._next(f"Alice's phone {DEVICE_ID} comes and wants her folders")
        self._refused(await self._phone.folder_sync())

        self._next("The administrator allows this one phone")
        await self._override("ALLOW")

        self._next("It comes again, takes the mail server's policy, and reads Alice's mail")
        inbox = (await self._folders()).folder().folder_id
        await self._read(inbox, len(_SUBJECTS))

        self._next("It waits for news: a parked Ping")
        ping = await self._park(inbox)
        self._tell("detail", "a mail arrives")
        milliseconds, answer = await self._until(ping, self._deliver)
        self._expect(answer.status == _NEWS, "Ping Status 2 (news)", answer)
        self._tell("result", f"the Ping ended after {milliseconds:.0f} ms: Status 2, there is news")
        await self._read(inbox, 1)

        self._next("It waits again, and the administrator denies it")
        ping = await self._park(inbox)
        milliseconds, answer = await self._until(ping, lambda: self._override("DENY"))
        self._expect(answer.status == _FOLDERS_CHANGED, "Ping Status 7 (look at the folders again)", answer)
        cancelled = [one.command for one in self._stage.mailbox.cancelled]
        self._check(cancelled == ["Ping"], "the mail server to see its Ping cancelled", str(cancelled))
        self._tell(
            "result", f"the Ping ended {milliseconds:.0f} ms after the command was typed: Status 7, look at the folders"
        )

        self._next("So it looks at the folders")
        self._refused(await self._phone.folder_sync())
        return milliseconds

    async def _folders(self) -> FolderAnswer:
        # A change reaches the gateway a few milliseconds after its acknowledgement, and no phone is as quick as this one.
        deadline = time.monotonic() + 1.0
        answer = await self._phone.provision()
        while answer.status == _BLOCKED and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            answer = await self._phone.provision()
        self._expect(answer.ok and self._phone.policy_key is not None, "a policy key", answer)
        folders = await self._phone.folder_sync()
        self._expect(folders.ok, "the folders", folders)
        self._tell("detail", "folders: " + ", ".join(folder.name for folder in folders.folders))
        return folders

    async def _read(self, inbox: str, expected: int) -> None:
        mails = await self._phone.read_mails(inbox)
        self._check(len(mails) == expected, f"{expected} mails", f"{len(mails)}")
        for mail in mails:
            self._tell("detail", f"mail: {mail.subject}")

    async def _park(self, inbox: str) -> asyncio.Task[PingAnswer]:
        before = len(self._stage.mailbox.executed)
        ping = asyncio.create_task(self._phone.ping(_HEARTBEAT, inbox))
        deadline = time.monotonic() + _PATIENCE
        while not any(one.command == "Ping" for one in self._stage.mailbox.executed[before:]):
            self._check(time.monotonic() < deadline and not ping.done(), "a parked Ping", "none at the mail server")
            await asyncio.sleep(0.01)
        self._tell("detail", f"parked for {_HEARTBEAT // 60} minutes at most")
        return ping

    async def _until(self, ping: asyncio.Task[PingAnswer], act: Callable[[], Any]) -> tuple[float, PingAnswer]:
        """Act, and see the Ping end: milliseconds from the beginning of the act, and the answer."""
        ended: list[float] = []
        ping.add_done_callback(lambda _: ended.append(time.perf_counter()))
        started = time.perf_counter()
        await act()
        try:
            answer = await asyncio.wait_for(asyncio.shield(ping), _PATIENCE)
        except TimeoutError:
            ping.cancel()
            raise StoryFailed(
                f"expected the parked Ping to end, and it was still there after {_PATIENCE:.0f} s"
            ) from None
        return (ended[0] - started) * 1000, answer

    async def _deliver(self) -> None:
        self._stage.mailbox.deliver(ALICE, _mail("News"))

    async def _override(self, effect: str) -> None:
        await self._administrator("put_mobile_device_access_override", UserId=ALICE, DeviceId=DEVICE_ID, Effect=effect)

    async def _administrator(self, operation: str, **parameters: str) -> None:
        options = " ".join(f"--{_dashed(name)} {value}" for name, value in parameters.items())
        self._tell("command", f"aws workmail {operation.replace('_', '-')} --organization-id … {options}")
        call = getattr(self._client, operation)
        await asyncio.to_thread(call, OrganizationId=self._stage.organization_id, **parameters)

    def _refused(self, answer: Answer) -> None:
        self._expect(answer.status == _BLOCKED, f"Status {_BLOCKED}", answer)
        reason = answer.headers.get("x-ms-asthrottle", "")
        self._tell("result", f"refused: Status {_BLOCKED}, X-MS-ASThrottle: {reason}")

    def _next(self, line: str) -> None:
        self._step += 1
        self._tell("step", f"{self._step}  {line}")

    def _expect(self, holds: bool, expected: str, answer: Answer) -> None:  # noqa: FBT001 - it is the question
        self._check(holds, expected, f"HTTP {answer.http_status}, Status {answer.status}")

    def _check(self, holds: bool, expected: str, got: str) -> None:  # noqa: FBT001
        if not holds:
            raise StoryFailed(f"expected {expected}, got {got} (step {self._step})")


def _client(stage: Stage) -> Any:
    # Whatever is set up on this machine for AWS (profiles, proxies) is no part of the story.
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return session.create_client(
        "workmail",
        region_name="us-east-1",
        endpoint_url=stage.control_url,
        aws_access_key_id=stage.access_key_id,
        aws_secret_access_key=stage.secret_access_key,
        config=Config(proxies={}, retries={"max_attempts": 0}, connect_timeout=_PATIENCE, read_timeout=_PATIENCE),
    )


def _mail(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Carol <carol@{DOMAIN}>", ALICE, subject
    message.set_content(f"{subject}\n")
    return message


def _dashed(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")

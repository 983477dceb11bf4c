"""One story, played for real: a phone is refused, allowed, reads its mail, waits for news, and is cut off.

Nothing is staged but the phone and the mailbox: the gateway decides, the administrator's commands go through the control
API with AWS's own client, and each step is checked before the next one is told.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from gatepost.demo.mailbox import Mailbox
from gatepost.demo.phone import Phone
from gatepost.demo.scene import DOMAIN, NEWS, PATIENCE, Scene, StoryFailed, mail

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ALICE", "DEVICE_ID", "DOMAIN", "PASSWORD", "STEPS", "Stage", "StoryFailed", "fill", "new_mailbox", "play"]

ALICE = f"alice@{DOMAIN}"
PASSWORD = "alice-has-mail"  # noqa: S105 - of a mailbox that lives as long as the demo
DEVICE_ID = "DEMOPHONE1"
STEPS = 7
"""How many steps it has."""
MAILS = ("Welcome aboard", "Lunch on Friday?", "Your invoice")


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
    for subject in MAILS:
        mailbox.deliver(ALICE, mail(ALICE, subject))


async def play(stage: Stage, tell: Callable[[str, str], None]) -> float:
    """Play it; `tell(kind, line)` is called for each line, kind is "step", "command", "detail" or "result".

    Answers how many milliseconds passed between the DENY command and the end of the parked Ping. Raises StoryFailed.
    """
    phone = Phone(stage.gateway_url, ALICE, PASSWORD, device_id=DEVICE_ID, friendly_name="Alice's phone")
    try:
        return await _Play(stage, Scene(stage.mailbox, tell, phone)).run()
    finally:
        await phone.close()


class _Play:
    def __init__(self, stage: Stage, scene: Scene) -> None:
        self._stage = stage
        self._scene = scene
        self._client = _client(stage)

    async def run(self) -> float:
        scene = self._scene
        scene.next("The administrator denies every phone")
        await self._administrator("create_mobile_device_access_rule", Name="DefaultDenyAll", Effect="DENY")

        scene.next(f"Alice's phone {DEVICE_ID} comes and wants her folders")
        scene.refused(await scene.phone.folder_sync())

        scene.next("The administrator allows this one phone")
        await self._override("ALLOW")

        scene.next("It comes again, takes the mail server's policy, and reads Alice's mail")
        folders = await scene.folders()
        scene.tell("detail", "folders: " + ", ".join(folder.name for folder in folders.folders))
        inbox = folders.folder().folder_id
        await scene.read(inbox, len(MAILS))

        scene.next("It waits for news: a parked Ping")
        ping = await scene.park(inbox)
        scene.tell("detail", "a mail arrives")
        milliseconds, answer = await scene.until(ping, self._deliver)
        scene.expect(answer.status == NEWS, "Ping Status 2 (news)", answer)
        scene.tell("result", f"the Ping ended after {milliseconds:.0f} ms: Status 2, there is news")
        await scene.read(inbox, 1)

        scene.next("It waits again, and the administrator denies it")
        ping = await scene.park(inbox)
        milliseconds = await scene.cut_off(ping, lambda: self._override("DENY"), pings=1)
        scene.tell(
            "result", f"the Ping ended {milliseconds:.0f} ms after the command was typed: Status 7, look at the folders"
        )

        scene.next("So it looks at the folders")
        scene.refused(await scene.phone.folder_sync())
        return milliseconds

    async def _deliver(self) -> None:
        self._stage.mailbox.deliver(ALICE, mail(ALICE, "News"))

    async def _override(self, effect: str) -> None:
        await self._administrator("put_mobile_device_access_override", UserId=ALICE, DeviceId=DEVICE_ID, Effect=effect)

    async def _administrator(self, operation: str, **parameters: str) -> None:
        options = " ".join(f"--{_dashed(name)} {value}" for name, value in parameters.items())
        self._scene.tell("command", f"aws workmail {operation.replace('_', '-')} --organization-id … {options}")
        call = getattr(self._client, operation)
        await asyncio.to_thread(call, OrganizationId=self._stage.organization_id, **parameters)


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
        config=Config(proxies={}, retries={"max_attempts": 0}, connect_timeout=PATIENCE, read_timeout=PATIENCE),
    )


def _dashed(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")

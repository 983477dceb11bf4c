"""The story's second half: an MDM manages Alice's new phone, and the bridge lets it in and cuts it off.

Workspace ONE is a small one of our own; its events, the bridge's questions and the overrides are real.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

from gatepost.demo.phone import Phone
from gatepost.demo.scene import Scene
from gatepost.demo.story import ALICE, MAILS, PASSWORD, STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.demo.story import Stage
    from gatepost.demo.workspace_one import WorkspaceOneTwin

DEVICE_ID = "DEMOPHONE2"
SOURCE = "workspace-one"
WEBHOOK_USER = "workspace-one"
LET_IN_SECONDS = 10.0
"""How long the story waits for what should take milliseconds."""


def new_webhook_password() -> str:
    """What Workspace ONE's events prove themselves with."""
    return secrets.token_urlsafe(24)


def settings(twin: WorkspaceOneTwin, webhook_password: str) -> str:
    """The lines of gatepost.toml by which the bridge asks the started twin, and believes its events."""
    login = twin.login
    return f"""
[[mdm.sources]]
name = {json.dumps(SOURCE)}
kind = "workspace-one"
url = {json.dumps(twin.url)}
user = {json.dumps(login.user)}
password = {json.dumps(login.password)}
tenant_code = {json.dumps(login.tenant_code)}

[[mdm.sources.webhook_credentials]]
kind = "basic"
user = {json.dumps(WEBHOOK_USER)}
password = {json.dumps(webhook_password)}
"""


def subscribe(twin: WorkspaceOneTwin, mdm_url: str, webhook_password: str) -> None:
    """Have the twin send its events to the bridge, as they happen."""
    twin.events.subscribe(f"{mdm_url}/mdm/{SOURCE}", WEBHOOK_USER, webhook_password, automatic=True)


async def play(stage: Stage, twin: WorkspaceOneTwin, tell: Callable[[str, str], None]) -> tuple[float, float]:
    """Play it, after the first half; `tell` as there.

    Answers how many milliseconds passed from Workspace ONE's finding to the phone let in, and to the end of its parked
    Ping. Raises StoryFailed.
    """
    phone = Phone(stage.gateway_url, ALICE, PASSWORD, device_id=DEVICE_ID, friendly_name="Alice's new phone")
    scene = Scene(stage.mailbox, tell, phone, after_step=STEPS)
    try:
        return await _run(scene, twin)
    finally:
        await phone.close()


async def _run(scene: Scene, twin: WorkspaceOneTwin) -> tuple[float, float]:
    scene.next(f"Alice gets a new phone, {DEVICE_ID}, which Workspace ONE manages and has not checked yet")
    device = twin.enroll(ALICE, DEVICE_ID)
    scene.tell("detail", f"Workspace ONE: device {device.number} is enrolled")
    scene.refused(await scene.phone.folder_sync())

    scene.next("Workspace ONE finds it compliant; the bridge is told, asks, and allows it")
    started = time.perf_counter()
    twin.comply(device.number)
    folders = await scene.folders(patience=LET_IN_SECONDS)
    let_in = (time.perf_counter() - started) * 1000
    scene.tell("result", f"the phone was let in {let_in:.0f} ms later, and its folders were read")
    inbox = folders.folder().folder_id
    await scene.read(inbox, len(MAILS) + 1)

    scene.next("It waits for news, and is found to be jailbroken")
    ping = await scene.park(inbox)

    async def jailbreak() -> None:
        twin.jailbreak(device.number)

    cut_off = await scene.cut_off(ping, jailbreak, pings=2)
    scene.tell(
        "result", f"the Ping ended {cut_off:.0f} ms after Workspace ONE found out: Status 7, look at the folders"
    )
    scene.refused(await scene.phone.folder_sync())
    return let_in, cut_off

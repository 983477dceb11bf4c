"""`gatepost demo`: the whole thing on one machine, with a story; or in front of a real mail server."""

import asyncio
import os
import socket
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.text import Text

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.init import Initialised, endpoint, initialise, next_steps, program
from gatepost.cli.opening import read_settings, sealing_key, store_failures
from gatepost.cli.screen import answers
from gatepost.demo import posture_story, story
from gatepost.demo.mailbox import Mailbox
from gatepost.demo.workspace_one import WorkspaceOneTwin
from gatepost.serve import CannotListen, Role, Server, stop_signal
from gatepost.settings import Address, SettingsError
from gatepost.telemetry import configure_logs

KEPT = Path("var/gatepost")

_PORTS = {"GATEPOST_GATEWAY__LISTEN": 8080, "GATEPOST_CONTROL__LISTEN": 8081, "GATEPOST_MDM__LISTEN": 8082}
_STYLES = {"step": "bold", "command": "cyan", "detail": "dim", "result": "green"}
_INDENTS = {"step": "\n", "command": "   $ ", "detail": "   ", "result": "   → "}


def demo(
    *,
    upstream: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Stand in front of this mail server.", show_default="a mailbox of our own"),
    ] = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(metavar="D", help="With --upstream: a mail domain; may be repeated.", show_default=False),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the story.")] = False,
) -> None:
    """Play one story with a phone, a mailbox, the gateway and the API; or stand in front of a real mail server."""
    configure_logs("warning", "console")
    try:
        with store_failures():
            if upstream is not None:
                _in_front_of(upstream, domain or [])
            else:
                _story(once=once)
    except CannotListen as error:
        raise Failure(ExitCode.FAILED, str(error)) from error
    except SettingsError as error:
        raise Failure(ExitCode.CONFIGURATION, str(error)) from error
    except story.StoryFailed as error:
        raise Failure(ExitCode.FAILED, f"the story did not go as told: {error}") from error


def _story(*, once: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="gatepost-demo-") as folder:
        asyncio.run(_play(Path(folder), once=once))


async def _play(folder: Path, *, once: bool) -> None:
    mailbox, twin, webhook_password = story.new_mailbox(), WorkspaceOneTwin(), posture_story.new_webhook_password()
    story.fill(mailbox)
    await mailbox.start()
    await twin.start()
    # Of the environment only where to listen: a demo must not touch the database of a real installation.
    environ = {
        "GATEPOST_GATEWAY__UPSTREAM": mailbox.url,
        **{name: os.environ.get(name) or _free(port) for name, port in _PORTS.items()},
    }
    made = await asyncio.to_thread(initialise, folder, domains=[story.DOMAIN], environ=environ)
    with made.config.open("a", encoding="utf-8") as file:
        file.write(posture_story.settings(twin, webhook_password))
    settings = read_settings(made.config, environ)
    server = Server(settings, Role.ALL, sealing_key(settings))
    await asyncio.to_thread(server.open)
    try:
        await server.start()
        try:
            assert server.mdm_address is not None
            posture_story.subscribe(twin, endpoint(server.mdm_address), webhook_password)
            await _tell(server, made, mailbox, twin)
            if not once:
                stop = stop_signal()
                answers().print(_commands(made, server.control_address, _bridge_commands(made)))
                await stop.wait()
        finally:
            await server.stop()
    finally:
        server.close()
        await twin.close()
        await mailbox.close()


async def _tell(server: Server, made: Initialised, mailbox: Mailbox, twin: WorkspaceOneTwin) -> None:
    assert server.gateway_address is not None
    assert made.secret_access_key is not None
    stage = story.Stage(
        gateway_url=endpoint(server.gateway_address),
        control_url=endpoint(server.control_address),
        organization_id=made.organization_id,
        access_key_id=made.access_key_id,
        secret_access_key=made.secret_access_key,
        mailbox=mailbox,
    )
    console = answers()
    console.print(f"mail server  {mailbox.url}  ({story.ALICE}, a mailbox of our own)")
    console.print(f"gateway      {stage.gateway_url}  (where phones arrive)")
    console.print(f"API          {stage.control_url}  (organization {stage.organization_id})")
    console.print(f"MDM          {twin.url}  (Workspace ONE, a small one of our own, which the bridge asks)")

    def tell(kind: str, line: str) -> None:
        console.print(Text(_INDENTS[kind] + line, _STYLES[kind]))

    await story.play(stage, tell)
    await posture_story.play(stage, twin, tell)


def _in_front_of(upstream: str, domains: list[str]) -> None:
    environ = {**os.environ, "GATEPOST_GATEWAY__UPSTREAM": upstream}
    made = initialise(KEPT, domains=domains, upstream=upstream, environ=environ)
    server = Server(made.settings, Role.ALL, sealing_key(made.settings))
    server.open()
    try:
        uvloop.run(_front(server, made))
    finally:
        server.close()


async def _front(server: Server, made: Initialised) -> None:
    stop = stop_signal()
    await server.start()
    try:
        assert server.gateway_address is not None
        console = answers()
        console.print(f"mail server  {made.settings.gateway.upstream}")
        console.print(
            f"gateway      {endpoint(server.gateway_address)}  (where phones, or the web server in front, arrive)"
        )
        console.print(f"API          {endpoint(server.control_address)}  (organization {made.organization_id})")
        console.print(
            f"mail domains {', '.join(sorted(server.mail_domains))}  (whoever logs in under another is refused as not found)"
        )
        console.print(f"kept in      {made.config.parent}")
        console.print(_commands(made, server.control_address))
        await stop.wait()
    finally:
        await server.stop()


def _commands(made: Initialised, control: Address, more: str = "") -> str:
    keys = f"{program()} keys create --config {made.config}"
    lost = "" if made.secret_access_key else f"The secret was shown when the key was made; for a new one: {keys}\n"
    return f"""
It stays up until Ctrl-C. To try, in another terminal (`aws` is the AWS CLI; on Debian: apt-get install awscli):

{lost}{next_steps(made, control)}{more}{program()} devices list --config {made.config}
{program()} explain --config {made.config} --user {story.ALICE} --device {story.DEVICE_ID}
"""


def _bridge_commands(made: Initialised) -> str:
    return f"""\
{program()} mdm list --config {made.config}
{program()} mdm explain {story.ALICE} {posture_story.DEVICE_ID} --config {made.config}
{program()} check --config {made.config}
"""


def _free(port: int) -> str:
    """127.0.0.1 with this port, or with any free one where it is taken."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        port = 0
    return f"127.0.0.1:{port}"

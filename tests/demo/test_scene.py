import asyncio
from types import SimpleNamespace

import pytest

from gatepost.demo import scene
from gatepost.demo.scene import Scene, StoryFailed, mail


def a_scene(**parts):
    told = []
    return Scene(SimpleNamespace(**parts), lambda *line: told.append(line), None, after_step=2), told


def test_steps_are_counted_and_a_failure_names_its_step():
    one, told = a_scene()
    one.next("now")
    assert told == [("step", "3  now")]
    with pytest.raises(StoryFailed, match=r"expected this, got HTTP 200, Status 7 \(step 3\)"):
        one.expect(False, "this", SimpleNamespace(http_status=200, status=7))


def test_a_ping_that_does_not_end_is_noticed(monkeypatch):
    async def nothing() -> None:
        """Do nothing."""

    async def play() -> None:
        monkeypatch.setattr(scene, "PATIENCE", 0.05)
        ping = asyncio.create_task(asyncio.sleep(60))
        with pytest.raises(StoryFailed, match="expected the parked Ping to end"):
            await a_scene()[0].until(ping, nothing)
        assert ping.cancelling()

    asyncio.run(play())


def test_a_ping_that_ends_without_the_mail_server_knowing_is_noticed():
    async def nothing() -> None:
        """Do nothing."""

    async def play(cancelled: list[SimpleNamespace]) -> None:
        ping = asyncio.create_task(asyncio.sleep(0.01, SimpleNamespace(http_status=200, status=7)))
        await a_scene(cancelled=cancelled)[0].cut_off(ping, nothing, pings=1)

    asyncio.run(play([SimpleNamespace(command="Ping")]))
    with pytest.raises(StoryFailed, match="to see its Ping cancelled"):
        asyncio.run(play([]))


def test_a_refusal_says_why():
    one, told = a_scene()
    one.refused(SimpleNamespace(http_status=200, status=129, headers={"x-ms-asthrottle": "Why"}))
    assert told == [("result", "refused: Status 129, X-MS-ASThrottle: Why")]


def test_mails_have_a_recipient():
    assert mail("alice@example.com", "News")["To"] == "alice@example.com"

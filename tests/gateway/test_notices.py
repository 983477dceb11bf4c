import time

from structlog.testing import capture_logs
from tests.support.gateway import rig, run

from gatepost.gateway.notices import Notices


def test_ten_lines_a_second_of_each_event_and_then_how_many_were_left_out():
    notices = Notices()
    with capture_logs() as logged:
        for number in range(25):
            notices.say("request.malformed", number=number)
        notices.say("login.refused")
        notices.sweep()
        notices.say("request.malformed", number=25)
        notices.sweep()
        notices.sweep()
    assert [entry.get("number") for entry in logged if entry["event"] == "request.malformed"] == [*range(10), 25]
    assert [entry for entry in logged if entry["event"] == "log.left_out"] == [
        {"event": "log.left_out", "log_level": "warning", "about": "request.malformed", "lines": 15}
    ]
    assert [entry["event"] for entry in logged].count("login.refused") == 1


def test_what_is_about_one_user_leaves_the_others_their_lines():
    notices = Notices(2)
    with capture_logs() as logged:
        for user_id in ("alice", "alice", "bob", "alice"):
            notices.say("access.refused", user_id, user_id=user_id)
        notices.sweep()
    assert [(entry["event"], entry["user_id"]) for entry in logged] == [
        ("access.refused", "alice"),
        ("access.refused", "alice"),
        ("access.refused", "bob"),
        ("log.left_out", "alice"),
    ]


def test_a_denied_phone_that_asks_and_asks_does_not_fill_the_log(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            await r.settled()
            phone, began = await r.phone(), time.monotonic()
            with capture_logs() as logged:
                for _ in range(100):
                    assert b"129" in (await phone.post("FolderSync")).body
            refused = [entry for entry in logged if entry["event"] == "access.refused"]
            assert 10 <= len(refused) <= 10 * (time.monotonic() - began + 2)
            assert r.gateway.metrics.requests == {("FolderSync", 200): 100}

    run(story())

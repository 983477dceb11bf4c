from structlog.testing import capture_logs

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

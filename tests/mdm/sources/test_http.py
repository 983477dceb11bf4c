"""Questions to an API: tried again where that helps, paced, and not asked at all while it is down."""

import pytest
from tests.support.clock import NOON, Clock
from tests.support.loop import in_loop
from tests.support.rest_api import answer, rest_api
from tests.support.workspace_one import started_twin

from gatepost.demo.workspace_one import Mood
from gatepost.mdm.sources import http
from gatepost.mdm.sources.base import Quota, SourceRefused, SourceUnavailable
from gatepost.mdm.sources.http import Access, HttpClient, document
from gatepost.mdm.sources.transport import Answer, Connection

PAGE = b"<html>gateway time-out</html>"


class Asking:
    """An API that answers with these, the last of them for ever, and a client of it on a clock of its own."""

    def __init__(self, *answers, rate=1000.0, burst=1000, timeout=10.0):
        self.answers = list(answers)
        self.clock = Clock()
        self.options = (rate, burst, timeout)

    def reply(self, _request):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def __aenter__(self):
        rate, burst, timeout = self.options
        self.serving = rest_api(self.reply)
        self.api = await self.serving.__aenter__()
        access = Access(Connection(self.api.url + "/base", timeout=timeout), None, rate, burst)
        self.client = HttpClient("x", access, now=self.clock.now, clock=self.clock.monotonic, sleep=self.clock.sleep)
        return self

    async def __aexit__(self, *error):
        await self.client.close()
        await self.serving.__aexit__(*error)


@in_loop
async def test_an_answer_and_a_404_of_the_api_come_back():
    async with Asking(answer({"a": 1}), answer({"errorCode": 404}, 404), answer(status=404, body=b"")) as one:
        assert document(await one.client.get("/devices/1")) == {"a": 1}
        assert (await one.client.get("/devices/2")).status == 404
        assert (await one.client.get("/devices/3")).status == 404
        assert one.api.asked == ["/base/devices/1", "/base/devices/2", "/base/devices/3"]


@pytest.mark.parametrize("bad", [answer(body=PAGE, status=503), answer({}, 500), answer(body=PAGE, status=404), answer({}, 408)], ids=["503", "500", "page 404", "408"])  # fmt: skip
@in_loop
async def test_what_may_pass_is_tried_three_times(bad):
    async with Asking(bad, bad, answer({"a": 1})) as one:
        assert (await one.client.get("/x")).status == 200
        assert [0.25 <= one.clock.slept[0] <= 0.375, 1 <= one.clock.slept[1] <= 1.5] == [True, True]
    async with Asking(bad) as one:
        with pytest.raises(SourceUnavailable):
            await one.client.get("/x")
        assert len(one.api.requests) == 3


@pytest.mark.parametrize(("bad", "why"), [(answer({}, 400), "400"), (answer({}, 403), "403"), (answer({}, 302), "redirection"), (answer({}, 401), "login")], ids=["400", "403", "302", "401"])  # fmt: skip
@in_loop
async def test_what_will_not_pass_is_asked_once(bad, why):
    async with Asking(bad) as one:
        with pytest.raises(SourceRefused, match=why):
            await one.client.get("/x")
        assert len(one.api.requests) == 1


@in_loop
async def test_a_429_is_waited_for_when_it_is_short():
    short = answer(
        {},
        429,
        {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOON.timestamp()) + 3)},
    )
    async with Asking(short, answer({"a": 1})) as one:
        assert (await one.client.get("/x")).status == 200
        assert one.clock.slept == pytest.approx([3])
        assert one.client.quota == Quota(100, 0, NOON.replace(second=3))
        assert one.client.condition.failures == 0


@in_loop
async def test_a_long_429_is_told_to_the_worker_and_stops_every_other_question():
    async with Asking(answer({}, 429, {"Retry-After": "120"}), answer({"a": 1})) as one:
        for _ in range(3):
            with pytest.raises(SourceUnavailable, match="slowly") as caught:
                await one.client.get("/x")
            assert caught.value.retry_after == pytest.approx(120)
        assert len(one.api.requests) == 1
        assert (await one.client.get("/list", patience=300)).status == 200
        assert one.clock.elapsed == pytest.approx(120)


@in_loop
async def test_a_429_without_a_word_is_a_pause_of_five_seconds_and_never_opens_the_breaker():
    async with Asking(answer(status=429, body=b"slow down")) as one:
        for _ in range(4):
            with pytest.raises(SourceUnavailable, match="too often"):
                await one.client.get("/x")
        assert one.clock.slept[:2] == pytest.approx([5, 5])
        assert one.client.condition.failures == 0


@in_loop
async def test_a_quota_that_is_used_up_is_waited_for_before_it_is_overdrawn():
    last = answer({"a": 1}, 200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"})
    async with Asking(last, answer({"a": 2})) as one:
        await one.client.get("/x")
        with pytest.raises(SourceUnavailable) as caught:
            await one.client.get("/x")
        assert caught.value.retry_after == pytest.approx(60)
        one.clock.advance(60)
        assert document(await one.client.get("/x")) == {"a": 2}


@in_loop
async def test_our_own_rate_is_kept():
    async with Asking(answer({}), rate=10, burst=2) as one:
        for _ in range(5):
            await one.client.get("/x")
        assert one.clock.elapsed == pytest.approx(0.3)


@in_loop
async def test_a_source_that_does_not_answer_is_left_alone_and_tried_by_one():
    async with Asking(answer(body=PAGE, status=503)) as one:
        for _ in range(5):
            with pytest.raises(SourceUnavailable, match="503"):
                await one.client.get("/x")
        assert len(one.api.requests) == 15
        with pytest.raises(SourceUnavailable, match="has not answered lately") as caught:
            await one.client.get("/x")
        assert 0 < caught.value.retry_after <= 15
        assert len(one.api.requests) == 15
        assert one.client.condition.failures == 5
        assert one.client.condition.open_until is not None
        one.clock.advance(15)
        one.answers = [answer({})]
        assert (await one.client.get("/x")).status == 200
        assert one.client.condition.failures == 0


@in_loop
async def test_a_login_that_is_refused_five_times_is_not_tried_until_the_account_is_locked():
    async with Asking(answer({}, 401)) as one:
        for _ in range(20):
            with pytest.raises((SourceRefused, SourceUnavailable)):
                await one.client.get("/x")
        assert len(one.api.requests) == 5


@in_loop
async def test_a_refusal_shows_a_source_at_work():
    async with Asking(*[answer({}, 500)] * 3, answer({}, 403)) as one:
        with pytest.raises(SourceUnavailable):
            await one.client.get("/x")
        assert one.client.condition.failures == 1
        with pytest.raises(SourceRefused):
            await one.client.get("/x")
        assert one.client.condition.failures == 0


@in_loop
async def test_a_question_has_an_end_whatever_happens(monkeypatch):
    monkeypatch.setattr(http, "_QUESTION", 0.1)
    async with started_twin() as twin:
        twin.fail(Mood.HANGS)
        client = HttpClient("x", Access(Connection(twin.url)))
        with pytest.raises(SourceUnavailable, match="in time"):
            await client.get("/x", patience=0)
        assert client.condition.failures == 1
        await client.close()


@in_loop
async def test_links_are_followed_on_the_same_server_only():
    async with Asking(answer({})) as one:
        base, resolve = one.api.url, one.client.resolve
        assert resolve("/v1/devices?page=2", "/v1/devices") == f"{base}/v1/devices?page=2"
        assert resolve("?page=2", "/v1/devices") == f"{base}/base/v1/devices?page=2"
        assert resolve(f"{base}/v1", f"{base}/x") == f"{base}/v1"
        assert (await one.client.get(resolve("/next", "/"))).status == 200
        assert one.api.asked == ["/next"]
        for link in ("https://evil.example/x", "//evil.example/x", base.replace("http", "https"), base.replace("//", "//user@"), base + "0/x",
                     base.replace("//", "//evil.example\\@"), "file:///etc/passwd", "http://[::1", "http://127.0.0.1:99999/"):  # fmt: skip
            with pytest.raises(SourceRefused, match="another server"):
                resolve(link, "/v1/devices")


@pytest.mark.parametrize(("body", "expected"), [(b"", None), (b" \n", None), (b"[1]", [1])])
def test_a_document_or_nothing(body, expected):
    assert document(Answer(200, {}, body)) == expected


@pytest.mark.parametrize("body", [PAGE, b"{", b"\xff"])
def test_what_is_no_document(body):
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        document(Answer(200, {}, body))

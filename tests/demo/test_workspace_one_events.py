"""The twin's notifications: once, with Basic, and lost, doubled and reordered on demand."""

import asyncio
import json
import random

import pytest
from tests.support import secrets
from tests.support.loop import in_loop
from tests.support.rest_api import answer, rest_api

from gatepost.demo.workspace_one_events import Events, Subscription
from gatepost.wire.basic_auth import parse

PASSWORD = secrets.password("the event notifications of the Workspace ONE twin")


def numbers(api):
    return [json.loads(one.body)["DeviceId"] for one in api.requests]


@in_loop
async def test_an_event_is_posted_once_with_basic():
    async with rest_api(lambda _: answer({}, 202)) as api:
        events = Events()
        events.subscribe(api.url + "/mdm/ws1", "uem", PASSWORD)
        events.add({"DeviceId": 1})
        assert not api.requests
        assert [(one.event["DeviceId"], one.status) for one in await events.deliver()] == [(1, 202)]
        assert await events.deliver() == []
        request = api.requests[0]
        assert (request.method, request.path, request.headers["content-type"]) == (
            "POST",
            "/mdm/ws1",
            "application/json",
        )
        credentials = parse(request.headers["authorization"].encode())
        assert (credentials.login, credentials.password) == ("uem", PASSWORD)
        assert await events.test_connection() == 202
        assert await events.send_raw(b"<Eventlog/>", "application/xml") == 202
        assert [(one.method, one.body) for one in api.requests[1:]] == [("GET", b""), ("POST", b"<Eventlog/>")]
        await events.close()


@in_loop
async def test_what_is_not_accepted_is_not_sent_again():
    async with rest_api(lambda _: answer({}, 503)) as api:
        events = Events()
        events.subscribe(api.url, "uem", PASSWORD)
        events.add({"DeviceId": 1})
        assert [one.status for one in await events.deliver()] == [503]
        assert (events.waiting, len(api.requests)) == ([], 1)
    events.add({"DeviceId": 2})
    assert [one.status for one in await events.deliver()] == [None]
    await events.close()


@in_loop
async def test_chance_loses_doubles_and_reorders():
    async with rest_api(lambda _: answer({})) as api:
        events = Events()
        events.subscribe(api.url, "uem", PASSWORD)
        for number in range(100):
            events.add({"DeviceId": number})
        await events.deliver(random.Random(1), loss=0.2, doubling=0.2, reorder=True)
        came = numbers(api)
        assert 70 <= len(set(came)) < 100
        assert len(came) > len(set(came))
        assert came != sorted(came)
        await events.close()


@in_loop
async def test_automatic_events_go_out_as_they_happen():
    async with rest_api(lambda _: answer({})) as api:
        events = Events()
        events.subscribe(api.url, "uem", PASSWORD, automatic=True)
        events.add({"DeviceId": 1})
        assert events.waiting == []
        while not events.delivered:
            await asyncio.sleep(0.01)
        assert numbers(api) == [1]
        events.automatic = False
        events.add({"DeviceId": 2})
        assert len(events.waiting) == 1
        await events.close()


@in_loop
async def test_closing_gives_up_what_nobody_answers():
    events = Events()
    async with rest_api(lambda _: answer({})) as api:
        url = api.url
    events.subscribe(url, "uem", PASSWORD, automatic=True)
    events.add({"DeviceId": 1})
    await events.close()
    assert all(one.status is None for one in events.delivered)


@in_loop
async def test_nobody_to_tell():
    with pytest.raises(AssertionError, match="nobody has subscribed"):
        await Events().test_connection()


def test_a_subscription_does_not_show_its_password():
    assert PASSWORD not in repr(Subscription("http://x", "uem", PASSWORD))

"""Any MDM: the two examples of the documentation as they stand there, and what a configuration can express and cannot break."""

import asyncio
import json
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import NOON, Clock
from tests.support.loop import in_loop
from tests.support.rest_api import answer, rest_api

from gatepost.mdm.sources.base import BadNotification, Gone, SourceRefused, SourceUnavailable
from gatepost.mdm.sources.generic import Generic, GenericConfiguration
from gatepost.mdm.sources.http import Access, HttpClient
from gatepost.mdm.sources.mapping import MapConfiguration
from gatepost.mdm.sources.paging import Paging
from gatepost.mdm.sources.transport import Connection
from gatepost.model import Compliance, Managed
from gatepost.settings import load
from gatepost.settings.mdm import bridge_configuration

HERE = Path(__file__).parent
PAGE = HERE.parent.parent.parent / "docs" / "how-to" / "any-mdm.md"

# -- the examples


def example(name: str) -> object:
    return json.loads((HERE / "examples" / name).read_text("utf-8"))


@asynccontextmanager
async def documented(name, reply, tmp_path):
    """The source that the page's example makes, with the API that `reply` is."""
    block = next(
        one for one in re.findall(r"```toml\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL) if f'"{name}"' in one
    )
    async with rest_api(reply) as api:
        path = tmp_path / "gatepost.toml"
        path.write_text(re.sub(r'^url = ".*"$', f'url = "{api.url}"', block, flags=re.MULTILINE))
        asks = bridge_configuration(load(path, {}).mdm).sources[0].asks
        clock = Clock()
        client = HttpClient(name, asks.access, now=clock.now, clock=clock.monotonic, sleep=clock.sleep)
        source = Generic(asks, client, clock.now)
        try:
            yield source, api
        finally:
            await source.close()


ALICES = "d7a2e7a4-5a3f-4a5f-9b2a-0c6a3a7c0001"


class Kandji:
    """Its API, as far as the example asks it."""

    def __init__(self):
        self.status = example("kandji/status.json")

    def __call__(self, request):
        if request.headers.get("authorization") != "Bearer KANDJI-API-TOKEN":
            return answer({"detail": "Invalid token."}, 401)
        target = request.path.removeprefix("/api/v1/devices").strip("/")
        if target == "":
            query = dict(pair.split("=") for pair in request.query.decode().split("&"))
            rows = [
                one for one in example("kandji/list.json") if query.get("serial_number") in (None, one["serial_number"])
            ]
            return answer(rows[int(query.get("offset", 0)) :])
        known = {f"{ALICES}/details": example("kandji/details.json"), f"{ALICES}/status": self.status}
        return answer(known[target]) if target in known else answer({"detail": "Not found."}, 404)


@in_loop
async def test_the_first_example_lists_and_describes(tmp_path):
    async with documented("kandji", Kandji(), tmp_path) as (source, api):
        assert [key async for key in source.list()] == [ALICES, ALICES[:-1] + "2"]
        assert api.asked == ["/api/v1/devices?limit=300&offset=0"]
        found = await source.fetch(ALICES)
        assert (found.managed, found.compliance, found.device_ids) == (Managed.YES, Compliance.COMPLIANT, ())
        assert (found.user_addresses, found.serial, found.friendly_name) == (
            ("alice@example.com",),
            "F2LX0000ABCD",
            "alice's iPhone",
        )
        assert found.state_time == NOON.replace(hour=11, microsecond=123456)
        assert isinstance(await source.fetch(ALICES[:-1] + "2"), Gone)
        assert (await source.find(serial="F2LX0000ABCD")).device_key == ALICES
        assert await source.find(serial="F2LX0000ABCZ") is None
        assert await source.find("6APMEKPHCP2ND42VIJ4BR8ECDO") is None


@in_loop
async def test_the_first_example_does_not_take_nothing_for_compliance(tmp_path):
    kandji = Kandji()
    async with documented("kandji", kandji, tmp_path) as (source, _):
        kandji.status["library_items"][0]["status"] = "ERROR"
        assert (await source.fetch(ALICES)).compliance is Compliance.NON_COMPLIANT
        kandji.status = {"device_id": ALICES, "parameters": [{"name": "Update", "status": "ALERT"}]}
        assert (await source.fetch(ALICES)).compliance is Compliance.NON_COMPLIANT
        for nothing in ({}, None, []):
            kandji.status = nothing
            assert (await source.fetch(ALICES)).compliance is Compliance.UNKNOWN


class SimpleMdm:
    """Its API, as far as the example asks it; 250 devices."""

    def __init__(self):
        self.device = example("simplemdm/device.json")
        self.numbers = list(range(121, 371))

    def __call__(self, request):
        if request.headers.get("authorization") != "Basic QVBJLUtFWTo=":
            return answer({"errors": [{"title": "unauthorized"}]}, 401)
        target = request.path.removeprefix("/api/v1/devices").strip("/")
        if target == "":
            query = dict(pair.split("=") for pair in request.query.decode().split("&"))
            rest = [one for one in self.numbers if one > int(query.get("starting_after", 0))]
            rows = [{"type": "device", "id": one, "attributes": {}} for one in rest[: int(query["limit"])]]
            return answer({"data": rows, "has_more": len(rest) > int(query["limit"])})
        return answer(self.device) if target == "121" else answer({"errors": [{"title": "object not found"}]}, 404)


@in_loop
async def test_the_second_example_from_the_webhook_to_the_posture(tmp_path):
    mdm = SimpleMdm()
    async with documented("simplemdm", mdm, tmp_path) as (source, api):
        body = (HERE / "examples" / "simplemdm" / "unenrolled.json").read_bytes()
        assert source.device_key_of(body, {}) == "121"
        found = await source.fetch("121")
        assert (found.managed, found.compliance) == (Managed.YES, Compliance.COMPLIANT)
        assert (found.device_ids, found.user_addresses) == (("6APMEKPHCP2ND42VIJ4BR8ECDO",), ("alice@example.com",))
        assert (found.serial, found.imei, found.state_time) == (
            "F2LX0000ABCD",
            "35 000000 000000 1",
            NOON.replace(hour=11),
        )
        mdm.device["data"]["attributes"] |= {"status": "unenrolled", "passcode_compliant": None}
        found = await source.fetch("121")
        assert (found.managed, found.compliance) == (Managed.NO, Compliance.PENDING)
        assert isinstance(await source.fetch("122"), Gone)
        assert [key async for key in source.list()] == [str(number) for number in mdm.numbers]
        assert api.asked[-3:] == [
            f"/api/v1/devices?limit=100{more}" for more in ("", "&starting_after=220", "&starting_after=320")
        ]


def test_the_page_has_no_other_example():
    assert len(re.findall(r"```toml", PAGE.read_text("utf-8"))) == 2


# -- what a configuration can express

FIELDS = {"device_key": "id", "compliance": "ok", "device_ids": "eas", "user_addresses": "mail", "imei": "imei"}
WHERE = Access(Connection("http://127.0.0.1:1"), rate=1000, burst=1000)
PLAIN = GenericConfiguration(
    "any",
    WHERE,
    MapConfiguration(FIELDS),
    fetch_path="/devices/{device_key}",
    list_path="/devices",
    notification_key="id",
)
LIST_ONLY = replace(PLAIN, fetch_path=None, notification_key=None)


@asynccontextmanager
async def source_of(configuration, reply):
    async with rest_api(reply) as api:
        clock = Clock()
        access = Access(Connection(api.url + "/v1"), rate=1000, burst=1000)
        client = HttpClient("any", access, now=clock.now, clock=clock.monotonic, sleep=clock.sleep)
        source = Generic(replace(configuration, access=access), client, clock.now)
        try:
            yield source, api, clock
        finally:
            await source.close()


@in_loop
async def test_a_device_is_asked_for_by_its_quoted_key():
    keys = replace(PLAIN, key_pattern=".*", headers={"X-Version": "3"})
    async with source_of(keys, lambda _: answer({"ok": True, "eas": ["E1"]})) as (source, api, _):
        found = await source.fetch("a/../b?c#d")
        assert (found.device_key, found.compliance, found.device_ids) == ("a/../b?c#d", Compliance.COMPLIANT, ("E1",))
        assert api.asked == ["/v1/devices/a%2F..%2Fb%3Fc%23d"]
        assert api.requests[0].headers["x-version"] == "3"
        assert api.requests[0].headers["accept"] == "application/json"
        for key in (".", ".."):
            with pytest.raises(SourceRefused):
                await source.fetch(key)


@pytest.mark.parametrize("key", ["", "a/b", "../x", "a b", "-a", "x" * 129, "ü"])
@in_loop
async def test_a_key_that_is_none_is_never_asked_for(key):
    async with source_of(PLAIN, lambda _: answer({})) as (source, api, _):
        with pytest.raises(SourceRefused):
            await source.fetch(key)
        assert not api.asked


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answer(body=b""), "no device in its answer"),
        (answer(None), "no device in its answer"),
        (answer([1]), "no device in its answer"),
        (answer("x"), "no device in its answer"),
        (answer({"id": "8"}), "another device"),
        (answer(body=b"<html>"), "cannot be read"),
        (answer(body=b"{"), "cannot be read"),
        (answer(body=b"<html>", status=404), "web page"),
        (answer({}, 503), "503"),
    ],
    ids=["nothing", "null", "list", "text", "another", "page", "half", "page 404", "503"],
)
@in_loop
async def test_what_says_nothing_of_the_device(reply, why):
    async with source_of(PLAIN, lambda _: reply) as (source, _, _):
        with pytest.raises(SourceUnavailable, match=why):
            await source.fetch("7")


@in_loop
async def test_gone_is_a_404_or_what_the_expression_says():
    configuration = replace(PLAIN, gone="total == `0`", fetch_item="results[0]")
    replies = [
        answer({}, 404),
        answer({"total": 0, "results": []}),
        answer({"total": 1, "results": [{"id": 7}]}),
        answer({"results": []}),
    ]
    async with source_of(configuration, lambda _: replies.pop(0)) as (source, _, clock):
        assert await source.fetch("7") == Gone("any", "7", clock.now())
        assert isinstance(await source.fetch("7"), Gone)
        assert (await source.fetch("7")).device_key == "7"
        with pytest.raises(SourceUnavailable):
            await source.fetch("7")


@in_loop
async def test_a_further_answer_that_is_missing_decides_nothing():
    configuration = replace(
        PLAIN, also={"more": "/more/{device_key}"}, map=MapConfiguration(FIELDS | {"compliance": "more.ok"})
    )
    replies = [answer({"id": 7}), answer({"ok": True}), answer({"id": 7}), answer({}, 404)]
    async with source_of(configuration, lambda _: replies.pop(0)) as (source, api, _):
        assert (await source.fetch("7")).compliance is Compliance.COMPLIANT
        assert api.asked == ["/v1/devices/7", "/v1/more/7"]
        with pytest.raises(SourceUnavailable, match="no `more`"):
            await source.fetch("7")


@in_loop
async def test_an_expression_that_does_not_apply_decides_nothing():
    configuration = replace(PLAIN, map=MapConfiguration(FIELDS | {"compliance": "length(ok) == `0`"}))
    async with source_of(configuration, lambda _: answer({"id": 7})) as (source, _, _):
        with pytest.raises(SourceUnavailable, match="does not apply"):
            await source.fetch("7")


# -- lists


async def listed(source, progress=None):
    return [key async for key in source.list(progress)]


@in_loop
async def test_pages_by_link_on_the_same_server_and_relative_to_their_page():
    configuration = replace(PLAIN, list_items="rows", paging=Paging("link", next="next", total="total"))
    replies = [
        {"rows": [{"id": 1}], "next": "?page=2", "total": 3},
        {"rows": [{"id": 2}], "next": "/v1/more", "total": 3},
        {"rows": [{"id": 3}]},
    ]
    told = []
    async with source_of(configuration, lambda _: answer(replies.pop(0))) as (source, api, _):
        assert await listed(source, lambda *one: told.append(one)) == ["1", "2", "3"]
        assert api.asked == ["/v1/devices", "/v1/devices?page=2", "/v1/more"]
        assert told == [(1, 3), (2, 3), (3, None)]


@in_loop
async def test_a_link_to_another_server_gets_nothing():
    configuration = replace(PLAIN, paging=Paging("link"))
    async with rest_api(lambda _: answer([{"id": 2}])) as other:
        link = {"Link": f'<{other.url}/devices>; rel="next"'}
        async with source_of(configuration, lambda _: answer([{"id": 1}], headers=link)) as (source, _, _):
            with pytest.raises(SourceRefused, match="another server"):
                await listed(source)
        assert not other.asked


@in_loop
async def test_pages_that_lead_in_a_circle_end():
    configuration = replace(PLAIN, list_items="rows", paging=Paging("link", next="next"))
    number = iter(range(100))
    async with source_of(
        configuration, lambda _: answer({"rows": [{"id": next(number)}], "next": "/v1/devices?a"})
    ) as (source, _, _):
        with pytest.raises(SourceUnavailable, match="circle"):
            await listed(source)


@in_loop
async def test_a_last_page_that_is_repeated_for_ever_ends():
    configuration = replace(PLAIN, paging=Paging("page", parameter="page", first=1))
    async with source_of(configuration, lambda one: answer([{"id": min(int(one.query.decode()[5:]), 3)}])) as (
        source,
        api,
        _,
    ):
        assert await listed(source) == ["1", "2", "3"]
        assert len(api.asked) == 4


@in_loop
async def test_rows_without_a_key_and_rows_that_come_twice_are_left_out():
    rows = [{"id": 1}, {"id": None}, {}, "x", None, {"id": "a/b"}, {"id": 1}, {"id": "2"}, {"id": 1.5}]
    async with source_of(PLAIN, lambda _: answer(rows)) as (source, _, _):
        assert await listed(source) == ["1", "2"]


@pytest.mark.parametrize(("reply", "error"), [(answer({}), SourceUnavailable), (answer(body=b""), SourceUnavailable), (answer({}, 404), SourceRefused), (answer({}, 500), SourceUnavailable)])  # fmt: skip
@in_loop
async def test_a_list_that_is_none_is_an_error_and_not_empty(reply, error):
    async with source_of(PLAIN, lambda _: reply) as (source, _, _):
        with pytest.raises(error):
            await listed(source)


@in_loop
async def test_a_source_without_a_list_lists_nothing():
    async with source_of(replace(PLAIN, list_path=None), lambda _: answer([{"id": 1}])) as (source, api, _):
        assert not source.lists
        assert await listed(source) == []
        assert not api.asked


@in_loop
async def test_a_list_alone_serves_for_a_minute_and_many_at_a_time():
    rows = [{"id": n, "ok": True, "eas": f"E{n}"} for n in range(5)]
    async with source_of(LIST_ONLY, lambda _: answer(rows)) as (source, api, clock):
        found = await asyncio.gather(*(source.fetch(str(n)) for n in range(5)))
        assert [one.device_ids for one in found] == [(f"E{n}",) for n in range(5)]
        assert (await source.find("e3")).device_key == "3"
        assert len(api.asked) == 1
        clock.advance(61)
        rows[0]["ok"] = False
        assert (await source.fetch("0")).compliance is Compliance.NON_COMPLIANT
        assert len(api.asked) == 2
        del rows[0]
        clock.advance(61)
        with pytest.raises(SourceUnavailable, match="does not prove that it is gone"):
            await source.fetch("0")


@in_loop
async def test_a_sweep_is_the_list_that_serves():
    async with source_of(LIST_ONLY, lambda _: answer([{"id": 1}])) as (source, api, _):
        assert await listed(source) == ["1"]
        assert (await source.fetch("1")).device_key == "1"
        assert len(api.asked) == 1


# -- looking up


@in_loop
async def test_a_look_up_must_find_what_was_asked_for_and_only_one():
    configuration = replace(PLAIN, find_paths={"device_id": "/devices?eas={device_id}", "imei": "/devices?imei={imei}"})
    devices = {
        "1": {"id": 1, "eas": "E1"},
        "2": {"id": 2, "eas": "E2", "imei": "35 1"},
        "3": {"id": 3, "eas": "E2", "imei": "36"},
    }

    def reply(request):
        last = request.path.rpartition("/")[2]
        return (
            answer(list(devices.values()))
            if last == "devices"
            else answer(devices.get(last, {}), 200 if last in devices else 404)
        )

    async with source_of(configuration, reply) as (source, api, _):
        assert (await source.find("e1")).device_key == "1"
        assert await source.find("E2") is None  # two have it
        assert await source.find("E3") is None
        assert (await source.find(imei="351")).device_key == "2"
        assert await source.find(serial="x") is None
        assert api.asked[0] == "/v1/devices?eas=e1"


@in_loop
async def test_a_look_up_that_finds_nothing():
    configuration = replace(PLAIN, find_paths={"device_id": "/find/{device_id}"}, find_items="device")
    replies = [
        answer({}, 404),
        answer({"device": None}),
        answer({"device": []}),
        answer({"device": {"id": 1}}),
        answer({}, 404),
    ]
    async with source_of(configuration, lambda _: replies.pop(0)) as (source, _, _):
        assert [await source.find("E1") for _ in range(4)] == [None] * 4
        assert not replies


@in_loop
async def test_a_look_up_in_a_source_that_only_lists():
    configuration = replace(LIST_ONLY, find_paths={"device_id": "/find/{device_id}"})
    replies = [answer([{"id": 1, "eas": "E1"}]), answer(body=b"{")]
    async with source_of(configuration, lambda _: replies.pop(0)) as (source, _, _):
        assert (await source.find("E1")).device_key == "1"
        assert await source.find() is None
        with pytest.raises(SourceUnavailable, match="cannot be read"):
            await source.find("E1")


@pytest.mark.parametrize(
    "path",
    [
        {"list_items": "length(@)"},
        {"list_key": "length(id)"},
        {"map": MapConfiguration(FIELDS | {"compliance": "length(ok)"})},
    ],
)
@in_loop
async def test_a_list_to_which_an_expression_does_not_apply_decides_nothing(path):
    async with source_of(
        replace(LIST_ONLY, **path), lambda _: answer([{"id": 1}]) if "list_items" not in path else answer(5)
    ) as (source, _, _):
        with pytest.raises(SourceUnavailable, match="cannot be read"):
            await source.fetch("1")
    assert source.quota.limit is None
    assert source.condition.failures == 0


# -- what cannot work


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fetch_path": None, "list_path": None, "notification_key": None}, "needs `fetch_path`, or `list_path`"),
        ({"fetch_path": None}, "whose notifications are listened to needs `fetch_path`"),
        ({"fetch_path": "devices/{device_key}"}, "begins with one `/`"),
        ({"fetch_path": "//evil.example/{device_key}"}, "begins with one `/`"),
        ({"fetch_path": "/a/../{device_key}"}, "begins with one `/`"),
        ({"fetch_path": "/devices"}, "has `{device_key}` in it"),
        ({"fetch_path": "/devices/{device_key}/{x}"}, "has `{device_key}` in it"),
        ({"list_path": "/devices/{device_key}"}, "has nothing in braces"),
        ({"also": {"x": "/x"}}, r"`also\.x` has"),
        ({"find_paths": {"colour": "/x"}}, "not by `colour`"),
        ({"find_paths": {"imei": "/x"}}, r"`find_paths\.imei` has"),
        ({"key_pattern": "["}, "not a regular expression"),
        ({"list_items": "["}, "JMESPath"),
        ({"gone": ""}, "JMESPath"),
        ({"paging": Paging("page")}, "parameter"),
        ({"map": MapConfiguration({})}, "device_key"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_at_once(changes, why):
    with pytest.raises(ValueError, match=why):
        Generic(replace(PLAIN, **changes))


# -- notifications

SOURCE = Generic(replace(PLAIN, notification_key="data.device.id || device"))


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"data": {"device": {"id": 121}}}', "121"),
        (b'{"device": " abc-1 "}', "abc-1"),
        (b'{"type": "test"}', None),
        (b'{"device": ""}', None),
        (b"[]", None),
        (b"5", None),
    ],
)
def test_the_device_of_a_notification(body, key):
    assert SOURCE.device_key_of(body, {}) == key


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<a/>",
        b"\xff",
        b'{"device": "../x"}',
        b'{"device": [1]}',
        b'{"device": true}',
        b'{"device": 1.5}',
        b'{"device": "a", "device": "b"}',
    ],
)
def test_what_names_no_device_is_refused(body):
    with pytest.raises(BadNotification):
        SOURCE.device_key_of(body, {})


def test_without_an_expression_no_notification_names_a_device():
    assert Generic(LIST_ONLY).device_key_of(b"anything", {}) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["data", "device", "id"]) | st.text(), below, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(st.binary() | ANYTHING.map(lambda one: json.dumps(one).encode()))
def test_any_notification_names_a_device_or_none_or_is_refused(body):
    with suppress(BadNotification):
        key = SOURCE.device_key_of(body, {})
        assert key is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", key)

"""Workspace ONE: events in every shape, records in every state, listings that drift, and a server with moods."""

import json
import re
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import NOON, Clock
from tests.support.loop import in_loop
from tests.support.rest_api import answer, rest_api
from tests.support.workspace_one import started_twin, twin_configuration

from gatepost.demo.workspace_one import Mood
from gatepost.demo.workspace_one_devices import TwinDevice
from gatepost.mdm.sources.base import BadNotification, Gone, SourceRefused, SourceUnavailable
from gatepost.mdm.sources.http import Access, HttpClient
from gatepost.mdm.sources.reading import word
from gatepost.mdm.sources.transport import Connection
from gatepost.mdm.sources.workspace_one import (
    COMPLIANCE,
    MANAGED,
    WorkspaceOne,
    WorkspaceOneConfiguration,
    posture_of,
)
from gatepost.model import Compliance, Managed

EAS, OUTLOOK = "6APMEKPHCP2ND42VIJ4BR8ECDO", "OUTLOOK2"
SOURCE = WorkspaceOne(WorkspaceOneConfiguration("ws1", Access(Connection("https://mdm.example.com")), ""))
UUID = "7caaee42-5f19-4b51-8187-bd43f4484a65"


def key_of(event, content_type="application/json"):
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return SOURCE.device_key_of(body, {"content-type": content_type})


# -- notifications

COMPLIANCE_CHANGED = {
    "EventId": 178, "EventType": "Compliance Status Changed", "DeviceId": 10000, "DeviceFriendlyName": "yolo",
    "EnrollmentEmailAddress": "yolo@example.org", "EventTime": "2022-01-16T09:13:59.5720125Z", "EnrollmentStatus": "Enrolled",
    "ComplianceStatus": "Compliant", "Udid": "D20E0F3D66AF4B92B31E1DA394DF1E88", "SerialNumber": "ZL6LTO7H27AB", "DeviceUUID": UUID,
}  # fmt: skip
WIPE_OF_2014 = {
    "EventId": 229, "EventType": "DeviceEnterpriseWipeRequested", "DeviceId": 280, "EventTime": "/Date(1391182403986)/",
    "EnrollmentStatus": "EnterpriseWipePending", "ComplianceStatus": "Compliant", "Udid": "System.Byte[]", "MACAddress": "System.Byte[]",
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (COMPLIANCE_CHANGED, "10000"),
        (WIPE_OF_2014, "280"),
        ({"DeviceId": "10001"}, "10001"),
        ({"DeviceId": " 0010001 "}, "10001"),
        ({"deviceId": 7}, "7"),
        ({"device_id": 7}, "7"),
        ({"DeviceId": {"Value": 7}}, "7"),
        ({"DeviceId": 999999999999999999}, "999999999999999999"),
        ({"DeviceUUID": UUID.upper()}, UUID),
        ({"DeviceId": 0, "DeviceUUID": UUID}, UUID),
        ({"DeviceId": "", "DeviceUUID": UUID}, UUID),
        ({"DeviceId": None, "DeviceUUID": UUID}, UUID),
        ({"DeviceId": UUID}, UUID),
        ({"EventType": "Test"}, None),
        ({"DeviceId": 0, "DeviceUUID": "00000000-0000-0000-0000-000000000000"}, None),
        ({}, None),
        (b"\xef\xbb\xbf" + json.dumps(COMPLIANCE_CHANGED).encode(), "10000"),
    ],
)
def test_the_device_of_an_event(event, key):
    assert key_of(event) == key


@pytest.mark.parametrize(
    "event",
    [{"DeviceId": "../../system/users/search?x="}, {"DeviceId": "1/2"}, {"DeviceId": "1?x"}, {"DeviceId": -1}, {"DeviceId": 1.5}, {"DeviceId": True},
     {"DeviceId": [1]}, {"DeviceId": {"Id": 1}}, {"DeviceId": "1" * 19}, {"DeviceId": 10**18}, {"DeviceId": "٣"}, {"DeviceId": 7, "DeviceUUID": "x"},
     {"DeviceId": "10001\n"[:-1] + "%0a"}, [], "x", 5, None, b"", b"{", b"\xff", b'{"DeviceId": 1, "DeviceId": 2}', b'{"DeviceId": NaN}', b"[" * 9999],
)  # fmt: skip
def test_what_names_no_device_is_refused_before_it_gets_into_a_url(event):
    with pytest.raises(BadNotification) as caught:
        key_of(event)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<Eventlog><DeviceId>133</DeviceId></Eventlog>", "application/json"), (b"\xef\xbb\xbf\r\n<?xml?>", ""), (b"{}", "application/xml; charset=utf-8"), (b"{}", "text/XML")],
)  # fmt: skip
def test_xml_is_refused_and_says_what_to_change(body, content_type):
    with pytest.raises(BadNotification, match="choose the format JSON") as caught:
        key_of(body, content_type)
    assert caught.value.status == 415


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([UUID, "10001", "Compliant", "Enrolled"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["DeviceId", "DeviceUUID", "Value", "x"]) | st.text(), below, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(st.binary() | ANYTHING.map(lambda one: json.dumps(one).encode()), st.text())
def test_any_notification_names_a_device_or_none_or_is_refused(body, content_type):
    with suppress(BadNotification):
        key = SOURCE.device_key_of(body, {"content-type": content_type})
        assert key is None or (key.isascii() and key.replace("-", "").isalnum())


# -- records

RECORD = TwinDevice(
    10001, "alice@example.org", NOON - timedelta(hours=1), NOON, [EAS], "F2LX", "350000000000001"
).record()


def read(**changes):
    return posture_of("ws1", RECORD | changes, NOON)


def test_a_record_becomes_a_posture():
    found = read(EnrollmentStatus="Enrolled", ComplianceStatus="Compliant", EasIds={"EasId": [EAS, OUTLOOK.lower()]})
    assert (found.source, found.device_key, found.managed, found.compliance) == (
        "ws1",
        "10001",
        Managed.YES,
        Compliance.COMPLIANT,
    )
    assert found.device_ids == (EAS, OUTLOOK)
    assert found.user_addresses == ("alice@example.org",)
    assert (found.compromised, found.serial, found.imei) == (False, "F2LX", "350000000000001")
    assert found.friendly_name == "alice iPhone iOS 18"
    assert (found.state_time, found.observed_at) == (NOON - timedelta(hours=1), NOON)
    assert not found.gone


@pytest.mark.parametrize("status", ["EnterpriseWipePending", "DeviceWipePending", "WipeInitiated", "UnenrollmentPending", "Unenrolled", "Retired", "DeviceNotFound", "Discovered", "Registered", "EnrollmentInProgress", "Enterprise Wipe Pending"])  # fmt: skip
def test_only_an_enrolled_device_is_managed_however_compliant_it_is_said_to_be(status):
    assert read(EnrollmentStatus=status, ComplianceStatus="Compliant").managed is Managed.NO


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Compliant", Compliance.COMPLIANT), ("NonCompliant", Compliance.NON_COMPLIANT), ("Non Compliant", Compliance.NON_COMPLIANT),
     ("PendingComplianceCheck", Compliance.PENDING), ("PendingComplianceCheckForAPolicy", Compliance.PENDING), ("NotAvailable", Compliance.NOT_AVAILABLE),
     ("Quarantined", Compliance.NON_COMPLIANT), ("Allowed", Compliance.NON_COMPLIANT), ("Unknown", Compliance.UNKNOWN), ("", Compliance.UNKNOWN),
     (None, Compliance.UNKNOWN), ("SomethingNew", Compliance.UNKNOWN), (True, Compliance.UNKNOWN), (3, Compliance.UNKNOWN)],
)  # fmt: skip
def test_every_compliance_status_has_a_meaning_and_only_one_is_compliant(status, expected):
    assert read(ComplianceStatus=status).compliance is expected
    assert [name for name, value in COMPLIANCE.items() if value is Compliance.COMPLIANT] == ["compliant"]
    assert [name for name, value in MANAGED.items() if value is Managed.YES] == ["enrolled"]


@pytest.mark.parametrize(("said", "expected"), [(True, True), (False, False), ("", None), (None, None), ("Compromised", True), ("Not Compromised", False)])  # fmt: skip
def test_compromised_is_a_flag_or_a_word(said, expected):
    assert read(CompromisedStatus=said).compromised is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"EasIds": None, "EasId": EAS}, (EAS,)),
        ({"EasIds": {"EasId": []}, "EasId": ""}, ()),
        ({"EasIds": {"EasId": OUTLOOK}, "EasId": EAS}, (EAS, OUTLOOK)),
        ({"EasIds": [OUTLOOK, EAS], "EasId": EAS.lower()}, (EAS, OUTLOOK)),
        ({"EasIds": {"EasId": ["androidc-123", "", None, 5]}, "EasId": None}, ("5",)),
        ({"EasIds": "x", "EasId": {"Value": EAS}}, (EAS, "X")),
    ],
)
def test_the_union_of_all_eas_ids(changes, expected):
    assert read(**changes).device_ids == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [("2026-11-02T08:03:01.123", datetime(2026, 11, 2, 8, 3, 1, 123000, UTC)), ("2026-11-02T08:03:01.1234567Z", datetime(2026, 11, 2, 8, 3, 1, 123456, UTC)),
     ("/Date(1391182403986)/", datetime(2014, 1, 31, 15, 33, 23, 986000, UTC)), ("0001-01-01T00:00:00", None), ("", None), ("2099-01-01T00:00:00", NOON)],
)  # fmt: skip
def test_last_seen_is_in_utc_and_never_in_the_future(said, expected):
    assert read(LastSeen=said).state_time == expected


def test_what_events_may_call_it_is_its_uuid_where_it_has_a_number():
    assert read(Uuid=UUID.upper()).other_key == UUID
    assert read(Uuid=None).other_key is None
    only_uuid = posture_of("ws1", {"Uuid": UUID}, NOON, asked=UUID)
    assert (only_uuid.device_key, only_uuid.other_key) == (UUID, None)


def test_a_record_without_fields_is_unknown_in_every_respect():
    found = posture_of("ws1", {}, NOON, asked="10001")
    assert (found.device_key, found.managed, found.compliance, found.compromised) == (
        "10001",
        Managed.UNKNOWN,
        Compliance.UNKNOWN,
        None,
    )
    assert (found.user_addresses, found.device_ids, found.serial, found.imei, found.state_time) == (
        (),
        (),
        None,
        None,
        None,
    )


def test_the_name_of_a_type_is_no_serial_number():
    assert read(SerialNumber="System.Byte[]", Imei="").serial is None


@given(st.dictionaries(st.sampled_from(list(RECORD)), ANYTHING))
def test_any_record_becomes_a_posture(changes):
    found = posture_of("ws1", RECORD | changes, NOON, asked="10001")
    assert found.device_key
    assert all(one.isalnum() and one.isascii() and len(one) <= 32 for one in found.device_ids)


# -- the API


@asynccontextmanager
async def twin_and_source(*, oauth=False, configured=None, **options):
    async with started_twin(**options) as twin:
        configuration, clock = twin_configuration(twin, oauth=oauth, **(configured or {})), Clock()
        client = HttpClient(
            "ws1", configuration.access, clock=clock.monotonic, sleep=clock.sleep
        )  # nobody really waits
        source = WorkspaceOne(configuration, client)
        try:
            yield twin, source
        finally:
            await source.close()


@in_loop
async def test_a_device_by_number_and_by_uuid():
    async with twin_and_source() as (twin, source):
        device = twin.enroll("alice@example.org", EAS, OUTLOOK)
        twin.comply(device.number)
        found = await source.fetch(str(device.number))
        assert (found.device_key, found.compliance, found.device_ids) == ("10001", Compliance.COMPLIANT, (EAS, OUTLOOK))
        assert (await source.fetch(device.uuid)).device_key == "10001"
        assert [one.accept for one in twin.asked] == ["application/json;version=1", "application/json;version=4"]
        assert source.lists


@in_loop
async def test_the_url_may_end_in_api():
    async with twin_and_source() as (twin, _):
        twin.enroll("alice@example.org")
        configuration = twin_configuration(twin)
        connection = Connection(twin.url + "/api/")
        source = WorkspaceOne(
            WorkspaceOneConfiguration("ws1", Access(connection, configuration.access.login), configuration.tenant_code)
        )
        assert (await source.fetch("10001")).device_key == "10001"
        await source.close()


@in_loop
async def test_a_device_that_is_not_there_is_gone_but_a_web_page_is_not_the_api():
    async with twin_and_source() as (twin, source):
        found = await source.fetch("4711")
        assert isinstance(found, Gone)
        assert (found.source, found.device_key) == ("ws1", "4711")
        twin.fail(Mood.PAGE_404, 3)
        with pytest.raises(SourceUnavailable, match="web page"):
            await source.fetch("4711")


@pytest.mark.parametrize(
    "mood", [Mood.PAGE_503, Mood.ERROR_500, Mood.PAGE_200, Mood.EMPTY, Mood.TOO_MANY_BARE, Mood.DROPS]
)
@in_loop
async def test_a_server_in_a_mood_says_nothing_of_the_device(mood):
    async with twin_and_source() as (twin, source):
        number = str(twin.enroll("alice@example.org", EAS).number)
        twin.fail(mood)
        with pytest.raises(SourceUnavailable):
            await source.fetch(number)
        with pytest.raises(SourceUnavailable):
            await listed(source)
        twin.recover()
        assert (await source.fetch(number)).device_ids == (EAS,)


@in_loop
async def test_two_failures_are_tried_again_at_once():
    async with twin_and_source() as (twin, source):
        number = str(twin.enroll("alice@example.org", EAS).number)
        twin.fail(Mood.PAGE_503, 2)
        assert (await source.fetch(number)).device_key == number


@in_loop
async def test_another_device_than_the_one_asked_for_is_not_believed():
    async with twin_and_source() as (twin, source):
        twin.enroll("alice@example.org", EAS)
        twin.devices[4711] = twin.devices[10001]
        with pytest.raises(SourceUnavailable, match="another device"):
            await source.fetch("4711")


@pytest.mark.parametrize("key", ["", "../x", "1/2", "1" * 19, "x", "٣"])
@in_loop
async def test_a_key_that_is_none_is_never_asked_for(key):
    async with twin_and_source() as (twin, source):
        with pytest.raises(SourceRefused):
            await source.fetch(key)
        assert not twin.asked


@in_loop
async def test_a_login_and_an_api_key_that_are_not_accepted():
    async with twin_and_source() as (twin, source):
        twin.fail(Mood.LOGIN, 1)
        with pytest.raises(SourceRefused, match="login"):
            await source.fetch("10001")
        configuration = twin_configuration(twin)
        other = WorkspaceOne(WorkspaceOneConfiguration("ws1", configuration.access, "wrong"))
        with pytest.raises(SourceRefused, match="403"):
            await other.fetch("10001")
        await other.close()


@in_loop
async def test_oauth_with_one_token_for_many_questions_and_a_new_one_after_a_401():
    async with twin_and_source(oauth=True) as (twin, source):
        number = str(twin.enroll("alice@example.org", EAS).number)
        for _ in range(3):
            await source.fetch(number)
        assert twin.tokens_given == 1
        twin.revoke_tokens()
        assert (await source.fetch(number)).device_key == number
        assert twin.tokens_given == 2


@in_loop
async def test_a_token_that_is_refused_although_new_is_asked_for_once():
    async with twin_and_source(oauth=True) as (twin, source):
        await source.fetch("10001")
        twin.fail(Mood.LOGIN, 1)
        await source.fetch("10001")
        before = len(twin.asked)
        twin.token_seconds = -1  # no token is good
        twin.revoke_tokens()
        with pytest.raises(SourceRefused, match="login"):
            await source.fetch("10001")
        assert [one.path for one in list(twin.asked)[before:]].count("/connect/token") == 1


@in_loop
async def test_quota_headers_are_read_and_the_end_of_the_quota_is_waited_for():
    async with twin_and_source(quota=(2, 600.0)) as (twin, source):
        number = str(twin.enroll("alice@example.org", EAS).number)
        await source.fetch(number)
        assert (source.quota.limit, source.quota.remaining) == (2, 1)
        assert source.quota.reset_at is not None
        await source.fetch(number)
        with pytest.raises(SourceUnavailable, match="slowly") as caught:
            await source.fetch(number)
        assert 500 < caught.value.retry_after < 610
        assert len(twin.asked) == 2


@in_loop
async def test_a_short_429_passes():
    async with twin_and_source() as (twin, source):
        number = str(twin.enroll("alice@example.org", EAS).number)
        twin.fail(Mood.TOO_MANY, 1)
        assert (await source.fetch(number)).device_key == number
        assert [one.status for one in twin.asked] == [429, 200]


# -- listings


async def listed(source, progress=None):
    return [key async for key in source.list(progress)]


@in_loop
async def test_all_devices_page_by_page_in_ascending_order():
    async with twin_and_source(configured={"page_size": 10}) as (twin, source):
        for n in range(25):
            twin.enroll(f"user{n}@example.org")
        pages = []
        assert await listed(source, lambda *one: pages.append(one)) == [str(10001 + n) for n in range(25)]
        assert pages == [(10, 25), (20, 25), (25, 25)]
        assert dict(twin.asked[0].query) == {"pagesize": "10", "page": "0", "orderby": "deviceid", "sortorder": "ASC"}


@pytest.mark.parametrize("count", [0, 9, 10, 11, 20])
@in_loop
async def test_listings_of_every_length(count):
    async with twin_and_source(configured={"page_size": 10}) as (twin, source):
        for n in range(count):
            twin.enroll(f"user{n}@example.org")
        assert len(await listed(source)) == count
        assert len(twin.asked) == max(1, -(-count // 10))


@in_loop
async def test_a_location_group():
    async with twin_and_source(configured={"group_id": 571}) as (twin, source):
        twin.enroll("alice@example.org")
        twin.enroll("bob@example.org", group_id=571)
        assert await listed(source) == ["10002"]


@in_loop
async def test_a_deletion_while_listing_loses_rows_and_nobody_is_gone_because_of_it():
    async with twin_and_source(configured={"page_size": 10}) as (twin, source):
        for n in range(20):
            twin.enroll(f"user{n}@example.org")
        twin.before_page = lambda page: twin.delete(10001) if page == 1 else None
        found = await listed(source)
        assert "10011" not in found  # it moved to the first page when that had been read
        assert (await source.fetch("10011")).device_key == "10011"


@in_loop
async def test_new_devices_while_listing_come_last_and_once():
    async with twin_and_source(configured={"page_size": 10}) as (twin, source):
        for n in range(15):
            twin.enroll(f"user{n}@example.org")
        twin.before_page = lambda page: twin.enroll("new@example.org")
        found = await listed(source)
        assert len(found) == len(set(found)) == 17


@in_loop
async def test_a_listing_that_breaks_off_is_an_error_and_not_the_end():
    async with twin_and_source(configured={"page_size": 10}) as (twin, source):
        for n in range(25):
            twin.enroll(f"user{n}@example.org")
        told = []
        twin.before_page = lambda page: twin.fail(Mood.ERROR_500) if page == 1 else None
        with pytest.raises(SourceUnavailable):
            await listed(source, lambda *one: told.append(one))
        assert told == [(10, 25), (20, 25)]


# -- looking up


@pytest.mark.parametrize("kept", [EAS, EAS.lower()])
@in_loop
async def test_a_phone_is_found_by_its_eas_id_in_any_case(kept):
    async with twin_and_source() as (twin, source):
        twin.enroll("bob@example.org", OUTLOOK)
        twin.enroll("alice@example.org", "OTHER", kept)
        found = await source.find(EAS)
        assert (found.device_key, found.user_addresses) == ("10002", ("alice@example.org",))
        assert dict(twin.asked[0].query) == {"searchby": "EasId", "id": EAS}


@in_loop
async def test_a_phone_that_nobody_knows_is_not_guessed():
    async with twin_and_source() as (twin, source):
        device = twin.enroll("alice@example.org", EAS, serial="F2LX", imei="35 0000 1")
        assert await source.find("NOBODYS") is None
        assert await source.find() is None
        twin.fail(Mood.EMPTY, 2)
        assert await source.find(EAS) is None
        assert await source.find(imei="1") is None
        assert (await source.find(imei="35 0000 1")).device_key == "10001"
        assert (await source.find(serial="f2lx")).device_key == "10001"
        assert await source.find(serial="F2LY") is None
        device.missing = frozenset({"EasIds", "EasId"})
        assert await source.find(EAS) is None  # what was asked for is not in the answer


@in_loop
async def test_missing_fields_make_it_unknown():
    async with twin_and_source() as (twin, source):
        device = twin.enroll("alice@example.org", EAS)
        device.missing = frozenset(
            {"EnrollmentStatus", "ComplianceStatus", "CompromisedStatus", "LastSeen", "UserEmailAddress", "Id"}
        )
        for key in ("10001", device.uuid):
            found = await source.fetch(key)
            assert (found.device_key, found.managed, found.compliance) == (key, Managed.UNKNOWN, Compliance.UNKNOWN)


# -- answers that no Workspace ONE should give


@asynccontextmanager
async def strange_answers(*answers, **configured):
    """A source whose server answers with these, one after the other."""
    replies = list(answers)
    async with rest_api(lambda _: replies.pop(0)) as api:
        access = Access(Connection(api.url), rate=1000, burst=1000)
        source = WorkspaceOne(WorkspaceOneConfiguration("ws1", access, "", **configured))
        try:
            yield source, api
        finally:
            await source.close()


@in_loop
async def test_a_record_that_is_none_says_nothing():
    async with strange_answers(answer([RECORD]), answer("x"), answer({}), answer(None)) as (source, _):
        for _ in range(4):
            with pytest.raises(SourceUnavailable):
                await source.fetch("10001")


ROWS = [{"Id": {"Value": n}} for n in (1, 2)]


@pytest.mark.parametrize(
    ("pages", "keys"),
    [
        ([{"Devices": ROWS, "Total": "2"}, {"Devices": []}], ["1", "2"]),
        ([{"Devices": ROWS}, None], ["1", "2"]),
        ([{"Devices": ROWS[:1]}], ["1"]),
        ([{"Devices": [*ROWS, None, {}, {"Id": "x"}, {"Uuid": UUID}], "Total": 2}], ["1", "2", UUID]),
    ],
    ids=["total in words", "empty end", "short end", "rows without a key"],
)
@in_loop
async def test_listings_without_a_total_and_rows_without_a_key(pages, keys):
    replies = [answer(body=b"") if page is None else answer(page) for page in pages]
    async with strange_answers(*replies, page_size=2) as (source, api):
        assert await listed(source) == keys
        assert len(api.asked) == len(pages)


@pytest.mark.parametrize("page", [answer(body=b""), answer([]), answer({"Devices": None}), answer({}, 404)], ids=["nothing", "list", "null", "404"])  # fmt: skip
@in_loop
async def test_a_first_page_that_is_none_is_no_empty_listing(page):
    async with strange_answers(page) as (source, _):
        with pytest.raises(SourceUnavailable, match="not a page of devices"):
            await listed(source)


@in_loop
async def test_a_listing_that_ends_before_its_total():
    async with strange_answers(
        answer({"Devices": ROWS, "Total": 9}), answer({"Devices": [], "Total": 9}), page_size=2
    ) as (source, _):
        with pytest.raises(SourceUnavailable, match="ended after 2 of 9 devices"):
            await listed(source)


@in_loop
async def test_a_look_up_that_answers_with_a_list():
    found = {**RECORD, "EasIds": {"EasId": [EAS]}}
    async with strange_answers(answer({"Devices": [found]}), answer({"Devices": [found, found]}), answer({}, 404)) as (
        source,
        _,
    ):
        assert (await source.find(EAS)).device_key == "10001"
        assert await source.find(EAS) is None


# -- the page

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "operations-guide" / "workspace-one.md"


@pytest.mark.parametrize(("heading", "table"), [("EnrollmentStatus", MANAGED), ("ComplianceStatus", COMPLIANCE)])
def test_the_page_has_every_word_with_its_meaning(heading, table):
    rows = re.search(rf"\| {heading} \|.*\n\|.*\n((?:\|.*\n)+)", PAGE.read_text("utf-8"))[1]
    told = {word(one): row[1] for row in re.findall(r"\| (.+) \| (.+) \|", rows) for one in row[0].split(", ")}
    assert told == {name: value.value for name, value in table.items()}

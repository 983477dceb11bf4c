"""The Workspace ONE twin: what the real API does, asked with a client that knows nothing of ours."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.support.clock import Clock
from tests.support.loop import in_loop
from tests.support.workspace_one import TwinThread, started_twin, twin_login

from gatepost.demo.workspace_one import Mood, WorkspaceOneTwin, new_login


@asynccontextmanager
async def asking(**options):
    """A twin and a client with its login."""
    async with started_twin(**options) as twin:
        login = twin.login
        async with httpx.AsyncClient(base_url=twin.url, auth=(login.user, login.password), headers={"aw-tenant-code": login.tenant_code}, trust_env=False, timeout=5) as client:  # fmt: skip
            yield twin, client


DEVICES = "/api/mdm/devices"


@in_loop
async def test_who_may_ask():
    async with asking() as (twin, client):
        twin.enroll("alice@example.org")
        assert (await client.get(f"{DEVICES}/10001")).status_code == 200
        assert (await client.get(f"{DEVICES}/10001", auth=("bridge", "wrong"))).status_code == 401
        assert (await client.get(f"{DEVICES}/10001", auth=("other", twin.login.password))).status_code == 401
        assert (await client.get(f"{DEVICES}/10001", headers={"aw-tenant-code": "wrong"})).status_code == 403
        assert (
            await client.get(f"{DEVICES}/10001", headers={"Authorization": "Bearer x"}, auth=None)
        ).status_code == 401
        assert [one.status for one in twin.asked] == [200, 401, 401, 403, 401]


@in_loop
async def test_tokens_are_given_and_end():
    async with asking(token_seconds=0.2) as (twin, client):
        form = {"grant_type": "client_credentials", "client_id": "gatepost", "client_secret": twin.login.client_secret}
        assert (await client.post(twin.token_url, data=form | {"client_secret": "wrong"})).json() == {
            "error": "invalid_client"
        }
        given = (await client.post(twin.token_url, data=form)).json()
        assert (given["token_type"], given["expires_in"]) == ("Bearer", "0")
        headers = {"Authorization": f"Bearer {given['access_token']}"}
        asked = client.build_request("GET", f"{DEVICES}/1", headers=headers)
        assert (await client.send(asked, auth=None)).status_code == 404
        await asyncio.sleep(0.25)
        assert (await client.send(asked, auth=None)).status_code == 401


@in_loop
async def test_one_device_by_number_uuid_and_look_up():
    async with asking() as (twin, client):
        device = twin.enroll("alice@example.org", "EAS1", "OUT2", serial="F2LX", imei="35")
        four = {"Accept": "application/json;version=4"}
        assert (await client.get(f"{DEVICES}/{device.uuid}", headers=four)).json()["Id"]["Value"] == 10001
        assert (await client.get(f"{DEVICES}/{device.uuid}")).status_code == 400
        gone = await client.get(f"{DEVICES}/4711")
        assert (gone.status_code, gone.json()["errorCode"]) == (404, 404)
        for kind, value in (("EasId", "out2"), ("Serialnumber", "F2LX"), ("ImeiNumber", "35"), ("DeviceId", "10001")):
            found = await client.get(DEVICES, params={"searchby": kind, "id": value})
            assert found.json()["SerialNumber"] == "F2LX", kind
        for kind, value in (("EasId", "EAS9"), ("EasId", ""), ("Colour", "red")):
            assert (await client.get(DEVICES, params={"searchby": kind, "id": value})).status_code == 404
        assert (await client.get("/api/system/users/search")).status_code == 404
        assert (await client.delete(f"{DEVICES}/10001")).status_code == 404


@in_loop
async def test_the_search_is_paged_from_0_and_descending_unless_asked_otherwise():
    async with asking() as (twin, client):
        for n in range(5):
            twin.enroll(f"u{n}@example.org", "EAS1")
        page = (await client.get(f"{DEVICES}/search", params={"pagesize": 2, "page": 2, "sortorder": "ASC"})).json()
        assert ([one["Id"]["Value"] for one in page["Devices"]], page["Page"], page["PageSize"], page["Total"]) == (
            [10005],
            2,
            2,
            5,
        )
        assert "EasIds" not in page["Devices"][0]
        assert (await client.get(f"{DEVICES}/search")).json()["Devices"][0]["Id"]["Value"] == 10005
        assert (await client.get(f"{DEVICES}/search", params={"pagesize": 9999})).json()["PageSize"] == 500


@in_loop
async def test_quota_headers_and_its_end():
    async with asking(quota=(2, 0.3)) as (_, client):
        left = []
        for _ in range(3):
            found = await client.get(f"{DEVICES}/1")
            left.append((found.status_code, found.headers["x-ratelimit-remaining"]))
        assert left == [(404, "1"), (404, "0"), (429, "0")]
        await asyncio.sleep(0.35)
        assert (await client.get(f"{DEVICES}/1")).status_code == 404


@pytest.mark.parametrize(
    ("mood", "status"),
    [(Mood.PAGE_503, 503), (Mood.PAGE_404, 404), (Mood.ERROR_500, 500), (Mood.PAGE_200, 200), (Mood.EMPTY, 200), (Mood.TOO_MANY, 429), (Mood.TOO_MANY_BARE, 429), (Mood.LOGIN, 401)],
)  # fmt: skip
@in_loop
async def test_moods(mood, status):
    async with asking() as (twin, client):
        twin.enroll("alice@example.org")
        twin.fail(mood, 1)
        found = await client.get(f"{DEVICES}/10001")
        assert found.status_code == status
        assert ("x-ratelimit-reset" in found.headers) is (mood is Mood.TOO_MANY)
        assert (await client.get(f"{DEVICES}/10001")).json()["SerialNumber"]
        twin.fail(mood)
        assert (await client.get(f"{DEVICES}/10001")).status_code == status
        twin.recover()
        assert (await client.get(f"{DEVICES}/10001")).json()["SerialNumber"]


@in_loop
async def test_a_server_that_drops_and_one_that_hangs():
    async with asking() as (twin, client):
        twin.fail(Mood.DROPS, 1)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{DEVICES}/1")
        twin.fail(Mood.HANGS, 1)
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{DEVICES}/1", timeout=0.1)
        assert (await client.get(f"{DEVICES}/1")).status_code == 404


def test_the_life_of_a_device_in_events():
    clock = Clock()
    twin = WorkspaceOneTwin(twin_login(), now=clock.now, event_version=1)
    number = twin.enroll("alice@example.org").number
    clock.advance(60)
    twin.comply(number)
    assert twin.devices[number].seen == clock.now()
    twin.give_eas_id(number, "EAS1")
    twin.violate(number)
    twin.recheck(number)
    twin.comply(number)
    twin.jailbreak(number)
    twin.jailbreak(number, compromised=False)
    twin.reassign(number, "bob@example.org")
    twin.wipe(number)
    assert (twin.devices[number].enrollment_status, twin.devices[number].compliance_status) == (
        "EnterpriseWipePending",
        "Compliant",
    )
    twin.unenroll(number)
    assert twin.devices[number].eas_ids == []
    clock.advance(60)
    twin.see(number)
    assert twin.devices[number].seen == clock.now()
    twin.delete(number)
    assert number not in twin.devices
    told = [(one["EventType"], one["ComplianceStatus"], one["CompromisedStatus"]) for one in twin.events.waiting]
    assert told == [
        ("MDM Enrollment Complete", "PendingComplianceCheck", ""),
        ("Compliance Status Changed", "Compliant", ""),
        ("Compliance Status Changed", "NonCompliant", ""),
        ("Compliance Status Changed", "PendingComplianceCheck", ""),
        ("Compliance Status Changed", "Compliant", ""),
        ("Compromised Status Changed", "Compliant", "Compromised"),
        ("Compromised Status Changed", "Compliant", ""),
        ("Device Attribute Changed", "Compliant", ""),
        ("DeviceEnterpriseWipeRequested", "Compliant", ""),
        ("Break MDM Confirmed", "NotAvailable", ""),
        ("DeleteDeviceRequested", "NotAvailable", ""),
    ]
    assert twin.enroll("carol@example.org").number == number + 1


def test_a_login_shows_no_secret():
    login = new_login()
    assert login != new_login()
    assert not any(secret in repr(login) for secret in (login.password, login.tenant_code, login.client_secret))


def test_a_twin_in_a_thread():
    thread = TwinThread()
    number = thread.do(lambda twin: twin.enroll("alice@example.org")).number
    login = thread.twin.login
    found = httpx.get(f"{thread.url}{DEVICES}/{number}", auth=(login.user, login.password), headers={"aw-tenant-code": login.tenant_code}, trust_env=False)  # fmt: skip
    assert found.json()["Id"]["Value"] == number
    thread.stop()

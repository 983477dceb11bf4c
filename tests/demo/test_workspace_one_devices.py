"""Devices of the Workspace ONE twin, written as the real one writes them."""

import re
from datetime import timedelta

import pytest
from tests.support.clock import NOON

from gatepost.demo.workspace_one_devices import TwinDevice

DEVICE = TwinDevice(10001, "alice@example.org", NOON, NOON - timedelta(days=1), ["EAS1", "OUT2"], "F2LX", "35")


def test_a_record_has_all_eas_ids_and_times_without_a_zone():
    record = DEVICE.record()
    assert record["EasIds"] == {"EasId": ["EAS1", "OUT2"]}
    assert record["EasId"] == "EAS1"
    assert record["LastSeen"] == "2026-11-02T12:00:00.000"
    assert record["Id"] == {"Value": 10001}
    assert record["CompromisedStatus"] is False


def test_a_row_of_a_listing_has_none():
    assert DEVICE.record().keys() - DEVICE.row().keys() == {"EasIds", "EasId"}


def test_old_versions_lack_fields():
    device = TwinDevice(1, "a@example.org", NOON, NOON, missing=frozenset({"EasIds", "LastSeen"}))
    assert not {"EasIds", "LastSeen"} & device.record().keys()


@pytest.mark.parametrize(("kind", "time"), [("Compliance Status Changed", r"2026-11-02T12:00:00\.\d{7}Z"), ("DeviceEnterpriseWipeRequested", r"/Date\(1793620800000\)/")])  # fmt: skip
def test_an_event_carries_its_time_as_its_kind_does(kind, time):
    assert re.fullmatch(time, DEVICE.event(kind, NOON, 2)["EventTime"])


def test_version_1_ends_with_the_mac_address():
    first, second = (DEVICE.event("Compliance Status Changed", NOON, version) for version in (1, 2))
    assert list(first)[-1] == "MACAddress"
    assert "DeviceUUID" in second.keys() - first.keys()


def test_an_unenrolled_device_has_no_address_in_its_event():
    device = TwinDevice(1, "a@example.org", NOON, NOON, enrollment_status="Unenrolled", compliance_status="Compliant")
    event = device.event("Break MDM Confirmed", NOON, 2)
    assert (event["EnrollmentEmailAddress"], event["ComplianceStatus"], event["EventId"]) == ("", "NotAvailable", 39)

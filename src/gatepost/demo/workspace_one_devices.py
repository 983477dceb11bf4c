"""Devices of the Workspace ONE twin, and how Workspace ONE writes them: records, rows of listings, and events.

Words, shapes and oddities are those of the real one: an event's times have seven fraction digits or are `/Date(ms)/`, a
record's have none of a zone, an unenrolled device's event has no mail address, and one that is being wiped is Compliant.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

_EVENT_IDS = {"MDM Enrollment Complete": 148, "Break MDM Confirmed": 39, "DeviceEnterpriseWipeRequested": 229}
_OF_VERSION_2 = ("DeviceIMEI", "EnrollmentUserId", "AssetNumber", "Platform", "OperatingSystem", "Ownership", "SIMMCC", "CurrentMCC", "OrganizationGroupName", "DeviceUUID", "EnrollmentUserUUID")  # fmt: skip


@dataclass(slots=True)
class TwinDevice:
    """A device as Workspace ONE knows it. `missing` names fields that its record lacks, as old versions' do."""

    number: int
    address: str
    seen: datetime
    enrolled: datetime
    eas_ids: list[str] = field(default_factory=list)
    serial: str = ""
    imei: str = ""
    enrollment_status: str = "Enrolled"
    compliance_status: str = "PendingComplianceCheck"
    compromised: bool = False
    group_id: int = 570
    missing: frozenset[str] = frozenset()

    @property
    def uuid(self) -> str:
        """Its UUID, the same for the same number."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"device {self.number}"))

    @property
    def friendly_name(self) -> str:
        """What people see."""
        return f"{self._user} iPhone iOS 18"

    @property
    def _user(self) -> str:
        return self.address.partition("@")[0]

    def record(self) -> dict[str, Any]:
        """What `GET /api/mdm/devices/{id}` answers."""
        whole = {
            "EasIds": {"EasId": list(self.eas_ids)},
            "TimeZone": "",
            "Udid": f"0000811000{self.number:014X}",
            "SerialNumber": self.serial,
            "MacAddress": "A4B1C2D3E4F5",
            "Imei": self.imei,
            "EasId": self.eas_ids[0] if self.eas_ids else "",
            "AssetNumber": "",
            "DeviceFriendlyName": self.friendly_name,
            "DeviceReportedName": "iPhone",
            "LocationGroupId": {"Id": {"Value": self.group_id}, "Name": "Example"},
            "LocationGroupName": "Example",
            "UserId": {"Id": {"Value": 455010}, "Name": self._user},
            "UserName": self._user,
            "DataProtectionStatus": 0,
            "UserEmailAddress": self.address,
            "Ownership": "E",
            "PlatformId": {"Id": {"Value": 2}, "Name": "Apple"},
            "Platform": "Apple",
            "ModelId": {"Id": {"Value": 1}, "Name": "iPhone"},
            "Model": "iPhone 15",
            "OperatingSystem": "18.1.0",
            "PhoneNumber": "",
            "LastSeen": _milliseconds(self.seen),
            "EnrollmentStatus": self.enrollment_status,
            "ComplianceStatus": self.compliance_status,
            "CompromisedStatus": self.compromised,
            "LastEnrolledOn": _milliseconds(self.enrolled),
            "LastComplianceCheckOn": _milliseconds(self.seen),
            "LastCompromisedCheckOn": "0001-01-01T00:00:00",
            "ComplianceSummary": {"DeviceCompliance": []},
            "IsSupervised": False,
            "ManagedBy": 1,
            "Id": {"Value": self.number},
            "Uuid": self.uuid,
        }
        return {name: value for name, value in whole.items() if name not in self.missing}

    def row(self) -> dict[str, Any]:
        """What a listing has of it: no EAS ids."""
        return {name: value for name, value in self.record().items() if name not in ("EasIds", "EasId")}

    def event(self, kind: str, now: datetime, version: int) -> dict[str, Any]:
        """A notification's body: version 1 ends with the MAC address."""
        unenrolled = self.enrollment_status == "Unenrolled"
        old = kind == "DeviceEnterpriseWipeRequested"
        time = f"/Date({int(now.timestamp() * 1000)})/" if old else now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "3Z"
        whole = {
            "EventId": _EVENT_IDS.get(kind, 178),
            "EventType": kind,
            "DeviceId": str(self.number) if old else self.number,
            "DeviceFriendlyName": self.friendly_name,
            "EnrollmentEmailAddress": "" if unenrolled else self.address,
            "EnrollmentUserName": self._user,
            "EventTime": time,
            "EnrollmentStatus": self.enrollment_status,
            "CompromisedStatus": "Compromised" if self.compromised else "",
            "CompromisedTimeStamp": time,
            "ComplianceStatus": "NotAvailable" if unenrolled else self.compliance_status,
            "PhoneNumber": "",
            "Udid": "System.Byte[]" if old else f"0000811000{self.number:014X}",
            "SerialNumber": self.serial,
            "MACAddress": "System.Byte[]" if old else "A4B1C2D3E4F5",
            "DeviceIMEI": self.imei,
            "EnrollmentUserId": 455010,
            "AssetNumber": "",
            "Platform": "Apple",
            "OperatingSystem": "18.1.0",
            "Ownership": "EmployeeOwned",
            "SIMMCC": "",
            "CurrentMCC": "",
            "OrganizationGroupName": "Example",
            "DeviceUUID": self.uuid,
            "EnrollmentUserUUID": "6d6cf3b4-8f0f-4f7e-8a43-1f0e7d1f6f00",
        }
        return {name: value for name, value in whole.items() if version > 1 or name not in _OF_VERSION_2}


def _milliseconds(moment: datetime) -> str:
    """As in records: UTC without saying so, three fraction digits."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]

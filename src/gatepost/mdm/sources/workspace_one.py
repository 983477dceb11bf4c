"""Omnissa (VMware, AirWatch) Workspace ONE UEM: event notifications, version 1 and 2, and the REST API under `/api/mdm`.

An event says which device to ask about. Its compliance is older than its enrollment status (a device that is being wiped is
reported as Compliant), so nothing else in it counts. The record of the device has its EAS ids, all of them in `EasIds` and
one more time one of them in `EasId`; it loses them when the device is unenrolled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from gatepost.mdm.sources.base import BadNotification, Gone, SourceRefused, SourceUnavailable
from gatepost.mdm.sources.http import LISTING_PATIENCE, HttpClient, document, utc_now
from gatepost.mdm.sources.reading import (
    Unreadable,
    addresses,
    device_ids,
    flag,
    not_after,
    plain_keys,
    read_json,
    text,
    word,
)
from gatepost.mdm.sources.times import parse_time
from gatepost.model import Compliance, Managed, Posture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from gatepost.mdm.sources.base import Condition, Quota
    from gatepost.mdm.sources.http import Access

MANAGED: Mapping[str, Managed] = {
    "enrolled": Managed.YES,
    "discovered": Managed.NO,
    "registered": Managed.NO,
    "enrollmentinprogress": Managed.NO,
    "enterprisewipepending": Managed.NO,
    "devicewipepending": Managed.NO,
    "wipeinitiated": Managed.NO,
    "unenrollmentpending": Managed.NO,
    "retired": Managed.NO,
    "unenrolled": Managed.NO,
    "devicenotfound": Managed.NO,
    "unknown": Managed.UNKNOWN,
}
"""EnrollmentStatus, as `word`s; another is not known."""

COMPLIANCE: Mapping[str, Compliance] = {
    "compliant": Compliance.COMPLIANT,
    "noncompliant": Compliance.NON_COMPLIANT,
    "blocked": Compliance.NON_COMPLIANT,
    "quarantined": Compliance.NON_COMPLIANT,
    "registrationexpired": Compliance.NON_COMPLIANT,
    # Someone let it read mail in Workspace ONE's own gateway, or registered it: it is not said that it complies.
    "allowed": Compliance.NON_COMPLIANT,
    "registrationactive": Compliance.NON_COMPLIANT,
    "pendingcompliancecheck": Compliance.PENDING,
    "pendingcompliancecheckforapolicy": Compliance.PENDING,
    "notavailable": Compliance.NOT_AVAILABLE,
    "notapplicable": Compliance.NOT_AVAILABLE,
    "unknown": Compliance.UNKNOWN,
}
"""ComplianceStatus, as `word`s; another is not known."""

_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_NO_UUID = "00000000-0000-0000-0000-000000000000"
_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class WorkspaceOneConfiguration:
    """One tenant. `access` has the URL of the API server, with or without `/api`, and a BasicLogin or ClientCredentials.

    `tenant_code` is the API key (`aw-tenant-code`), `group_id` the location group (`lgid`) to which listings are limited,
    `page_size` how many devices are asked for at a time (Workspace ONE gives 500 at most).
    """

    name: str
    access: Access
    tenant_code: str = field(repr=False)
    group_id: int | None = None
    page_size: int = 500


class WorkspaceOne:
    """The source. `client` and `now` are parameters for tests."""

    lists = True

    def __init__(
        self,
        configuration: WorkspaceOneConfiguration,
        client: HttpClient | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.name = configuration.name
        self._client = client if client is not None else HttpClient(configuration.name, configuration.access, now=now)
        self._now = now
        self._group_id = configuration.group_id
        self._page_size = configuration.page_size
        self._tenant_code = configuration.tenant_code
        has_path = configuration.access.connection.url.rstrip("/").lower().endswith("/api")
        self._devices = "/mdm/devices" if has_path else "/api/mdm/devices"

    @property
    def quota(self) -> Quota:
        """As of the last answer."""
        return self._client.quota

    @property
    def condition(self) -> Condition:
        """As of now."""
        return self._client.condition

    async def close(self) -> None:
        """End the connections."""
        await self._client.close()

    def device_key_of(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """The number of the device, or its UUID in small letters where the event has no number. Raises BadNotification."""
        if "xml" in headers.get("content-type", "").lower() or body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise BadNotification(
                "the event is XML: choose the format JSON for the event notification in the console", 415
            )
        try:
            event = read_json(body)
        except Unreadable as error:
            raise BadNotification(f"the event cannot be read: {error}") from error
        if not isinstance(event, dict):
            raise BadNotification("the event is not a JSON object")
        fields = plain_keys(event)
        number, uuid = _key(fields.get("deviceid")), _key(fields.get("deviceuuid"))
        return number if number is not None else uuid

    async def fetch(self, device_key: str) -> Posture | Gone:
        """The device's record. An empty answer, which occurs, says nothing: SourceUnavailable."""
        key = _key_to_ask(device_key)
        version = 1 if _NUMBER.fullmatch(key) else 4
        answer = await self._client.get(f"{self._devices}/{quote(key, safe='')}", self._headers(version))
        if answer.status == 404:
            return Gone(self.name, key, self._now())
        record = document(answer)
        if record is None or record == {}:
            raise SourceUnavailable("it answered with nothing, which says nothing of the device")
        if not isinstance(record, dict):
            raise SourceUnavailable("its answer is not the record of a device")
        number, uuid = _identities(record)
        if (number if _NUMBER.fullmatch(key) else uuid) not in (None, key):
            raise SourceUnavailable("it answered with another device than the one that was asked for")
        return posture_of(self.name, record, self._now(), asked=key)

    async def list(self, progress: Callable[[int, int | None], None] | None = None) -> AsyncIterator[str]:
        """All devices by their number, in ascending order, so that new ones come last and shift nothing."""
        seen: set[str] = set()
        for page in range(_MOST_PAGES):
            rows, total = await self._page(page)
            for row in rows:
                key = _row_key(row)
                if key is not None and key not in seen:
                    seen.add(key)
                    yield key
            if progress is not None:
                progress(len(seen), total)
            asked = (page + 1) * self._page_size
            if total is not None and asked >= total:
                return
            if not rows:
                if total is not None and asked - self._page_size < total:
                    raise SourceUnavailable(f"its listing ended after {len(seen)} of {total} devices")
                return
            if total is None and len(rows) < self._page_size:
                return
        raise SourceUnavailable(f"its listing did not end after {_MOST_PAGES} pages")

    async def find(
        self, device_id: str | None = None, *, imei: str | None = None, serial: str | None = None
    ) -> Posture | None:
        """Look up by EAS id, else by IMEI, else by serial number; the record must have what was asked for."""
        if device_id is not None:
            # Ids are compared without regard to case; whether Workspace ONE does so is not documented.
            for spelling in dict.fromkeys((device_id.upper(), device_id.lower())):
                found = await self._found("EasId", spelling)
                if found is not None and device_id.upper() in found.device_ids:
                    return found
            return None
        if imei is not None:
            found = await self._found("ImeiNumber", imei)
            return found if found is not None and word(found.imei or "") == word(imei) else None
        if serial is not None:
            found = await self._found("Serialnumber", serial)
            return found if found is not None and word(found.serial or "") == word(serial) else None
        return None

    async def _found(self, kind: str, value: str) -> Posture | None:
        asked = urlencode({"searchby": kind, "id": value})
        answer = await self._client.get(f"{self._devices}?{asked}", self._headers(1))
        record = document(answer) if answer.status != 404 else None
        if isinstance(record, dict) and isinstance(record.get("Devices"), list):
            record = record["Devices"][0] if len(record["Devices"]) == 1 else None
        if not isinstance(record, dict) or _row_key(record) is None:
            return None
        return posture_of(self.name, record, self._now())

    async def _page(self, page: int) -> tuple[Sequence[Any], int | None]:
        query: dict[str, object] = {
            "pagesize": self._page_size,
            "page": page,
            "orderby": "deviceid",
            "sortorder": "ASC",
        }
        if self._group_id is not None:
            query["lgid"] = self._group_id
        path = f"{self._devices}/search?{urlencode(query)}"
        answer = await self._client.get(path, self._headers(1), patience=LISTING_PATIENCE)
        found = document(answer) if answer.status != 404 else None
        if found is None and page > 0:
            return [], None
        if not isinstance(found, dict) or not isinstance(found.get("Devices"), list):
            raise SourceUnavailable("its answer is not a page of devices")
        total = found.get("Total")
        return found["Devices"], total if isinstance(total, int) and not isinstance(total, bool) else None

    def _headers(self, version: int) -> dict[str, str]:
        return {"accept": f"application/json;version={version}", "aw-tenant-code": self._tenant_code}


def posture_of(source: str, record: Mapping[str, Any], now: datetime, *, asked: str = "") -> Posture:
    """What a device's record says; `asked` is its key where the record has no number. What it does not say is unknown."""
    fields = plain_keys(record)
    number, uuid = _identities(record)
    ids = fields.get("easids")
    listed = plain_keys(ids).get("easid") if isinstance(ids, dict) else ids
    return Posture(
        source=source,
        device_key=number or asked or uuid or "",
        managed=MANAGED.get(word(fields.get("enrollmentstatus")), Managed.UNKNOWN),
        compliance=COMPLIANCE.get(word(fields.get("compliancestatus")), Compliance.UNKNOWN),
        compromised=flag(fields.get("compromisedstatus")),
        user_addresses=addresses(fields.get("useremailaddress")),
        device_ids=device_ids([listed, fields.get("easid")]),
        serial=_hardware(fields.get("serialnumber")),
        imei=_hardware(fields.get("imei")),
        friendly_name=text(fields.get("devicefriendlyname")),
        state_time=not_after(parse_time(fields.get("lastseen")), now),
        observed_at=now,
        other_key=uuid if number else None,
    )


def _hardware(value: object) -> str | None:
    """A serial number or IMEI; old versions write the name of a type where they have none."""
    found = text(value)
    return None if found is None or found == "System.Byte[]" else found


def _identity(value: object) -> str | None:
    """A device's number or UUID in one spelling; None for anything else."""
    if isinstance(value, dict):
        value = value.get("Value", value.get("value"))
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    said = str(value).strip().lower() if not isinstance(value, int) or 0 <= value < 10**18 else ""
    if _NUMBER.fullmatch(said):
        return said.lstrip("0") or None
    return said if _UUID.fullmatch(said) and said != _NO_UUID else None


def _key(value: object) -> str | None:
    """The device that an event names; None where it names none. Raises BadNotification where it names what is none."""
    if value is None or value in ("", 0, "0", _NO_UUID) or (isinstance(value, str) and not value.strip()):
        return None
    found = _identity(value)
    if found is None:
        raise BadNotification("the event's device id is neither a number of at most 18 digits nor a UUID")
    return found


def _key_to_ask(device_key: str) -> str:
    found = _identity(device_key)
    if found is None:
        raise SourceRefused("that is not the key of a device in Workspace ONE")
    return found


def _identities(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The number and the UUID of a record, each None where it has none."""
    fields = plain_keys(record)
    said = [_identity(fields.get(name)) for name in ("id", "deviceid", "uuid", "deviceuuid")]
    number = next((one for one in said[:2] if one is not None and _NUMBER.fullmatch(one)), None)
    return number, next((one for one in said[2:] if one is not None and _UUID.fullmatch(one)), None)


def _row_key(row: object) -> str | None:
    """The key of a row of a listing: its number, else its UUID."""
    number, uuid = _identities(row) if isinstance(row, dict) else (None, None)
    return number or uuid

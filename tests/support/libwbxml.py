"""An independent reader and writer of WBXML: libwbxml's `wbxml2xml` and `xml2wbxml` (Debian's libwbxml2-utils 0.11.8).

What it does differently is listed here, name by name and case by case, each with its reason, and
tests/wire/wbxml/test_libwbxml.py fails when an entry is missing or has become stale.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from dataclasses import dataclass
from xml.sax.saxutils import escape

from gatepost.wire.wbxml import Element
from gatepost.wire.wbxml.codepages import NAMES

MISSING_PROGRAM = shutil.which("wbxml2xml") is None or shutil.which("xml2wbxml") is None

# -- names: libwbxml follows MS-ASWBXML r8.0 (2012) and the names of protocol 2.5 before it; we follow the current one.

_SHORTER_ADDRESSES = {
    f"Contacts:{kind}Address{part}": f"Contacts:{kind}{part}"
    for kind in ("Business", "Home", "Other")
    for part in ("City", "Country", "PostalCode", "State", "Street")
}
_RECURRENCE = ("Type", "Until", "Occurrences", "Interval", "DayOfWeek", "DayOfMonth", "WeekOfMonth", "MonthOfYear")
_LONGER_RECURRENCES = {
    f"{page}:{part}": f"{page}:Recurrence_{part}"
    for page, parts in (
        ("Email", _RECURRENCE),
        ("Calendar", _RECURRENCE),
        ("Tasks", (*_RECURRENCE, "Start", "Regenerate", "DeadOccur")),
    )
    for part in parts
}
_GAL = {name: name.replace("GAL:", "Gal:") for name in NAMES.values() if name.startswith("GAL:")}

RENAMED: dict[str, str] = {
    **_SHORTER_ADDRESSES,  # names of protocol 2.5
    **_LONGER_RECURRENCES,  # names of protocol 2.5, which prefixed what stands inside of Recurrence
    **_GAL,  # the namespace in the schemas is `GAL`
    # names of protocol 2.5
    "Contacts:AssistantPhoneNumber": "Contacts:AssistantTelephoneNumber",
    "Email:ReplyTo": "Email:Reply-To",
    "Email:DtStamp": "Email:DTStamp",
    "Email:Status": "Email:FlagStatus",
    "Calendar:Timezone": "Calendar:TimeZone",
    "Calendar:DtStamp": "Calendar:DTStamp",
    "Calendar:Email": "Calendar:Attendee_Email",
    "Calendar:Name": "Calendar:Attendee_Name",
    "Calendar:AttendeeStatus": "Calendar:Attendee_Status",
    "Calendar:AttendeeType": "Calendar:Attendee_Type",
    "Calendar:Deleted": "Calendar:Exception_Deleted",
    "Calendar:ExceptionStartTime": "Calendar:Exception_StartTime",
    "Calendar:OrganizerEmail": "Calendar:Organizer_Email",
    "Calendar:OrganizerName": "Calendar:Organizer_Name",
    "Tasks:UtcDueDate": "Tasks:UTCDueDate",
    "Tasks:UtcStartDate": "Tasks:UTCStartDate",
    # spelled otherwise in r8.0 than in today's schemas
    "ValidateCert:CheckCrl": "ValidateCert:CheckCRL",
    "Settings:SMTPAddress": "Settings:SmtpAddress",
    "ComposeMail:Mime": "ComposeMail:MIME",
    "RightsManagement:Owner": "RightsManagement:RMOwner",
    "RightsManagement:RemoveRightsManagementProtection": "RightsManagement:RemoveRightsManagementDistribution",
    "Provision:RequireStorageCardEncryption": "Provision:DeviceEncryptionEnabled",
    # a slip of libwbxml's
    "Settings:RightsManagementInformation": "Settings:ihsManagementInformation",
}
"""Same token, another name: ours, libwbxml's."""

UNKNOWN_THERE = frozenset(
    {
        *(name for name in NAMES.values() if name.startswith("Find:")),  # page 25 came with protocol 16.1
        "MeetingResponse:ProposedStartTime",  # 16.1
        "MeetingResponse:ProposedEndTime",  # 16.1
        "Provision:AccountOnlyRemoteWipe",  # 16.1
        "Ping:Version",  # in no published schema; seen in tables of servers
    }
)
"""Ours that libwbxml has no token for; it writes all of them as `unknown`."""

# elements of protocol 2.5 that later ones do without; MS-ASWBXML leaves them out
_NOT_IN_THE_TABLES = {
    "AirSync": "19=Truncation 1A=RTFTruncation",
    "Contacts": "09=Body 0A=BodySize 0B=BodyTruncated 3B=CompressedRTF",
    "Email": (
        "05=Attachment 06=Attachments 07=AttName 08=AttSize 09=AttOId 0A=AttMethod 0B=AttRemoved 0C=Body 0D=BodySize "
        "0E=BodyTruncated 10=DisplayName 36=MIMEData 37=MIMETruncated 38=MIMESize"
    ),
    "Calendar": "0B=Body 0C=BodyTruncated 10=Compressed_RTF",
    "GetItemEstimate": "06=Version 0B=DateTime",
    "FolderHierarchy": "0B=Response 0D=ContentClass 18=Version",
    "MeetingResponse": "0D=Version",
    "Tasks": "05=Body 06=BodySize 07=BodyTruncated 21=CompressedRTF",
    "Ping": "06=AutdState",
    "Search": "1C=Schema 1D=Supported",
}
# page 3, notifications by text message: "this code page is no longer in use" (MS-ASWBXML 2.1.2.1.4)
_AIR_NOTIFY = (
    "05=Notify 06=Notification 07=Version 08=LifeTime 09=DeviceInfo 0A=Enable 0B=Folder 0C=ServerId 0D=DeviceAddress "
    "0E=ValidCarrierProfiles 0F=CarrierProfile 10=Status 11=Responses 12=Devices 13=Device 14=Id 15=Expiry "
    "16=NotifyGUID 17=DeviceFriendlyName"
)

UNKNOWN_HERE: dict[str, str] = {
    f"{page}:0x{pair[:2]}": f"{page}:{pair[3:]}" for page, pairs in _NOT_IN_THE_TABLES.items() for pair in pairs.split()
} | {f"0x03:0x{pair[:2]}": f"AirNotify:{pair[3:]}" for pair in _AIR_NOTIFY.split()}
"""libwbxml's that are in no table of ours, by the name that we give to such tokens."""

BINARY = frozenset(
    {
        "ResolveRecipients:Data",
        "Search:ConversationId",
        "GAL:Data",
        "AirSyncBase:Content",
        "ItemOperations:ConversationId",
        "ComposeMail:Mime",
        "Email2:ConversationId",
        "Email2:ConversationIndex",
    }
)
"""Elements whose value libwbxml takes for bytes: base64 in XML, OPAQUE in WBXML, however it came.

Everywhere else it takes a value for text, however it came, and writes STR_I. We keep what came: a value is text if it
came in STR_I and opaque if it came in OPAQUE, in whatever element.
"""


def takes_for_syncml(element: Element) -> bool:
    """Whether there is a `Data` two levels below an `Add`, of whatever pages.

    libwbxml takes that for a vCard of SyncML (`wbxml_tree_node_get_syncml_data_type`): it writes a CDATA section into
    XML, makes CR LF of each line's end, and does not read base64. No schema of ActiveSync has it: `AirSyncBase:Data` is
    three levels below `AirSync:Add` at least.
    """
    if element.name.endswith(":Add"):
        below = [inner for child in element.children for inner in child.children]
        if any(inner.name.endswith(":Data") for inner in below):
            return True
    return any(takes_for_syncml(child) for child in element.children)


# -- the programs

DOCUMENT_TYPE = (
    b'<?xml version="1.0"?><!DOCTYPE ActiveSync PUBLIC "-//MICROSOFT//DTD ActiveSync//EN" "http://www.microsoft.com/">'
)


class Refused(Exception):
    """The program would not read it; the message is its own."""


def _run(command: tuple[str, ...], data: bytes) -> bytes:
    done = subprocess.run([*command, "-o", "-", "-"], input=data, capture_output=True, timeout=20, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout


def wbxml2xml(document: bytes) -> bytes:
    """WBXML as XML, white space kept, nothing indented. Raises Refused."""
    return _run(("wbxml2xml", "-m", "0", "-k", "-l", "ACTIVESYNC"), document)


def xml2wbxml(document: bytes) -> bytes:
    """XML as WBXML 1.3 with the header that ActiveSync has: no string table, no public id. Raises Refused."""
    return _run(("xml2wbxml", "-k", "-n", "-a", "-v", "1.3"), document)


# -- comparing


@dataclass(frozen=True)
class Node:
    """An element as XML has it: no difference between nothing and an empty value, or between text and bytes."""

    name: str
    children: tuple[Node, ...] = ()
    value: bytes = b""


def name_there(name: str) -> str:
    """What libwbxml calls our `name`; `unknown` is its word for everything it does not know, in whatever namespace."""
    if name in UNKNOWN_THERE:
        return "unknown"
    if re.search(r":0x[0-9A-F]{2}$", name):
        return UNKNOWN_HERE.get(name, "unknown")
    return RENAMED.get(name, name)


def node_of(element: Element) -> Node:
    """What libwbxml must make of `element`."""
    return _node_of(element, "", hidden=False)


def _node_of(element: Element, page_around: str, *, hidden: bool) -> Node:
    """`hidden`: the namespace of the element around is not written.

    libwbxml writes a namespace where it differs from the one around, but never directly inside of `unknown`, so that
    the pages of its children, and of theirs while they stay on that page, cannot be seen in the XML.
    """
    name = name_there(element.name)
    page = element.name.partition(":")[0]
    hidden = hidden and page_around in {"", page}
    value = element.opaque if element.opaque is not None else (element.text or "").encode()
    if element.name in BINARY:
        value = base64.b64encode(value)
    inside = ("", True) if name == "unknown" else (page, hidden)
    return Node(
        f"?:{name.partition(':')[2]}" if hidden and name != "unknown" else name,
        tuple(_node_of(child, inside[0], hidden=inside[1]) for child in element.children),
        value,
    )


_TOKEN = re.compile(rb'<(/?)([\w.-]+)(?: xmlns="([\w.-]+):")?(/?)>|([^<]+)')
_ENTITIES = {b"lt": b"<", b"gt": b">", b"amp": b"&", b"quot": b'"', b"apos": b"'"}


def read_xml(document: bytes) -> Node:
    """What `wbxml2xml` wrote. Not an XML parser, because it writes what XML cannot say: control characters, raw bytes."""
    if not document.startswith(DOCUMENT_TYPE):
        raise Refused(f"unexpected beginning: {document[:200]!r}")
    stack: list[tuple[str, list[Node], list[bytes], str]] = [("", [], [], "")]
    at = len(DOCUMENT_TYPE)
    while at < len(document):
        found = _TOKEN.match(document, at)
        assert found is not None, document[at : at + 80]
        at = found.end()
        end, name, namespace, empty, text = found.groups()
        if text is not None:
            stack[-1][2].append(re.sub(rb"&(\w+);", lambda entity: _ENTITIES[entity[1]], text))
            continue
        if not end:
            page = namespace.decode() if namespace else stack[-1][3]
            if name == b"unknown":
                stack.append(("unknown", [], [], "?"))
            else:
                stack.append((f"{page}:{name.decode()}", [], [], page))
        if end or empty:
            closed, children, values, _ = stack.pop()
            assert closed == "unknown" or closed.endswith(f":{name.decode()}")
            stack[-1][1].append(Node(closed, tuple(children), b"".join(values)))
    (root,) = stack[0][1]
    return root


def write_xml(node: Node) -> bytes:
    """XML for `xml2wbxml`; the value must be text that XML can carry."""
    return DOCUMENT_TYPE + _xml(node).encode()


def _xml(node: Node) -> str:
    page, _, local = node.name.partition(":")
    # A carriage return must be written as a reference: XML would take it for the end of a line.
    inside = "".join(map(_xml, node.children)) + escape(node.value.decode(), {"\r": "&#13;"})
    return f'<{local} xmlns="{page}:">{inside}</{local}>'


def came_back(element: Element) -> Element:
    """What `element` is after its way through XML and `xml2wbxml`."""
    if element.children:
        return Element(element.name, tuple(came_back(child) for child in element.children))
    value = element.opaque if element.opaque is not None else (element.text or "").encode()
    if not value:
        return Element(element.name)
    return Element(element.name, opaque=value) if element.name in BINARY else Element(element.name, text=value.decode())

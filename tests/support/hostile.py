"""The corpus of hostile requests, `tests/conformance/hostile/*.toml`, as bytes and expectations.

What may be written in a case is described in the README beside the files.
"""

from __future__ import annotations

import base64
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.secrets import password

CORPUS = Path(__file__).parent.parent / "conformance" / "hostile"
ALICE, ALICE_PASSWORD = "alice@example.com", password("alice's mailbox")
ALLOWED, BOBS = "ALLOWED1", "BOBPHON1"
"""The device that alice may use, and the one that bob may; every other device of either is denied."""
DIRECT, GATEWAY = "/SOGo/Microsoft-Server-ActiveSync", "/Microsoft-Server-ActiveSync"

BODIES = {
    "FolderSync": "03016A00 0007 56 52 03'0'00 01 01",
    "Sync": "03016A00 45 5C 4F 4B 03'0'00 01 52 03'1'00 01 01 01 01",
    "Ping": "03016A00 000D 45 48 03'60'00 01 01",
    "Provision": "03016A00 000E 45 46 47 48 03'MS-EAS-Provisioning-WBXML'00 01 01 01 01",
    "Settings": "03016A00 0012 45 56 48 57 03'iPhone'00 01 01 01 01",
    "SendMail": "03016A00 0015 45 51 03'1'00 01 50 C3 0E 'Subject: x' 0D0A0D0A 01 01",
    "SmartForward": "03016A00 0015 46 51 03'1'00 01 50 C3 0E 'Subject: x' 0D0A0D0A 01 01",
    "SmartReply": "03016A00 0015 47 51 03'1'00 01 50 C3 0E 'Subject: x' 0D0A0D0A 01 01",
    "FolderCreate": "03016A00 0007 53 52 03'1'00 01 49 03'0'00 01 47 03'x'00 01 4A 03'12'00 01 01",
    "FolderDelete": "03016A00 0007 54 52 03'1'00 01 48 03'x'00 01 01",
    "FolderUpdate": "03016A00 0007 55 52 03'1'00 01 48 03'x'00 01 49 03'0'00 01 47 03'y'00 01 01",
    "MoveItems": "03016A00 0005 45 46 47 03'1'00 01 48 03'x'00 01 49 03'y'00 01 01 01",
    "GetItemEstimate": "03016A00 0006 45 47 48 4A 03'x'00 01 01 01 01",
    "MeetingResponse": "03016A00 0008 47 49 4C 03'1'00 01 46 03'x'00 01 48 03'1'00 01 01 01",
    "Search": "03016A00 000F 45 47 48 03'GAL'00 01 49 03'alice'00 01 4A 4B 03'0-9'00 01 01 01 01",
    "ItemOperations": "03016A00 0014 45 46 47 03'Mailbox'00 01 01 01",
    "ResolveRecipients": "03016A00 000A 45 50 03'alice'00 01 01",
    "ValidateCert": "03016A00 000B 45 47 48 03'MAA='00 01 01 01",
    "Find": "03016A00 0019 45 46 03'1'00 01 01",
}
"""A small document of each command, in the notation for bytes."""

_HEADERS = (
    "Host: gate.example.com",
    "Authorization: Basic {login:alice@example.com}",
    "MS-ASProtocolVersion: {version}",
    "User-Agent: Hostile/1.0",
    "Content-Type: application/vnd.ms-sync.wbxml",
)
_QUERY = "Cmd={command}&User=alice%40example.com&DeviceId={evil}&DeviceType=iPhone"
_KEYS = {"name", "why", "expect", "raw", "method", "path", "query", "http", "version", "command", "body", "length"}
_KEYS |= {"without", "before", "headers", "queries", "bodies", "raws", "targets", "lines", "https", "commands"}
_LISTS = {
    "queries": "query",
    "bodies": "body",
    "raws": "raw",
    "targets": "path",
    "lines": "headers",
    "https": "http",
    "commands": "command",
}
_PLACE = re.compile(r"\{([a-z0-9]+|[A-Z][A-Za-z]+)(?::([^{}]*))?\}")
_BYTES = re.compile(r"'([^']*)'|([0-9A-Fa-f]{2})|[\s|]+")


@dataclass(frozen=True)
class Outcome:
    """What the gateway answers to one request.

    `kind` is `status` (refused as it stands, nothing reaches the mail server), `denied` (read, and refused in the words of
    its command: `device_id`, `reason`), `forwarded` (`query` is what arrives; empty for OPTIONS) or `nothing`.
    """

    kind: str
    status: int = 0
    device_id: str = ""
    reason: str = ""
    query: str = ""


@dataclass(frozen=True)
class Case:
    """One case: `direct` are the bytes for the mail server, `hostile` those for the gateway, which has another path."""

    group: str
    name: str
    why: str
    evil: str
    hostile: bytes
    direct: bytes
    version: str
    expected: tuple[Outcome, ...]

    @property
    def id(self) -> str:
        """For pytest, and for finding it again."""
        return f"{self.group}: {self.name}"


@cache
def load_cases() -> tuple[Case, ...]:
    """Every case, in the order of the files."""
    cases: list[Case] = []
    for path in sorted(CORPUS.glob("*.toml")):
        written = tomllib.loads(path.read_text())
        unknown = written.keys() - {"about", "case"}
        if unknown:
            raise ValueError(f"{path.name} has {unknown}")
        for raw in written["case"]:
            for one in _variants(raw):
                try:
                    cases.append(_case(path.stem, one, f"EVIL{len(cases):04}"))
                except (ValueError, KeyError) as error:
                    raise ValueError(f"{path.name}: `{one.get('name')}`: {error}") from error
    twice = {case.id for case in cases if [other.id for other in cases].count(case.id) > 1}
    if twice:
        raise ValueError(f"two cases of one name: {twice}")
    return tuple(cases)


def _variants(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """The cases of an entry: several where a part of it is a table of name → value, or a list of values."""
    unknown = raw.keys() - _KEYS
    if unknown:
        raise ValueError(f"`{raw.get('name')}` has {unknown}")
    for several, one in _LISTS.items():
        if several in raw:
            rest = {key: value for key, value in raw.items() if key != several}
            values = raw[several] if isinstance(raw[several], dict) else {value: value for value in raw[several]}
            return [
                {**rest, "name": f"{raw['name']}: {variant}", one: [value] if one == "headers" else value}
                for variant, value in values.items()
            ]
    return [raw]


def _case(group: str, raw: dict[str, Any], evil: str) -> Case:
    values = {
        "evil": evil,
        "allowed": ALLOWED,
        "bobs": BOBS,
        "version": raw.get("version", "14.1"),
        "command": raw.get("command", "FolderSync"),
    }
    expected = raw["expect"] if isinstance(raw["expect"], list) else [raw["expect"]]
    made = [_request(raw, values | {"path": path}) for path in (GATEWAY, DIRECT)]
    outcomes = tuple(_outcome(fill(one, values).decode("latin-1")) for one in expected)
    return Case(group, raw["name"], raw["why"], evil, *made, values["version"], outcomes)


def _outcome(text: str) -> Outcome:
    kind, _, rest = text.partition(" ")
    if kind.isdigit():
        return Outcome("status", int(kind))
    if kind == "denied":
        device_id, _, reason = rest.partition(" ")
        return Outcome("denied", device_id=device_id, reason=reason or "MobileDeviceAccessRule")
    if kind in {"forwarded", "nothing"}:
        return Outcome(kind, query=rest)
    raise ValueError(f"`{text}` is not an expectation")


def _request(raw: dict[str, Any], values: dict[str, str]) -> bytes:
    if "raw" in raw:
        return fill(raw["raw"], values)
    body = fill(raw.get("body", "{" + values["command"] + "}"), values)
    without = {name.lower() for name in raw.get("without", ())}
    lines = [*raw.get("before", ()), *(line for line in _HEADERS if line.partition(":")[0].lower() not in without)]
    lines += raw.get("headers", ())
    if "content-length" not in without:
        lines.append(f"Content-Length: {raw.get('length', len(body))}")
    query = raw.get("query", _QUERY)
    target = raw.get("path", "{path}") + ("?" + query if query else "")
    first = f"{raw.get('method', 'POST')} {target} {raw.get('http', 'HTTP/1.1')}"
    return fill("\r\n".join([first, *lines, "", ""]), values) + body


def fill(text: str, values: dict[str, str]) -> bytes:
    """`text` as bytes (Latin-1) with its placeholders replaced."""
    out = bytearray()
    at = 0
    for found in _PLACE.finditer(text):
        out += text[at : found.start()].encode("latin-1")
        out += _place(found[1], found[2], values)
        at = found.end()
    return bytes(out + text[at:].encode("latin-1"))


def _place(name: str, argument: str | None, values: dict[str, str]) -> bytes:
    if argument is None:
        if name in BODIES:
            return notation(BODIES[name])
        return values[name].encode("latin-1")
    if name == "times":
        count, _, what = argument.partition(" ")
        return what.encode("latin-1") * int(count)
    if name == "login":
        return base64.b64encode(f"{argument}:{ALICE_PASSWORD}".encode("latin-1"))
    if name == "request":
        return _request({"query": _QUERY.replace("{evil}", values.get(argument, argument))}, values)
    raw = notation(argument.replace("EVIL", values["evil"]).replace("PASSWORD", ALICE_PASSWORD))
    if name == "bytes":
        return raw
    encoded = base64.b64encode(raw)
    if name == "base64url":
        return base64.urlsafe_b64encode(raw)
    if name == "unpadded":
        return encoded.rstrip(b"=")
    if name == "base64":
        return encoded
    raise ValueError(f"`{name}` is not a placeholder")


def notation(text: str) -> bytes:
    """Bytes as they are written in the corpus: hexadecimal digits, 'text', blanks and bars between them."""
    out = bytearray()
    at = 0
    while at < len(text):
        found = _BYTES.match(text, at)
        if found is None:
            raise ValueError(f"`{text[at:]}` is not bytes")
        if found[1] is not None:
            out += found[1].encode("latin-1")
        elif found[2] is not None:
            out += bytes.fromhex(found[2])
        at = found.end()
    return bytes(out)

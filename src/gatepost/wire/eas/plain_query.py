"""The plain form: `Cmd=Sync&User=…&DeviceId=…&DeviceType=…` (MS-ASHTTP 2.2.1.1.1.2).

Names in any case and any order, each once. A parameter that no specification has is dropped: no server needs it, and
what we do not understand we do not vouch for.

`+` is a plus sign, as in RFC 3986 (not a blank, as in HTML forms), and is rendered `%2B`, which every server reads
alike.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from gatepost.wire.eas.commands import VERSIONS
from gatepost.wire.eas.query import (
    CORE,
    DEVICE_ID_LIMIT,
    PARAMETERS,
    EasRequest,
    MalformedRequest,
    QueryForm,
    command_name,
    device_type_of,
    parameters_of,
    quoted,
    user_of,
)

_NAMES = {name.encode(): name for name in (*CORE, *PARAMETERS)}
_NAMES |= {name.lower().encode(): name for name in (*CORE, *PARAMETERS)}
_VERSIONS = {version.encode(): version for version in VERSIONS}
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def parse_plain(query: bytes, protocol_version: bytes | None, policy_key: bytes | None) -> EasRequest:
    """The request that `query` and its two headers describe; raises MalformedRequest."""
    found = _parameters(query)
    sent_device_id = _required(found, "DeviceId")
    if not sent_device_id.isalnum() or len(sent_device_id) > DEVICE_ID_LIMIT:
        raise MalformedRequest("`DeviceId` is not 1 to 32 letters and digits")
    device_id = sent_device_id.decode().upper()
    return EasRequest(
        command_name(_required(found, "Cmd")),
        device_id,
        (device_id,),
        device_type_of(_required(found, "DeviceType")),
        user_of(_utf8(found.get("User", b""))),
        _version(protocol_version),
        _policy_key(policy_key),
        QueryForm.PLAIN,
        parameters_of(found) if len(found) > len(CORE) or "User" not in found else (),
        sent_device_id,
    )


def unescape(value: bytes) -> bytes:
    """`value` without its percent-encoding; raises MalformedRequest where that is broken."""
    if b"%" not in value:
        return value
    if _BROKEN_ESCAPE.search(value):
        raise MalformedRequest("the query has a broken percent-encoding")
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), value)


def render_plain(request: EasRequest) -> bytes:
    """The plain query for `request`."""
    pairs = [("Cmd", request.command)]
    if request.user is not None:
        pairs.append(("User", request.user))
    pairs.append(("DeviceId", request.sent_device_id.decode()))
    pairs.append(("DeviceType", request.device_type))
    pairs.extend(request.parameters)
    return "&".join([f"{name}={_escape(value)}" for name, value in pairs]).encode()


def _escape(value: str) -> str:
    return value if value.isalnum() and value.isascii() else quote(value, safe="")


def _parameters(query: bytes) -> dict[str, bytes]:
    """The decoded value of each known parameter."""
    found: dict[str, bytes] = {}
    for component in query.split(b"&"):
        written, equals, value = component.partition(b"=")
        name = _NAMES.get(written) or _NAMES.get(written.lower())
        if name is None:
            _check_unknown(written, equals, value)
        elif name in found:
            raise MalformedRequest(f"the query has `{name}` twice")
        else:
            found[name] = unescape(value)
    return found


def _check_unknown(written: bytes, equals: bytes, value: bytes) -> None:
    """Raise for a parameter that is not merely unknown: a disguised name, or a piece of a base64 query."""
    if not equals or not written:
        raise MalformedRequest("the query is neither `name=value&…` nor base64")
    if b"%" in written:
        raise MalformedRequest("the query has a percent-encoded parameter name")
    if not value.strip(b"="):
        raise MalformedRequest(f"`{quoted(written)}` is neither a parameter with a value nor a base64 query")


def _required(found: dict[str, bytes], name: str) -> bytes:
    value = found.get(name)
    if not value:
        raise MalformedRequest(f"the query has no `{name}`")
    return value


def _utf8(user: bytes) -> bytes:
    """A login as UTF-8: some desktop clients write it in Latin-1."""
    try:
        user.decode()
    except UnicodeDecodeError:
        return user.decode("latin-1").encode()
    return user


def _version(header: bytes | None) -> str:
    if header is None:
        raise MalformedRequest("the header MS-ASProtocolVersion is missing")
    version = _VERSIONS.get(header.strip())
    if version is None:
        raise MalformedRequest(f"`{quoted(header)}` is not a protocol version; use one of {', '.join(VERSIONS)}")
    return version


def _policy_key(header: bytes | None) -> int | None:
    digits = header.strip() if header is not None else b""
    if not digits:
        return None
    if not digits.isdigit() or len(digits) > 10 or int(digits) > 0xFFFFFFFF:
        raise MalformedRequest("the header X-MS-PolicyKey is not a number of 32 bits")
    return int(digits)

"""The base64 form (MS-ASHTTP 2.2.1.1.1.1), from protocol 12.1 on.

Bytes: protocol version, command code, locale (2, little-endian), device id, policy key (0 or 4, little-endian) and
device type, these three with their length in front, then parameters of tag, length and value.
"""

from __future__ import annotations

import binascii

from gatepost.wire.eas.commands import COMMAND_CODES, COMMANDS
from gatepost.wire.eas.plain_query import unescape
from gatepost.wire.eas.query import (
    DEVICE_ID_LIMIT,
    SWITCHES,
    EasRequest,
    MalformedRequest,
    QueryForm,
    UnknownCommand,
    device_type_of,
    parameters_of,
    user_of,
)

_VERSIONS = {121: "12.1", 140: "14.0", 141: "14.1", 160: "16.0", 161: "16.1"}
_VERSION_CODES = {version: code for code, version in _VERSIONS.items()}
_TAGS = {0: "AttachmentName", 1: "CollectionId", 3: "ItemId", 4: "LongId", 6: "Occurrence", 7: "Options", 8: "User"}
_TAG_CODES = {name: tag for tag, name in _TAGS.items()}
_SWITCH_BITS = dict(zip(SWITCHES, (0x01, 0x02), strict=True))
_GUID_LENGTH = 16


def parse_base64(query: bytes) -> EasRequest:
    """The request that `query` describes; raises MalformedRequest."""
    fields = _Fields(_base64(query))
    version = _VERSIONS.get(fields.byte())
    if version is None:
        raise MalformedRequest("the base64 query has no known protocol version")
    code = fields.byte()
    command = COMMAND_CODES.get(code)
    if command is None:
        raise UnknownCommand(f"`{code}` is not a command code of ActiveSync")
    locale = int.from_bytes(fields.take(2), "little")
    sent_device_id = fields.counted()
    key = fields.counted()
    if len(key) not in (0, 4):
        raise MalformedRequest("the policy key in the base64 query has neither 0 nor 4 bytes")
    device_type = fields.counted()
    device_ids = _binary_device_ids(sent_device_id)
    user, parameters = _tagged_parameters(fields)
    return EasRequest(
        command,
        device_ids[0],
        device_ids,
        device_type_of(device_type),
        user,
        version,
        int.from_bytes(key, "little") if key else None,
        QueryForm.BASE64,
        parameters,
        sent_device_id,
        locale,
    )


def _base64(query: bytes) -> bytes:
    """The bytes in `query`: the standard alphabet, perhaps percent-encoded, with or without its padding."""
    text = unescape(query).rstrip(b"=")
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        raise MalformedRequest("the query is neither `name=value&…` nor base64") from None


class _Fields:
    """Reads the fields of a base64 query one after the other."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def left(self) -> bool:
        """True while there is something to read."""
        return self._at < len(self._data)

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self._at + length
        if end > len(self._data):
            raise MalformedRequest("the base64 query ends in the middle of a field")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def counted(self) -> bytes:
        """The next field that has its length in front."""
        return self.take(self.byte())


def _binary_device_ids(sent: bytes) -> tuple[str, ...]:
    """The names of a device that sent these bytes, canonical first.

    "A string or a GUID", says the specification, and servers disagree: SOGo, Z-Push and Horde list the bytes in
    hexadecimal, others take them for text. Letters and digits are text here, and up to the length of a GUID the
    hexadecimal form is a second name; other bytes have the hexadecimal form only.
    """
    hexadecimal = sent.hex().upper()
    if sent.isalnum() and len(sent) <= DEVICE_ID_LIMIT:
        text = sent.decode().upper()
        return (text, hexadecimal) if len(sent) <= _GUID_LENGTH else (text,)
    if not sent or len(sent) > _GUID_LENGTH:
        raise MalformedRequest("the device id in the base64 query is neither 1 to 32 letters and digits nor a GUID")
    return (hexadecimal,)


def _tagged_parameters(fields: _Fields) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """User and the command parameters in order (MS-ASHTTP 2.2.1.1.1.1.3)."""
    found: dict[str, bytes] = {}
    while fields.left():
        tag = fields.byte()
        name = _TAGS.get(tag)
        if name is None:
            raise MalformedRequest(f"`{tag}` is not a parameter tag of the base64 query")
        if name in found:
            raise MalformedRequest(f"the base64 query has `{name}` twice")
        found[name] = fields.counted()
    options = found.pop("Options", b"\0")
    if len(options) != 1:
        raise MalformedRequest("`Options` in the base64 query is not one byte")
    user = found.pop("User", b"")
    found |= {switch: b"T" for switch, bit in _SWITCH_BITS.items() if options[0] & bit}
    return user_of(user), parameters_of(found)


def render_base64(request: EasRequest) -> bytes:
    """The base64 query for `request`."""
    key = request.policy_key.to_bytes(4, "little") if request.policy_key is not None else b""
    out = bytearray((_VERSION_CODES[request.protocol_version], COMMANDS[request.command].code))
    out += request.locale.to_bytes(2, "little")
    for value in (request.sent_device_id, key, request.device_type.encode()):
        out += _counted(value)
    options = 0
    tagged: list[tuple[int, bytes]] = []
    for name, text in request.parameters:
        if name in _SWITCH_BITS:
            options |= _SWITCH_BITS[name]
        else:
            tagged.append((_TAG_CODES[name], text.encode()))
    if options:
        tagged.append((_TAG_CODES["Options"], bytes((options,))))
    if request.user is not None:
        tagged.append((_TAG_CODES["User"], request.user.encode()))
    for tag, value in tagged:
        out.append(tag)
        out += _counted(value)
    return binascii.b2a_base64(bytes(out), newline=False)


def _counted(value: bytes) -> bytes:
    return bytes((len(value),)) + value

"""What both forms of a query have in common: the values, the limits, and what is malformed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gatepost.wire.eas.commands import COMMANDS

QUERY_LIMIT: Final = 4096
"""Bytes. Real queries have under 300; only GetAttachment's names grow with folder and item ids."""
VALUE_LIMIT: Final = 1024
"""Bytes of one decoded value."""
IDENTITY_LIMIT: Final = 256
"""Characters of User and DeviceType: WorkMail's rules cannot name more."""
DEVICE_ID_LIMIT: Final = 32
"""Characters (MS-ASHTTP 2.2.1.1.1.2.3)."""

CORE: Final = ("Cmd", "User", "DeviceId", "DeviceType")
"""The parameters of every plain query, in the order of the specification."""
PARAMETERS: Final = (
    "AttachmentName",
    "CollectionId",
    "ItemId",
    "LongId",
    "Occurrence",
    "SaveInSent",
    "AcceptMultiPart",
)
"""The command parameters, in the order in which they are rendered."""
SWITCHES: Final = ("SaveInSent", "AcceptMultiPart")
"""Those that are `T` or off."""

_COMMANDS = {name.encode(): name for name in COMMANDS} | {name.lower().encode(): name for name in COMMANDS}


class MalformedRequest(ValueError):  # noqa: N818 - named after what happened, as in the specification's 400
    """A query or header with no meaning, or with more than one; the message says which part. Answer: 400."""


class UnknownCommand(MalformedRequest):
    """A command that no specification has, or that none has any more; it cannot be refused in its own words."""


class QueryForm(Enum):
    """How the query was written."""

    PLAIN = "plain"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class EasRequest:
    """What a request says about itself.

    `device_id` is canonical (upper case), `device_ids` are all spellings under which the device may be known, the
    canonical first; `sent_device_id` is as the device wrote it, because servers keep their state under it. `user` is
    only a claim, and may be missing; who logs in is in the Authorization header. `policy_key` is None where none was
    sent. `parameters` are the command parameters as (name, value) in the order of the specification. `locale` counts in
    the base64 form only.
    """

    command: str
    device_id: str
    device_ids: tuple[str, ...]
    device_type: str
    user: str | None
    protocol_version: str
    policy_key: int | None
    form: QueryForm
    parameters: tuple[tuple[str, str], ...]
    sent_device_id: bytes
    locale: int = 0x0409

    def parameter(self, name: str) -> str | None:
        """The value of the command parameter `name`, None where it was not sent."""
        return next((value for known, value in self.parameters if known == name), None)


def quoted(value: bytes) -> str:
    """The beginning of what was sent, for an error's sentence."""
    return value[:40].decode("ascii", "backslashreplace")


def command_name(written: bytes) -> str:
    """The command in the specification's spelling; raises UnknownCommand."""
    name = _COMMANDS.get(written) or _COMMANDS.get(written.lower())
    if name is None:
        raise UnknownCommand(f"`{quoted(written)}` is not a command of ActiveSync")
    return name


def text_of(name: str, value: bytes) -> str:
    """`value` as printable text; raises MalformedRequest where the parameter `name` cannot be that."""
    if len(value) > VALUE_LIMIT:
        raise MalformedRequest(f"`{name}` has more than {VALUE_LIMIT} bytes")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise MalformedRequest(f"`{name}` is not UTF-8") from None
    if not text.isprintable():
        raise MalformedRequest(f"`{name}` has a control character in it")
    return text


def user_of(value: bytes) -> str | None:
    """The claimed user, None where it is empty."""
    text = text_of("User", value)
    if len(text) > IDENTITY_LIMIT:
        raise MalformedRequest(f"`User` has more than {IDENTITY_LIMIT} characters")
    return text or None


def device_type_of(value: bytes) -> str:
    """The device type: printable ASCII (MS-ASHTTP 2.2.1.1.1.2.4), blanks allowed as some devices have them."""
    text = text_of("DeviceType", value)
    if not text or len(text) > IDENTITY_LIMIT or not text.isascii():
        raise MalformedRequest(f"`DeviceType` is not 1 to {IDENTITY_LIMIT} ASCII characters")
    return text


def parameters_of(found: dict[str, bytes]) -> tuple[tuple[str, str], ...]:
    """The command parameters among `found`, in order; a switch that is off is the same as one that is not there."""
    parameters = []
    for name in PARAMETERS:
        value = found.get(name)
        if value is None:
            continue
        text = text_of(name, value)
        if name in SWITCHES:
            if text.upper() != "T":
                continue
            text = "T"
        parameters.append((name, text))
    return tuple(parameters)

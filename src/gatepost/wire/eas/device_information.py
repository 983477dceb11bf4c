"""What a device says about itself in Provision and Settings (MS-ASCMD 2.2.3.45, MS-ASPROV 2.2.2.53).

Up to 14.0 it comes in Settings, from 14.1 on in the first Provision request; phones also send it in Settings later.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from gatepost.model import DeviceFacts

if TYPE_CHECKING:
    from gatepost.wire.wbxml import Element

VALUE_LIMIT: Final = 1024
"""Characters of one property (MS-ASCMD 2.2.3.45); what is longer is cut, not refused, as servers store anything."""

_ROOTS = ("Provision:Provision", "Settings:Settings")
_PROPERTIES = {
    "Settings:Model": "model",
    "Settings:OS": "operating_system",
    "Settings:UserAgent": "user_agent",
    "Settings:IMEI": "imei",
    "Settings:FriendlyName": "friendly_name",
    "Settings:OSLanguage": "os_language",
    "Settings:PhoneNumber": "phone_number",
    "Settings:MobileOperator": "mobile_operator",
}

WITHOUT: Final = frozenset({"2.5", "12.0"})
"""Versions without a message that carries it: such a device has had its say with its query and its User-Agent."""


def read(body_root: Element) -> DeviceFacts | None:
    """The facts in the body of a Provision or Settings request, None where it does not report any.

    `reported` is True in the answer, even if the device says that it is nothing in particular: then what is missing is
    empty, not unknown. Of a property that is there twice the first counts.
    """
    if body_root.name not in _ROOTS:
        return None
    properties = body_root.find("Settings:DeviceInformation", "Settings:Set")
    if properties is None:
        return None
    found = {name: _value(properties.text_at(element)) for element, name in _PROPERTIES.items()}
    return DeviceFacts(reported=True, **found)


def merge(old: DeviceFacts, new: DeviceFacts) -> DeviceFacts:
    """`old`, with what `new` says in place of what it said before; what `new` leaves out is kept.

    From 14.1 on a phone says everything once per provisioning, but a Settings request may name a single property. An
    empty property says nothing, so it cannot erase what was said.
    """
    said = {item.name: value for item in fields(new) if (value := getattr(new, item.name)) is not None}
    return replace(old, **said | {"reported": old.reported or new.reported})


def _value(text: str | None) -> str | None:
    """A property without control characters, cut to its limit; None where nothing is left."""
    if text is None:
        return None
    printable = "".join(character for character in text if character.isprintable())
    return printable.strip()[:VALUE_LIMIT].rstrip() or None

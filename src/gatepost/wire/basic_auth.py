"""The Authorization header with user name and password (RFC 7617)."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

HEADER_LIMIT = 8192
"""Bytes; what servers commonly accept for one header."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login as it was typed, and its password, which stays out of `repr`."""

    login: str
    password: str = field(repr=False)


def parse(header: bytes) -> Credentials | None:
    """The credentials in the value of an Authorization header, None where it is not readable Basic authentication.

    The bytes are UTF-8, or Latin-1 where they are not (Outlook for desktops). A login is not empty and has no control
    character in it, a password has no control character.
    """
    text = _text(header)
    if text is None:
        return None
    login, _, password = text.partition(":")
    return Credentials(login, password)


def login(header: bytes) -> str | None:
    """The login alone, as `parse` reads it, for whoever does not want to hold the password."""
    text = _text(header)
    return None if text is None else text.partition(":")[0]


def canonical(header: bytes) -> bytes:
    """The one spelling of the same bytes, for whoever passes them on or looks them up; anything unreadable as it is."""
    raw = _bytes(header)
    return header if not raw else b"Basic " + binascii.b2a_base64(raw, newline=False)


def _bytes(header: bytes) -> bytes | None:
    if len(header) > HEADER_LIMIT:
        return None
    scheme, _, token = header.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return binascii.a2b_base64(token.strip(), strict_mode=True)
    except (binascii.Error, ValueError):
        return None


def _text(header: bytes) -> str | None:
    raw = _bytes(header)
    if raw is None:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    login, colon, _ = text.partition(":")
    return text if colon and login.strip() and _CONTROL.search(text) is None else None


def render(credentials: Credentials) -> bytes:
    """The header's value for `credentials`, in UTF-8."""
    return b"Basic " + binascii.b2a_base64(f"{credentials.login}:{credentials.password}".encode(), newline=False)

"""Where an answer of the mail server says that a mailbox is, and whether requests may go there. Pure.

A location is read strictly or not at all: credentials go where it says, and what two programs read in two ways (credentials
in the URL, a backslash, a port that is none) has been used to lead somebody astray before.
"""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatepost.gateway.configuration import EAS_PATH, UpstreamAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMING = frozenset({301, 302, 303, 307, 308, 451})
_MOST_BYTES = 2_048
_NOT_IN_A_URL = re.compile(rb"[^!-~]|\\")
_LOCATION = re.compile(
    rb"(?:(https?):)?//(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(/[^?#]*)?(?:[?#].*)?", re.IGNORECASE
)
_RELATIVE = re.compile(rb"(/(?!/)[^?#]*)(?:[?#].*)?")
_PATH = re.compile(rb"((?:/(?!\.{1,2}/)[a-z0-9._~-]+)*/microsoft-server-activesync)(?:/default\.eas)?/?", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?::[0-9]{1,5})?")


def redirects(status: int) -> bool:
    """True for a status that sends the asker elsewhere."""
    return 300 <= status < 400 or status == 451


class LocationRefused(ValueError):  # noqa: N818 - named after what happened
    """A redirection that is not followed: where to, as far as that could be read, why not, and which setting decides."""

    def __init__(self, reason: str, host: str | None = None, setting: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.host = host
        self.setting = setting


class Locations:
    """Reads locations; `home` is the mail server that was configured, the other two as in the settings."""

    def __init__(
        self, home: UpstreamAddress, redirect_hosts: Iterable[str] = (), public_url: str | None = None
    ) -> None:
        self._home = home
        self._own = _server(home)
        self._allowed = frozenset(map(_allowed, redirect_hosts))
        self._public_url = None if public_url is None else public_url.rstrip("/")
        self._public_authority = (
            None if self._public_url is None else _plain(self._public_url.partition("://")[2].encode())
        )

    @property
    def others(self) -> bool:
        """True when there may be another server than the one that was configured."""
        return bool(self._allowed)

    def read(
        self, status: int, lines: Iterable[bytes], current: UpstreamAddress, host: bytes | None
    ) -> UpstreamAddress:
        """Where `current` sends a request on to, by the status and header lines of its answer; raises LocationRefused.

        `host` is the request's Host. 451 without a location sends the phone to look for its mailbox anew (MS-ASHTTP
        3.1.5.2.2): from another server that is back to the configured one, and that one itself has to know.
        """
        if status not in _NAMING:
            raise LocationRefused(f"status {status} names no server")
        name = b"x-ms-location" if status == 451 else b"location"
        said = {value.strip() for found, _, value in (line.partition(b":") for line in lines) if found.lower() == name}
        if not said:
            if status == 451 and current != self._home:
                return self._home
            raise LocationRefused(f"status {status} without a location")
        if len(said) > 1:
            raise LocationRefused("two locations")
        address = self._address(said.pop(), current)
        self._permit(address, current, host)
        return address

    def here(self, host: bytes | None) -> bytes | None:
        """The gateway's own URL for a phone that reached it as `host`; None when that cannot be known."""
        own = own_url(self._public_url, host)
        return None if own is None else (own + EAS_PATH).encode()

    def _address(self, value: bytes, current: UpstreamAddress) -> UpstreamAddress:
        if len(value) > _MOST_BYTES or _NOT_IN_A_URL.search(value):
            raise LocationRefused("not a URL")
        if relative := _RELATIVE.fullmatch(value):
            return replace(current, path=_path(relative[1]))
        match = _LOCATION.fullmatch(value)
        if match is None:
            raise LocationRefused("not the URL of a server")
        tls = current.tls if match[1] is None else match[1].lower() == b"https"
        usual = 443 if tls else 80
        port = usual if match[3] is None else int(match[3])
        try:
            name = _canonical(match[2].decode().lower())
        except ValueError:
            raise LocationRefused("not an address") from None
        if not 0 < port < 65_536:
            raise LocationRefused("not a port", name)
        authority = name if port == usual else f"{name}:{port}"
        address = UpstreamAddress(name.strip("[]"), port, tls, _path(match[4]), authority.encode())
        if _server(address) == self._own and current != self._home and address.path == EAS_PATH.encode():
            return self._home  # phones look at the host of a location only, so the path need not be ours
        return address

    def _permit(self, address: UpstreamAddress, current: UpstreamAddress, host: bytes | None) -> None:
        authority = address.authority.decode()
        if address == current:
            raise LocationRefused("to itself", authority)
        if _server(address) in {self._own, _server(current)}:
            return
        if not address.tls and (current.tls or self._home.tls):
            raise LocationRefused("from https to http", authority)
        if address.authority in (self._public_authority, b"" if host is None else _plain(host)):
            raise LocationRefused("to this gateway; let it name the mail server itself", authority)
        usual = address.port == (443 if address.tls else 80)
        if (address.host, address.port) not in self._allowed and not (usual and (address.host, None) in self._allowed):
            raise LocationRefused("to a host that is not listed", authority, "gateway.redirect_hosts")


def own_url(public_url: str | None, host: bytes | None) -> str | None:
    """How phones reach this gateway: `public_url`, else https and the Host they asked for if that is a plain host[:port]."""
    if public_url is not None:
        return public_url
    name = "" if host is None else host.decode("latin-1")
    return f"https://{name}" if _HOST.fullmatch(name) else None


def _server(address: UpstreamAddress) -> tuple[str, int, bool]:
    name = f"[{address.host}]" if ":" in address.host else address.host
    return _canonical(name).strip("[]"), address.port, address.tls


def _allowed(entry: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{entry.lower()}")
    name = parts.hostname or ""
    return _canonical(f"[{name}]" if ":" in name else name).strip("[]"), parts.port


def _plain(host: bytes) -> bytes:
    return host.lower().removesuffix(b":443")


def _canonical(name: str) -> str:
    """One spelling for each IPv6 address; raises ValueError."""
    return f"[{ip_address(name[1:-1]).compressed}]" if name.startswith("[") else name


def _path(sent: bytes | None) -> bytes:
    """Where ActiveSync is mounted; a path that does not say so (a phone looks at the host only) is not taken for one."""
    match = _PATH.fullmatch(sent or b"")
    return EAS_PATH.encode() if match is None else match[1]

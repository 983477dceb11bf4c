"""The kinds of values that settings have, and how each is read from a file or a variable."""

from __future__ import annotations

import re
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from gatepost.wire.eas.commands import COMMANDS, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# Where relative paths start while `load` validates; pydantic-settings has no validation context to carry it.
base_folder: ContextVar[Path] = ContextVar("base_folder", default=Path())

_ORGANIZATION_ID = re.compile(r"m-[0-9a-z]{32}")


class Address(NamedTuple):
    """Where a server listens; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    match = re.fullmatch(
        r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/@]+)):([0-9]{1,5})", value if isinstance(value, str) else ""
    )
    if match is None or int(match[3]) > 65535:
        raise ValueError
    return Address(match[1] or match[2], int(match[3]))


def _http_url(value: object) -> str:
    if not isinstance(value, str) or value != value.strip():
        raise ValueError
    url = urlsplit(value)
    if (
        url.scheme not in {"http", "https"}
        or not url.hostname
        or url.username
        or url.query
        or url.fragment
        or url.port == 0
    ):
        raise ValueError
    return value.rstrip("/")


def _store_url(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004  # pydantic collects ValueError only
    if file := re.fullmatch(r"sqlite:///([^:?#]+)", value):
        return f"sqlite:///{base_folder.get() / file[1]}"
    if re.match(r"postgresql(\+psycopg)?://.*/[^/?]+", value):
        return value
    raise ValueError


def _rooted(path: Path) -> Path:
    return base_folder.get() / path.expanduser()


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError
    return path


def listed(value: object) -> object:
    """A list, also as a variable writes it: with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _own_url(value: object) -> str:
    url = _http_url(value)
    if urlsplit(url).path:
        raise ValueError
    return url


def _host(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", value):
        raise ValueError
    return value.lower()


def _one_of(known: Collection[str]) -> Callable[[object], str]:
    """A validator that takes the known words in any case of letters."""
    by_key = {word.lower(): word for word in known}

    def word(value: object) -> str:
        if not isinstance(value, str) or value.lower() not in by_key:
            raise ValueError
        return by_key[value.lower()]

    return word


def _organization_id(value: object) -> str:
    if not isinstance(value, str) or not _ORGANIZATION_ID.fullmatch(value):
        raise ValueError
    return value


Listen: TypeAlias = Annotated[Address, BeforeValidator(_address)]
Network: TypeAlias = Annotated[IPv4Network | IPv6Network, BeforeValidator(ip_network)]
FilePath: TypeAlias = Annotated[Path, AfterValidator(_rooted)]
HttpUrl: TypeAlias = Annotated[str, BeforeValidator(_http_url)]
Host: TypeAlias = Annotated[str, BeforeValidator(_host)]
ProtocolVersion: TypeAlias = Annotated[str, BeforeValidator(_one_of(VERSIONS))]
Command: TypeAlias = Annotated[str, BeforeValidator(_one_of(COMMANDS))]
ExistingFile: TypeAlias = Annotated[FilePath, AfterValidator(_existing)]
StoreUrl: TypeAlias = Annotated[str, BeforeValidator(_store_url)]
OwnUrl: TypeAlias = Annotated[str, BeforeValidator(_own_url)]
OrganizationId: TypeAlias = Annotated[str, BeforeValidator(_organization_id)]

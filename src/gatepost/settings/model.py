"""What can be set: each key with its type, its default, and what is expected of it."""

from __future__ import annotations

import re
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from gatepost.settings.limits import LimitsSettings
from gatepost.settings.section import Section
from gatepost.wire.eas.commands import COMMANDS, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

PREFIX = "GATEPOST_"

# Where relative paths start while `load` validates; pydantic-settings has no validation context to carry it.
base_folder: ContextVar[Path] = ContextVar("base_folder", default=Path())

_ORGANIZATION_ID = re.compile(r"m-[0-9a-z]{32}")


class SettingsError(Exception):
    """Every mistake in the settings, one line each."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


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


def _listed(value: object) -> object:
    """A list, as a variable writes it: with commas."""
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

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class StoreSettings(Section):
    """Where rules, users, devices and keys are kept."""

    url: Annotated[str, BeforeValidator(_store_url)] = Field(
        default="sqlite:///gatepost.db",
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
        repr=False,  # of all settings the one that can hold a password
    )
    key_file: FilePath = Field(default=Path("gatepost.key"), description="the path of the key file")


class GatewaySettings(Section):
    """The data plane: where phones arrive, and the mail server behind."""

    listen: Listen = Field(default=Address("127.0.0.1", 8080), description="host:port")
    upstream: HttpUrl | None = Field(
        default=None, description="the mail server's URL, http://HOST or https://HOST, a path allowed"
    )
    upstream_ca_file: Annotated[FilePath, AfterValidator(_existing)] | None = Field(
        default=None, description="the path of an existing file with certificates in PEM form"
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_listed)] = Field(
        default=LOOPBACK, description="addresses or networks such as 10.0.0.0/8, no bits set to the right of the mask"
    )
    proxy_protocol: bool = Field(default=False, description="true or false")
    public_url: Annotated[str, BeforeValidator(_own_url)] | None = Field(
        default=None, description="https://HOST or http://HOST, without a path"
    )
    autodiscover: bool = Field(default=True, description="true or false")
    redirect_hosts: Annotated[tuple[Host, ...], BeforeValidator(_listed)] = Field(
        default=(), description="names of hosts, with a port where it is not the usual one"
    )
    protocol_versions: Annotated[tuple[ProtocolVersion, ...], BeforeValidator(_listed)] = Field(
        default=(), description=f"versions out of {', '.join(VERSIONS)}"
    )
    refused_commands: Annotated[tuple[Command, ...], BeforeValidator(_listed)] = Field(
        default=(), description=f"commands out of {', '.join(COMMANDS)}"
    )
    max_replica_age: float = Field(default=3600.0, gt=0, allow_inf_nan=False, description="a number of seconds above 0")
    organization_id: Annotated[str, BeforeValidator(_organization_id)] | None = Field(
        default=None, description="m- and 32 lower-case letters and digits"
    )


class ControlSettings(Section):
    """The control API, health and metrics."""

    listen: Listen = Field(default=Address("127.0.0.1", 8081), description="host:port")
    requests_per_second: float = Field(
        default=50.0, ge=0, allow_inf_nan=False, description="a number of requests a second, 0 for no limit"
    )
    burst: int = Field(default=500, ge=1, description="a whole number above 0")


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )
    format: Literal["auto", "console", "json"] = Field(default="auto", description="auto, console or json")


class Settings(BaseSettings):
    """Everything that can be set; `load` reads it."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        enable_decoding=False,
    )

    store: StoreSettings = Field(default=StoreSettings(), description="a table, [store]")
    gateway: GatewaySettings = Field(default=GatewaySettings(), description="a table, [gateway]")
    limits: LimitsSettings = Field(default=LimitsSettings(), description="a table, [limits]")
    control: ControlSettings = Field(default=ControlSettings(), description="a table, [control]")
    log: LogSettings = Field(default=LogSettings(), description="a table, [log]")

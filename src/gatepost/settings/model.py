"""What can be set: each key with its type, its default, and what is expected of it."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from gatepost.settings.limits import LimitsSettings
from gatepost.settings.mdm import MdmSettings
from gatepost.settings.section import Section
from gatepost.settings.values import (
    Address,
    Command,
    ExistingFile,
    FilePath,
    Host,
    HttpUrl,
    Listen,
    Network,
    OrganizationId,
    OwnUrl,
    ProtocolVersion,
    StoreUrl,
    listed,
)
from gatepost.wire.eas.commands import COMMANDS, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "GATEPOST_"


class SettingsError(Exception):
    """Every mistake in the settings, one line each."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class StoreSettings(Section):
    """Where rules, users, devices and keys are kept."""

    url: StoreUrl = Field(
        default="sqlite:///gatepost.db",
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
        repr=False,  # it can hold a password
    )
    key_file: FilePath = Field(default=Path("gatepost.key"), description="the path of the key file")


class GatewaySettings(Section):
    """The data plane: where phones arrive, and the mail server behind."""

    listen: Listen = Field(default=Address("127.0.0.1", 8080), description="host:port")
    upstream: HttpUrl | None = Field(
        default=None, description="the mail server's URL, http://HOST or https://HOST, a path allowed"
    )
    upstream_ca_file: ExistingFile | None = Field(
        default=None, description="the path of an existing file with certificates in PEM form"
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(listed)] = Field(
        default=LOOPBACK, description="addresses or networks such as 10.0.0.0/8, no bits set to the right of the mask"
    )
    proxy_protocol: bool = Field(default=False, description="true or false")
    public_url: OwnUrl | None = Field(default=None, description="https://HOST or http://HOST, without a path")
    autodiscover: bool = Field(default=True, description="true or false")
    redirect_hosts: Annotated[tuple[Host, ...], BeforeValidator(listed)] = Field(
        default=(), description="names of hosts, with a port where it is not the usual one"
    )
    protocol_versions: Annotated[tuple[ProtocolVersion, ...], BeforeValidator(listed)] = Field(
        default=(), description=f"versions out of {', '.join(VERSIONS)}"
    )
    refused_commands: Annotated[tuple[Command, ...], BeforeValidator(listed)] = Field(
        default=(), description=f"commands out of {', '.join(COMMANDS)}"
    )
    max_replica_age: float = Field(default=3600.0, gt=0, allow_inf_nan=False, description="a number of seconds above 0")
    organization_id: OrganizationId | None = Field(default=None, description="m- and 32 lower-case letters and digits")


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
    mdm: MdmSettings = Field(default=MdmSettings(), description="a table, [mdm]")
    log: LogSettings = Field(default=LogSettings(), description="a table, [log]")

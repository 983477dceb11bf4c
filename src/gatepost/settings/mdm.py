"""The table [mdm]: the bridge, which makes overrides of what MDMs say; its sources and targets are arrays of tables."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from gatepost.engine.posture import Policy
from gatepost.mdm.configuration import BridgeConfiguration, WorkMailConfiguration
from gatepost.settings.mdm_sources import GenericSettings, WorkspaceOneSettings, revealed
from gatepost.settings.section import Section
from gatepost.settings.values import Address, HttpUrl, Listen

_YES_OR_NO = "true or false"

Days: TypeAlias = Annotated[float, Field(gt=0, le=3_650, allow_inf_nan=False)]
Source: TypeAlias = Annotated[WorkspaceOneSettings | GenericSettings, Field(discriminator="kind")]


class StoreTargetSettings(Section):
    """Overrides in Gatepost's own store."""

    kind: Literal["store"] = Field(description="store or workmail")


class WorkMailTargetSettings(Section):
    """Overrides in an organization of Amazon WorkMail."""

    kind: Literal["workmail"] = Field(description="store or workmail")
    organization_id: str = Field(
        pattern=r"^m-[0-9a-f]{32}$", description="m- and 32 hexadecimal digits, as AWS shows it"
    )
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z0-9]+)+$", description="the name of an AWS region, such as eu-west-1")
    access_key_id: str | None = Field(default=None, min_length=16, description="an AWS access key id")
    secret_access_key: SecretStr | None = Field(default=None, min_length=16, description="the access key's secret")
    endpoint_url: HttpUrl | None = Field(default=None, description="http://HOST or https://HOST")
    rate: float = Field(default=5.0, gt=0, le=1_000, description="a number of requests a second above 0, 1000 at most")

    @model_validator(mode="after")
    def _has_both(self) -> WorkMailTargetSettings:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise PydanticCustomError("combination", "`access_key_id` and `secret_access_key` go together")
        return self


Target: TypeAlias = Annotated[StoreTargetSettings | WorkMailTargetSettings, Field(discriminator="kind")]


class MdmSettings(Section):
    """The bridge."""

    listen: Listen = Field(default=Address("127.0.0.1", 8082), description="host:port")
    bridge_deny_wins: bool = Field(default=False, description=_YES_OR_NO)
    write_deny: bool = Field(default=False, description=_YES_OR_NO)
    allow_hours: float = Field(
        default=168.0, gt=0, le=87_600, allow_inf_nan=False, description="a number of hours above 0"
    )
    grace_minutes: float = Field(default=60.0, ge=0, le=525_600, allow_inf_nan=False, description="a number of minutes")
    allow_after_seconds: float = Field(
        default=0.0, ge=0, le=604_800, allow_inf_nan=False, description="a number of seconds, 604800 at most"
    )
    allow_not_available: bool = Field(default=False, description=_YES_OR_NO)
    honour_grace: bool = Field(default=True, description=_YES_OR_NO)
    require_state_time: bool = Field(default=False, description=_YES_OR_NO)
    first_seen: bool = Field(default=True, description=_YES_OR_NO)
    instance: str = Field(
        default="gatepost",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$",
        description="up to 32 letters, digits, full stops, hyphens and underscores",
    )
    workers: int = Field(default=32, ge=1, le=1_000, description="a whole number, 1 to 1000")
    park_after: int = Field(default=12, ge=1, le=1_000, description="a whole number, 1 to 1000")
    keep_days: Days = Field(default=14.0, description="a number of days above 0")
    sources: tuple[Source, ...] = Field(default=(), description="an array of tables, [[mdm.sources]]")
    targets: tuple[Target, ...] = Field(default=(), description="an array of tables, [[mdm.targets]]")

    @model_validator(mode="after")
    def _names_are_different(self) -> MdmSettings:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        kinds = [target.kind for target in self.targets]
        reasons = [f"two sources have the name `{name}`" for name in twice]
        reasons += [
            f"there are two targets of the kind `{kind}`" for kind in sorted(set(kinds)) if kinds.count(kind) > 1
        ]
        if reasons:
            raise PydanticCustomError("combination", "{reasons}", {"reasons": "; ".join(reasons)})
        return self


def bridge_configuration(mdm: MdmSettings) -> BridgeConfiguration:
    """The settings as the bridge wants them; without targets it writes into the store."""
    return BridgeConfiguration(
        sources=tuple(source.configuration() for source in mdm.sources),
        local=not mdm.targets or any(target.kind == "store" for target in mdm.targets),
        workmail=next((_workmail(one) for one in mdm.targets if isinstance(one, WorkMailTargetSettings)), None),
        policy=Policy(
            allow_hours=mdm.allow_hours,
            grace_minutes=mdm.grace_minutes,
            allow_after_seconds=mdm.allow_after_seconds,
            write_deny=mdm.write_deny,
            allow_not_available=mdm.allow_not_available,
            honour_grace=mdm.honour_grace,
            require_state_time=mdm.require_state_time,
        ),
        instance=mdm.instance,
        first_seen=mdm.first_seen,
        workers=mdm.workers,
        park_after=mdm.park_after,
        keep_days=mdm.keep_days,
    )


def _workmail(target: WorkMailTargetSettings) -> WorkMailConfiguration:
    return WorkMailConfiguration(
        organization_id=target.organization_id,
        region=target.region,
        endpoint_url=target.endpoint_url,
        access_key_id=target.access_key_id,
        secret_access_key=None if target.secret_access_key is None else revealed(target.secret_access_key),
        rate=target.rate,
    )

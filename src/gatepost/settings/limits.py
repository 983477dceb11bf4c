"""The table [limits]: how much, and for how long, the gateway gives to one request, one phone and one user."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from gatepost.settings.section import Section

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
_SECONDS = "a number of seconds above 0, 86400 at most"


class LimitsSettings(Section):
    """Limits of the gateway."""

    head_bytes: int = Field(default=32_768, ge=4_096, le=1_048_576, description="bytes, 4096 to 1048576")
    body_bytes: int = Field(default=157_286_400, ge=65_536, le=2**40, description="bytes, 65536 or more")
    document_bytes: int = Field(default=1_048_576, ge=65_536, le=2**26, description="bytes, 65536 to 67108864")
    document_depth: int = Field(default=32, ge=8, le=256, description="a number, 8 to 256")
    document_string_bytes: int = Field(default=65_536, ge=1_024, le=2**26, description="bytes, 1024 to 67108864")
    connections: int = Field(default=16_384, ge=16, le=1_000_000, description="a number, 16 to 1000000")
    requests_per_user: int = Field(default=64, ge=1, le=100_000, description="a number, 1 to 100000")
    requests_per_device: int = Field(default=8, ge=1, le=100_000, description="a number, 1 to 100000")
    devices_per_user: int = Field(default=100, ge=1, le=100_000, description="a number, 1 to 100000")
    failed_logins: int = Field(default=5, ge=1, le=1_000, description="a number, 1 to 1000")
    failed_login_seconds: Seconds = Field(default=120.0, description=_SECONDS)
    head_seconds: Seconds = Field(default=30.0, description=_SECONDS)
    body_seconds: Seconds = Field(default=60.0, description=_SECONDS)
    body_bytes_per_second: int = Field(default=500, ge=1, le=1_000_000, description="bytes a second, 1 to 1000000")
    write_seconds: Seconds = Field(default=60.0, description=_SECONDS)
    idle_seconds: Seconds = Field(default=90.0, description=_SECONDS)
    answer_seconds: Seconds = Field(default=300.0, description=_SECONDS)
    parked_seconds: Seconds = Field(default=3_660.0, description=_SECONDS)
    request_seconds: Seconds = Field(default=7_200.0, description=_SECONDS)

"""How much, and for how long, a gateway gives to one request, one phone and one user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gatepost.wire import wbxml


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds; the operations guide says why each is what it is ([limits])."""

    head_bytes: int = 32 * 1024
    body_bytes: int = 150 * 1024 * 1024
    document_bytes: int = 1024 * 1024
    document_depth: int = 32
    document_string_bytes: int = 64 * 1024
    connections: int = 16_384
    requests_per_user: int = 64
    requests_per_device: int = 8
    devices_per_user: int = 100
    failed_logins: int = 5
    failed_login_seconds: float = 120.0
    head_seconds: float = 30.0
    body_seconds: float = 60.0
    body_bytes_per_second: int = 500
    write_seconds: float = 60.0
    idle_seconds: float = 90.0
    answer_seconds: float = 300.0
    parked_seconds: float = 3_660.0
    request_seconds: float = 7_200.0

    @cached_property
    def documents(self) -> wbxml.Limits:
        """Those of a Provision or Settings document that is decoded."""
        known = wbxml.IDENTITY
        return wbxml.Limits(known.size, self.document_depth, known.elements, self.document_string_bytes)

"""What the bridge wants of a source of posture, and nothing about any one of them.

A notification is a hint that a device changed; what it changed to is always read from the source. Errors tell apart what
the worker has to tell apart: ask again later (`SourceUnavailable`), a person has to look (`SourceRefused`), and the only
way in which a device is known to be gone (`Gone`). A device that a listing does not show is not gone: pages drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import datetime

    from gatepost.model.posture import Posture


class BadNotification(Exception):  # noqa: N818 - it is what came
    """No device can be read from a notification; `status` is what its sender is answered: 400, or 415 for a format."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class SourceError(Exception):
    """A source could not say; nothing was learned, and nothing may change because of it."""


class SourceUnavailable(SourceError):  # noqa: N818 - it is how the source is
    """The same question may be answered later; not before `retry_after` seconds, where that is known."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class SourceRefused(SourceError):  # noqa: N818 - it is what the source did
    """The source understood and said no, or cannot be meant as configured: a person has to look."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The source has no record of the device any more: it said so of this very device."""

    source: str
    device_key: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Quota:
    """What the source last said about how many requests it still takes; None where it did not say."""

    limit: int | None = None
    remaining: int | None = None
    reset_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """How a source answers: failures in a row, and until when it is not asked because of them."""

    failures: int = 0
    open_until: datetime | None = None
    last_error: str | None = None


class Source(Protocol):
    """One configured MDM. Asynchronous, for one event loop; any number of questions at a time."""

    @property
    def name(self) -> str:
        """The name from the configuration; the `source` of its postures."""

    @property
    def quota(self) -> Quota:
        """As of the last answer."""

    @property
    def condition(self) -> Condition:
        """As of now."""

    @property
    def lists(self) -> bool:
        """False where the source has no listing: then a sweep can ask only for the devices that it knows."""

    def device_key_of(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """The device that a notification is about, None where it is about none. Pure. Raises BadNotification.

        `headers` have lower-case names.
        """

    async def fetch(self, device_key: str) -> Posture | Gone:
        """The device's present posture. Raises SourceUnavailable and SourceRefused.

        `Posture.device_key` is the source's own spelling, and may be another than the one that was asked for (an event
        named the UUID, the record has its number): then what is remembered belongs to that one.
        """

    def list(self, progress: Callable[[int, int | None], None] | None = None) -> AsyncIterator[str]:
        """The keys of all devices, each once, page by page. Raises SourceUnavailable and SourceRefused on the way.

        `progress` is told after each page how many were listed and how many the source says there are. What is missing
        is not gone.
        """

    async def find(
        self, device_id: str | None = None, *, imei: str | None = None, serial: str | None = None
    ) -> Posture | None:
        """The one device with that EAS device id (or IMEI, or serial number), None where the source knows none or several.

        A client says its IMEI itself: to grant something on it is the operator's decision. Raises SourceUnavailable and
        SourceRefused; None as well where the source cannot be asked so.
        """

    async def close(self) -> None:
        """End the connections."""

"""What gateways and people bring up: phones that no source's record names, users who come to be, overrides taken away.

Theory of operation. The store's feed tells of each. A phone whose DeviceId no device is known to have is looked for in the
sources: by DeviceId, else, where the operator takes the phone's own word, by IMEI or serial number among the devices of the
same user. What is found is only marked dirty: the worker reads the record and decides, so nobody is allowed because of
what was seen here. The same phone is not looked for again for a quarter of an hour. What was missed while no bridge ran is
made up for after each sweep (`look_through`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from gatepost.mdm.deciding import Addresses
from gatepost.mdm.sources.base import SourceError, SourceUnavailable
from gatepost.model import Device, EntityState, Kind, Managed, Owner, User, address_key
from gatepost.store import (
    devices,
    feed,
    mdm_applied,
    mdm_devices,
    mdm_work,
    mobile_device_access_overrides,
    organizations,
)
from gatepost.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gatepost.mdm.claiming import Call
    from gatepost.mdm.options import BridgeOptions
    from gatepost.mdm.sources.base import Source
    from gatepost.model import Change, Posture
    from gatepost.store.database import Reader, Store

log = structlog.get_logger(__name__)

_NOT_AGAIN_SECONDS = 900.0
_REMEMBERED = 20_000  # phones that were looked for
_WAITING = 2_000  # phones to be looked for; more are made up for after the next sweep
_AT_A_TIME = 4
_AGAIN_SECONDS = 30.0
_STORE_AWAY_SECONDS = 1.0
_RECENT = timedelta(days=30)
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone as a gateway saw it."""

    organization_id: str
    user_id: str
    device_id: str
    imei: str | None


class FirstSeen:
    """Follows the feed; one in each process. `wake` is called when a device was marked dirty."""

    def __init__(
        self,
        store: Store,
        call: Call,
        sources: Mapping[str, Source],
        options: BridgeOptions,
        *,
        local: str,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._call = call
        self._sources = sources
        self._options = options
        self._local = local
        self._wake = wake
        self._waiting: asyncio.Queue[Phone] = asyncio.Queue(_WAITING)
        self._looked_for: OrderedDict[Phone, float] = OrderedDict()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Follow the feed from now on, in a thread of its own, and look phones up in the running event loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="mdm-feed", daemon=True)
        self._thread.start()
        self._tasks = [asyncio.create_task(self._look_up()) for _ in range(_AT_A_TIME)]

    async def stop(self) -> None:
        """Follow no more."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def look_through(self) -> None:
        """Look for every phone of the last month that no device is known to have."""
        if self._options.first_seen:
            for phone in await self._call(self._unknown):
                self._add(phone)

    async def look_for(self, phone: Phone) -> bool:
        """Ask the sources for the phone; True when a device was marked dirty. Raises SourceUnavailable: ask later."""
        if await self._call(self._is_known, phone):
            return False
        away: SourceUnavailable | None = None
        for name, source in self._sources.items():
            try:
                found = await self._found(source, phone, self._options.match.get(name, frozenset()))
            except SourceUnavailable as error:
                away = error
                continue
            except SourceError as error:
                log.warning("mdm.phone_not_looked_for", source=name, error=str(error))
                continue
            if found is not None:
                await self._call(self._mark, [(name, found.device_key)])
                self._wake()
                return True
        if away is not None:
            raise away
        return False

    async def _found(self, source: Source, phone: Phone, match: frozenset[str]) -> Posture | None:
        found = await source.find(phone.device_id)
        if found is not None or not match:
            return found
        if "imei" in match and phone.imei:
            found = await source.find(imei=phone.imei)
        if found is None and "serial" in match and phone.device_id.startswith("APPL"):
            found = await source.find(serial=phone.device_id.removeprefix("APPL"))
        if found is None:
            return None
        return found if await self._call(self._is_of, found, phone) else None

    def _is_of(self, posture: Posture, phone: Phone) -> bool:
        with self._store.read() as reader:
            addresses = Addresses(reader, self._options.organizations.get(posture.source))
            mine = f"{phone.organization_id}/{phone.user_id}"
            return any(addresses.user_of(address) == mine for address in posture.user_addresses)

    def _is_known(self, phone: Phone) -> bool:
        with self._store.read() as reader:
            return _has_it_now(reader, phone.device_id)

    async def _look_up(self) -> None:
        while True:
            phone = await self._waiting.get()
            try:
                await self.look_for(phone)
            except (SourceUnavailable, StoreError):  # and those behind it do not wait for that source
                asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._again, phone)
            except Exception:
                log.exception("mdm.phone_not_looked_for")

    def _again(self, phone: Phone) -> None:
        self._looked_for.pop(phone, None)
        self._add(phone)

    def _add(self, phone: Phone) -> None:
        now = time.monotonic()
        if self._looked_for.get(phone, 0.0) > now:
            return
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(phone)
            self._looked_for[phone] = now + _NOT_AGAIN_SECONDS
            self._looked_for.move_to_end(phone)
        while len(self._looked_for) > _REMEMBERED:
            self._looked_for.popitem(last=False)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        after: int | None = None
        while not self._stop.is_set():
            try:
                after = feed.position(self._store) if after is None else after
                for changes in feed.watch(self._store, self._store.epoch, after, self._stop):
                    self._heed(changes, loop)
                    after = changes[-1].revision if changes else after
            except feed.Compacted:
                after = None  # what was missed is made up for after the next sweep
            except StoreError as error:
                log.warning("mdm.store_away", error=str(error))
                self._stop.wait(_STORE_AWAY_SECONDS)
            except Exception:
                if loop.is_closed():
                    return
                log.exception("mdm.part_failed", part="first_seen")
                self._stop.wait(_STORE_AWAY_SECONDS)

    def _heed(self, changes: list[Change], loop: asyncio.AbstractEventLoop) -> None:
        """Changes of which one cannot be understood do not hold up those after them: the next sweep sees to them."""
        try:
            self._changed(changes, loop)
        except StoreError:
            raise
        except Exception:
            if loop.is_closed():
                raise
            log.exception("mdm.change_not_followed")

    def _changed(self, changes: Iterable[Change], loop: asyncio.AbstractEventLoop) -> None:
        marks: set[tuple[str, str]] = set()
        phones: list[Phone] = []
        with self._store.read() as reader:
            for change in changes:
                if isinstance(change.noun, Device) and self._options.first_seen:
                    phones.append(phone_of(change.noun))
                elif isinstance(change.noun, User):
                    marks.update(self._devices_of(reader, change.noun))
                elif change.kind is Kind.MOBILE_DEVICE_ACCESS_OVERRIDE and change.noun is None:
                    marks.update(self._taken_away(reader, change))
        if marks:
            self._mark(marks)
            loop.call_soon_threadsafe(self._wake)
        for phone in phones:
            loop.call_soon_threadsafe(self._add, phone)

    def _devices_of(self, reader: Reader, user: User) -> Iterator[tuple[str, str]]:
        """The devices of somebody's addresses for which nothing is written for him, and those of what is, that are not."""
        logins = {address_key(one) for one in (user.email or user.name, user.name, *user.aliases)}
        written = mdm_applied.of_users(reader, self._local, user.organization_id, [user.user_id])
        written = [one for one in written if one.source in self._sources]
        for one in written:
            known = mdm_devices.known(reader, one.source, one.device_key)
            if known is not None and logins.isdisjoint(known.addresses):
                yield one.source, one.device_key
        if user.state is not EntityState.ENABLED:
            return
        has = {(one.source, one.device_key) for one in written}  # which the bridge did itself
        for login in sorted(logins):
            for known in mdm_devices.find(reader, address=login):
                key = (known.posture.source, known.posture.device_key)
                if key[0] in self._sources and not known.posture.gone and key not in has:
                    yield key

    def _taken_away(self, reader: Reader, change: Change) -> Iterator[tuple[str, str]]:
        """The device of an override of the bridge's that somebody else took away before its time."""
        user_id, device_id, *owner = change.key
        if owner != [Owner.BRIDGE.value]:
            return
        written = mdm_applied.get(reader, self._local, change.organization_id, user_id, device_id)
        there = mobile_device_access_overrides.get(reader, change.organization_id, user_id, device_id, Owner.BRIDGE)
        if written is None or there is not None or written.theirs_since is not None:
            return
        if written.source in self._sources and (written.expires is None or written.expires > reader.now):
            yield written.source, written.device_key

    def _mark(self, keys: Iterable[tuple[str, str]]) -> None:
        with self._store.bookkeeping() as writer:
            mdm_work.dirty_many(writer, keys, urgent=True)

    def _unknown(self) -> list[Phone]:
        found: list[Phone] = []
        with self._store.read() as reader:
            for organization in organizations.page(reader, None, 10_000):
                after: str | None = None
                while page := devices.page(reader, organization.organization_id, after, _PAGE):
                    after = devices.position(page[-1])
                    recent = [one for one in page if one.last_seen > reader.now - _RECENT]
                    found += [phone_of(one) for one in recent if not _has_it_now(reader, one.device_id)]
                    if len(found) >= _WAITING:
                        return found
        return found


def _has_it_now(reader: Reader, device_id: str) -> bool:
    """Whether a device of an MDM has the DeviceId today: who only had it may be enrolled anew, as another device."""
    known = mdm_devices.find(reader, device_id=device_id)
    return any(
        one.posture.managed is Managed.YES and device_id in one.posture.device_ids
        for one in known
        if not one.posture.gone
    )


def phone_of(device: Device) -> Phone:
    """What is looked for of a device that logged in."""
    return Phone(device.organization_id, device.user_id, device.device_id, device.facts.imei)

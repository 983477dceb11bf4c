"""Any MDM with a REST API in JSON, by configuration alone: paths, JMESPath expressions and tables of words.

With `fetch_path` each device is asked for by itself, and webhooks can tell which one changed. Without it the list is all
there is: it is read as a whole, serves for a minute, and a device that it does not show is not known to be gone.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gatepost.mdm.sources.base import BadNotification, Gone, SourceRefused, SourceUnavailable
from gatepost.mdm.sources.http import LISTING_PATIENCE, HttpClient, document, utc_now
from gatepost.mdm.sources.mapping import DeviceMap, Expression, MapConfiguration
from gatepost.mdm.sources.paging import Pager, Paging
from gatepost.mdm.sources.reading import Unreadable, read_json, text, word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from gatepost.mdm.sources.base import Condition, Quota
    from gatepost.mdm.sources.http import Access
    from gatepost.model import Posture

KEY_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
"""What a device key looks like before it gets into a URL, where nothing narrower is configured."""

LOOK_UPS = ("device_id", "imei", "serial")
"""By what a device can be looked up."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MOST_PAGES = 10_000
_MOST_FOUND = 5  # devices that are looked at more closely when a look-up finds several


@dataclass(frozen=True)
class GenericConfiguration:
    """One MDM. Paths begin with `/` and are put behind the URL of `access`.

    `notification_key` finds the device key in a webhook. `fetch_path` has `{device_key}`; `fetch_item` finds the device
    in the answer, `gone` is true of an answer that says that there is no such device (besides a 404), and `also` are
    further paths whose answers are put into the device under the given names. `list_items` finds the devices in a page,
    `list_key` the key in one of them, where it is not `fields.device_key`. `find_paths`, by `device_id`, `imei` or
    `serial`, have that in braces; `find_items` finds the device, or several, in the answer.
    """

    name: str
    access: Access
    map: MapConfiguration
    notification_key: str | None = None
    key_pattern: str = KEY_PATTERN
    fetch_path: str | None = None
    fetch_item: str = "@"
    gone: str | None = None
    also: Mapping[str, str] = field(default_factory=dict)
    list_path: str | None = None
    list_items: str = "@"
    list_key: str | None = None
    paging: Paging = field(default_factory=Paging)
    find_paths: Mapping[str, str] = field(default_factory=dict)
    find_items: str = "@"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    listing_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class _Listing:
    read_at: datetime
    postures: Mapping[str, Posture]


class Generic:
    """The source. Raises ValueError for a configuration that cannot work; `client` and `now` are for tests."""

    def __init__(
        self,
        configuration: GenericConfiguration,
        client: HttpClient | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        check(configuration)
        self.name = configuration.name
        self._configuration = configuration
        self._now = now
        self._pattern = re.compile(configuration.key_pattern)
        self._map = DeviceMap(configuration.map)
        self._pager = Pager(configuration.paging)
        self._notification_key = _optional(configuration.notification_key)
        self._fetch_item = Expression(configuration.fetch_item)
        self._gone = _optional(configuration.gone)
        self._list_items = Expression(configuration.list_items)
        self._list_key = _optional(configuration.list_key)
        self._find_items = Expression(configuration.find_items)
        self._headers = {"accept": "application/json", **{k.lower(): v for k, v in configuration.headers.items()}}
        self._client = client if client is not None else HttpClient(configuration.name, configuration.access, now=now)
        self._listing: _Listing | None = None
        self._reading = asyncio.Lock()

    @property
    def quota(self) -> Quota:
        """As of the last answer."""
        return self._client.quota

    @property
    def condition(self) -> Condition:
        """As of now."""
        return self._client.condition

    @property
    def lists(self) -> bool:
        """Whether a list is configured."""
        return self._configuration.list_path is not None

    async def close(self) -> None:
        """End the connections."""
        await self._client.close()

    def device_key_of(self, body: bytes, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002 - the Protocol's signature
        """What `notification_key` finds; None where it finds nothing. Raises BadNotification."""
        if self._notification_key is None:
            return None
        try:
            found = self._notification_key.of(read_json(body))
        except Unreadable as error:
            raise BadNotification(f"the notification cannot be read: {error}") from error
        if found is None or found == "":
            return None
        key = text(found)
        if key is None or not self._is_key(key):
            raise BadNotification(f"`{self._notification_key.source}` is not the key of a device in it")
        return key

    async def fetch(self, device_key: str) -> Posture | Gone:
        """The device by itself, or from a list that is at most a minute old."""
        if not self._is_key(device_key):
            raise SourceRefused("that is not the key of a device there")
        path = self._configuration.fetch_path
        if path is None:
            return await self._listed(device_key)
        answer = await self._client.get(_filled(path, "device_key", device_key), self._headers)
        if answer.status == 404:
            return Gone(self.name, device_key, self._now())
        found = document(answer)
        try:
            if self._gone is not None and self._gone.of(found) is True:
                return Gone(self.name, device_key, self._now())
            item = self._fetch_item.of(found)
            if not isinstance(item, dict):
                raise SourceUnavailable("there is no device in its answer, which says nothing of it")
            item = {**item, **await self._also(device_key)}
            said = self._map.key(item)
            if said is not None and said.casefold() != device_key.casefold():
                raise SourceUnavailable("it answered with another device than the one that was asked for")
            return self._map.posture(self.name, device_key, item, self._now())
        except Unreadable as error:
            raise SourceUnavailable(f"its answer cannot be read: {error}") from error

    async def list(self, progress: Callable[[int, int | None], None] | None = None) -> AsyncIterator[str]:
        """The keys of all devices, in the order of the source; none where no list is configured."""
        began = self._now()
        postures: dict[str, Posture] = {}
        seen: set[str] = set()
        async for rows, total in self._pages():
            keyed = self._keyed(rows)
            new = [key for key in keyed if key not in seen]
            if keyed and not new:  # some repeat their last page for ever
                break
            seen.update(new)
            for key in new:
                if self._configuration.fetch_path is None:
                    postures[key] = self._row_posture(key, keyed[key])
                yield key
            if progress is not None:
                progress(len(seen), total)
        self._listing = _Listing(began, postures)

    async def find(
        self, device_id: str | None = None, *, imei: str | None = None, serial: str | None = None
    ) -> Posture | None:
        """Look up by the first that is given; what is found must have it."""
        wanted = next(((k, v) for k, v in zip(LOOK_UPS, (device_id, imei, serial), strict=True) if v), None)
        if wanted is None:
            return None
        kind, value = wanted
        path = self._configuration.find_paths.get(kind)
        if path is not None:
            candidates = await self._looked_up(_filled(path, kind, value))
        elif self._configuration.fetch_path is None and self.lists:
            candidates = tuple((await self._fresh()).postures.values())
        else:
            return None
        found = [one for one in candidates if _has(one, kind, value)]
        return found[0] if len(found) == 1 else None

    async def _looked_up(self, path: str) -> Sequence[Posture]:
        answer = await self._client.get(path, self._headers)
        if answer.status == 404:
            return ()
        try:
            items = self._find_items.of(document(answer))
            items = items if isinstance(items, list | tuple) else [items]
        except Unreadable as error:
            raise SourceUnavailable(f"its answer cannot be read: {error}") from error
        keyed = self._keyed(items)
        if self._configuration.fetch_path is None:
            return [self._row_posture(key, item) for key, item in keyed.items()]
        fetched = [await self.fetch(key) for key in list(keyed)[:_MOST_FOUND]]
        return [one for one in fetched if not isinstance(one, Gone)]

    async def _also(self, device_key: str) -> dict[str, Any]:
        more: dict[str, Any] = {}
        for name, path in self._configuration.also.items():
            answer = await self._client.get(_filled(path, "device_key", device_key), self._headers)
            if answer.status == 404:  # an expression that counts failures would find none
                raise SourceUnavailable(f"it has no `{name}` for the device")
            more[name] = document(answer)
        return more

    async def _listed(self, device_key: str) -> Posture:
        listing = await self._fresh()
        found = listing.postures.get(device_key)
        if found is None:
            raise SourceUnavailable("its list does not show the device, which does not prove that it is gone")
        return found

    async def _fresh(self) -> _Listing:
        async with self._reading:
            listing = self._listing
            age = (self._now() - listing.read_at).total_seconds() if listing is not None else float("inf")
            if listing is None or not 0 <= age <= self._configuration.listing_seconds:
                async for _ in self.list():
                    pass
                listing = self._listing
            assert listing is not None
            return listing

    async def _pages(self) -> AsyncIterator[tuple[Sequence[Any], int | None]]:
        path = self._configuration.list_path
        if path is None:
            return
        following: str | None = self._pager.first(path)
        url = path
        asked: set[str] = set()
        listed = 0
        for page in range(_MOST_PAGES):
            if following is None:
                return
            url = following if page == 0 or not self._pager.by_link else self._client.resolve(following, url)
            if url in asked:
                raise SourceUnavailable("its pages lead in a circle")
            asked.add(url)
            answer = await self._client.get(url, self._headers, patience=LISTING_PATIENCE)
            if answer.status == 404:
                raise SourceRefused("it has no list at the configured path (404)")
            try:
                found = document(answer)
                rows = self._list_items.of(found)
                if not isinstance(rows, list):
                    raise SourceUnavailable("there is no list of devices in its answer")
                listed += len(rows)
                yield rows, self._pager.total(found)
                following = self._pager.following(path, found, answer.headers, page=page, rows=len(rows), listed=listed)
            except Unreadable as error:
                raise SourceUnavailable(f"its answer cannot be read: {error}") from error
        raise SourceUnavailable(f"its list did not end after {_MOST_PAGES} pages")

    def _row_key(self, row: Any) -> str | None:
        key = text(self._list_key.of(row)) if self._list_key is not None else self._map.key(row)
        return key if key is not None and self._is_key(key) else None

    def _keyed(self, rows: Sequence[Any]) -> dict[str, Any]:
        try:
            return {key: row for row in rows if (key := self._row_key(row)) is not None}
        except Unreadable as error:
            raise SourceUnavailable(f"a device in its list cannot be read: {error}") from error

    def _row_posture(self, key: str, row: Any) -> Posture:
        try:
            return self._map.posture(self.name, key, row, self._now())
        except Unreadable as error:
            raise SourceUnavailable(f"a device in its list cannot be read: {error}") from error

    def _is_key(self, key: str) -> bool:
        return self._pattern.fullmatch(key) is not None and key not in (".", "..")


def check(configuration: GenericConfiguration) -> None:
    """Raise ValueError, which says what to change, unless the configuration can work."""
    if configuration.fetch_path is None and configuration.list_path is None:
        raise ValueError("a generic source needs `fetch_path`, or `list_path`, or both")
    if configuration.notification_key is not None and configuration.fetch_path is None:
        raise ValueError("a source whose notifications are listened to needs `fetch_path`, to ask for the one device")
    try:
        re.compile(configuration.key_pattern)
    except re.error as error:
        raise ValueError(f"`key_pattern` is not a regular expression: {error}") from error
    paths: list[tuple[str, str | None, str | None]]
    paths = [("list_path", configuration.list_path, None), ("fetch_path", configuration.fetch_path, "device_key")]
    paths += [(f"also.{name}", path, "device_key") for name, path in configuration.also.items()]
    for kind, find_path in configuration.find_paths.items():
        if kind not in LOOK_UPS:
            raise ValueError(f"`find_paths` are by {', '.join(LOOK_UPS)}, not by `{kind}`")
        paths.append((f"find_paths.{kind}", find_path, kind))
    for name, path, placeholder in paths:
        if path is not None:
            _check_path(name, path, placeholder)


def _check_path(name: str, path: str, placeholder: str | None) -> None:
    if not path.startswith("/") or path.startswith("//") or "#" in path or ".." in path.partition("?")[0].split("/"):
        raise ValueError(f"`{name}` is a path that begins with one `/`, without `..` and `#`")
    used = set(_PLACEHOLDER.findall(path))
    if used != ({placeholder} if placeholder is not None else set()):
        wanted = f"has `{{{placeholder}}}` in it" if placeholder is not None else "has nothing in braces"
        raise ValueError(f"`{name}` {wanted}")


def _filled(path: str, placeholder: str, value: str) -> str:
    return path.replace(f"{{{placeholder}}}", quote(value, safe=""))


def _optional(source: str | None) -> Expression | None:
    return Expression(source) if source is not None else None


def _has(posture: Posture, kind: str, value: str) -> bool:
    if kind == "device_id":
        return value.upper() in posture.device_ids
    return word((posture.imei if kind == "imei" else posture.serial) or "") == word(value)

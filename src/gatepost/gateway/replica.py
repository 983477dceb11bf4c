"""A gateway's copy of the rules: complete, current, and aware of its own age."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, TypeVar

import structlog

from gatepost.engine import RuleSet
from gatepost.gateway.expiring import Expiring
from gatepost.model import (
    AccessControlRule,
    Change,
    Device,
    Group,
    Kind,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
    User,
)
from gatepost.store import feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from gatepost.store.database import Store

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.5  # long enough not to spin while the store is away, short enough to be back within a second


class Replica:
    """Every organization's RuleSet, by id, as of `revision`.

    `on_change` is called on the event loop after each batch: with the changes, or with None when everything was loaded
    again. Devices are handed on (`devices` at load, Kind.DEVICE changes later) and not kept here.
    """

    def __init__(
        self,
        store: Store,
        on_change: Callable[[Sequence[Change] | None], None],
        *,
        bridge_deny_wins: bool = False,
    ) -> None:
        self.rulesets: dict[str, RuleSet] = {}
        self.domains: dict[str, str] = {}
        self.devices: tuple[Device, ...] = ()
        self.revision = 0
        self._epoch = ""
        self._store = store
        self._on_change = on_change
        self._bridge_deny_wins = bridge_deny_wins
        self._expiring = Expiring()
        self._heard = float("-inf")
        self._broken = False
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def age(self) -> float:
        """Seconds since the store was last known to hold nothing newer."""
        return time.monotonic() - self._heard

    @property
    def heard(self) -> float:
        """The moment (time.monotonic) at which the store last answered."""
        return self._heard

    async def reach(self, revision: int, seconds: float) -> bool:
        """Wait until these rules are those of `revision`, for `seconds` at most; False when they are not yet."""
        if self.revision >= revision:
            return True
        awaited = (revision, asyncio.get_running_loop().create_future())
        self._awaited.append(awaited)
        try:
            async with asyncio.timeout(seconds):
                await awaited[1]
        except TimeoutError:
            return False
        finally:
            if awaited in self._awaited:
                self._awaited.remove(awaited)
        return True

    def _tell(self) -> None:
        """Those who wait for a revision that is reached now."""
        for revision, reached in tuple(self._awaited):
            if revision <= self.revision and not reached.done():
                reached.set_result(None)

    def load(self) -> None:
        """Read everything once, before the first phone is let near; blocks."""
        self._install(*self._read())

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Follow the feed from here on."""
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="replica", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following; blocks until the thread has gone."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        epoch, after = self._epoch, self.revision
        lost = False
        while not self._stop.is_set():
            try:
                for changes in feed.watch(self._store, epoch, after, self._stop):
                    lost = _found(lost=lost)
                    if self._broken:
                        raise feed.Compacted("a change could not be applied")  # noqa: TRY301 - the same way out
                    after = changes[-1].revision if changes else after
                    self._post(loop, self._apply, changes, time.monotonic())
            except feed.Compacted:
                log.info("replica.load_again", revision=after)
                loaded = self._read_again()
                if loaded is not None:
                    epoch, after = loaded[0].epoch, loaded[0].revision
                    self._post(loop, self._reinstall, *loaded)
            except Exception as error:  # noqa: BLE001 - the store is away: keep deciding, grow older, try again
                if not lost:
                    log.warning("replica.store_lost", error=str(error), revision=after)
                lost = True
                self._stop.wait(_RETRY_SECONDS)

    def _read_again(self) -> tuple[feed.Snapshot, dict[str, RuleSet], float] | None:
        try:
            return self._read()
        except Exception as error:  # noqa: BLE001 - whatever it was, the gateway goes on with what it has
            log.warning("replica.load_failed", error=str(error))
            self._stop.wait(_RETRY_SECONDS)
            return None

    def _read(self) -> tuple[feed.Snapshot, dict[str, RuleSet], float]:
        return _read(self._store, bridge_deny_wins=self._bridge_deny_wins)

    def _post(self, loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
        if loop.is_closed():  # nobody is left to follow for
            self._stop.set()
        elif not self._stop.is_set():
            loop.call_soon_threadsafe(function, *arguments)

    def _apply(self, changes: Sequence[Change], heard: float) -> None:
        if self._broken:  # nothing newer makes sense, and the rules grow older, until everything is loaded again
            return
        if changes:
            try:
                self._take(changes)
            except Exception:
                self._broken = True
                log.exception("replica.change_not_applied", revision=self.revision)
                return
        self._heard = heard
        if changes:
            self._on_change(changes)
            self._tell()

    def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind is Kind.DEVICE:
                continue
            ruleset = self.rulesets.get(change.organization_id)
            if ruleset is not None:
                self.rulesets[change.organization_id] = ruleset.apply(change)
            elif isinstance(change.noun, Organization):
                self.rulesets[change.organization_id] = RuleSet.build(
                    change.noun, revision=change.revision, bridge_deny_wins=self._bridge_deny_wins
                )
            if isinstance(change.noun, MobileDeviceAccessOverride):
                self._expiring.add(change.noun)
            if change.kind is Kind.ORGANIZATION:
                self._index_domains()
        self.revision = changes[-1].revision

    def expire(self, now: datetime) -> None:
        """Go without overrides whose time is up, until the store does too: an ALLOW ends on time whoever else is down."""
        gone = []
        for override in self._expiring.due(now):
            ruleset = self.rulesets.get(override.organization_id)
            after = ruleset if ruleset is None else ruleset.without(override)
            if after is not None and after is not ruleset:
                self.rulesets[override.organization_id] = after
                key = (override.user_id, override.device_id, override.owner.value)
                kind = Kind.MOBILE_DEVICE_ACCESS_OVERRIDE
                gone.append(Change(self.revision, override.organization_id, kind, key, None, now))
        if gone:
            self._on_change(gone)

    def _reinstall(self, snapshot: feed.Snapshot, rulesets: dict[str, RuleSet], heard: float) -> None:
        self._install(snapshot, rulesets, heard)
        self._on_change(None)
        self._tell()

    def _install(self, snapshot: feed.Snapshot, rulesets: dict[str, RuleSet], heard: float) -> None:
        self.rulesets = rulesets
        self._broken = False
        self.devices = tuple(noun for noun in snapshot.nouns if isinstance(noun, Device))
        self._expiring = Expiring(noun for noun in snapshot.nouns if isinstance(noun, MobileDeviceAccessOverride))
        self.revision, self._epoch, self._heard = snapshot.revision, snapshot.epoch, heard
        self._index_domains()

    def _index_domains(self) -> None:
        self.domains = {
            domain: organization_id
            for organization_id, ruleset in self.rulesets.items()
            if ruleset.organization.state is OrganizationState.ACTIVE
            for domain in ruleset.organization.domains
        }


def _read(store: Store, *, bridge_deny_wins: bool) -> tuple[feed.Snapshot, dict[str, RuleSet], float]:
    heard = time.monotonic()
    snapshot = feed.load(store)
    organizations = [noun for noun in snapshot.nouns if isinstance(noun, Organization)]
    users = _by_organization(noun for noun in snapshot.nouns if isinstance(noun, User))
    rules = _by_organization(noun for noun in snapshot.nouns if isinstance(noun, MobileDeviceAccessRule))
    overrides = _by_organization(noun for noun in snapshot.nouns if isinstance(noun, MobileDeviceAccessOverride))
    access = _by_organization(noun for noun in snapshot.nouns if isinstance(noun, AccessControlRule))
    groups = _by_organization(noun for noun in snapshot.nouns if isinstance(noun, Group))
    rulesets = {
        organization.organization_id: RuleSet.build(
            organization,
            users=users.get(organization.organization_id, ()),
            rules=rules.get(organization.organization_id, ()),
            overrides=overrides.get(organization.organization_id, ()),
            access_control_rules=access.get(organization.organization_id, ()),
            groups=groups.get(organization.organization_id, ()),
            revision=snapshot.revision,
            bridge_deny_wins=bridge_deny_wins,
        )
        for organization in organizations
    }
    return snapshot, rulesets, heard


_N = TypeVar("_N", User, MobileDeviceAccessRule, MobileDeviceAccessOverride, AccessControlRule, Group)


def _by_organization(nouns: Iterable[_N]) -> dict[str, list[_N]]:
    grouped: dict[str, list[_N]] = {}
    for noun in nouns:
        grouped.setdefault(noun.organization_id, []).append(noun)
    return grouped


def _found(*, lost: bool) -> bool:
    if lost:
        log.info("replica.store_found")
    return False

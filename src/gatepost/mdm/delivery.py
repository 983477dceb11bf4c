"""Delivery to a target that is elsewhere: for each device that was settled here, the difference is written there.

Theory of operation. The settling transaction marks a row of the target's own dirty, so a target that is slow or away keeps
nobody waiting, and each has its own back-off; a row whose target does not answer is never given up. It is decided anew from
what is remembered of the device, so that the order of rows plays no part, and is looked at again when an ALLOW or a time of
grace ends: there is nothing there that ends by itself. Nothing can be fenced there either: the lease is looked at before each write,
and every write is read back.

What stands in `mdm_applied` leads: no call is made for what it says is as it should be. So it is written before a call that
changes an effect, as something that has ended already: whoever finds that after a crash, or after an answer that never came,
looks at what is there, and takes it for nobody else's act. Access is taken away before any is given, and one override that
cannot be written does not hold up the device's others. After each sweep everything that is there is listed, and what differs
from the rows is doubted, and delivered again (`drift`), by whichever bridge comes to it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gatepost.engine.posture import Expression
from gatepost.mdm.claiming import Claiming
from gatepost.mdm.deciding import Decided, decide
from gatepost.mdm.drift import Drift
from gatepost.mdm.lasting import lasting
from gatepost.mdm.settling import back_off, target_key
from gatepost.mdm.targets.base import TOLD, Action, Conflict, Present, no_longer_wanted, slack_of, step
from gatepost.mdm.targets.mark import write_mark
from gatepost.mdm.targets.workmail import NoSuchUser, NotEnabled, TargetRefused, TargetUnavailable
from gatepost.model import AppliedOverride, Effect
from gatepost.store import mdm_applied, mdm_devices, mdm_work

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime, timedelta

    from gatepost.mdm.claiming import Call
    from gatepost.mdm.metrics import BridgeMetrics
    from gatepost.mdm.options import BridgeOptions
    from gatepost.mdm.targets.base import Wish
    from gatepost.mdm.targets.workmail import WorkMailTarget
    from gatepost.model import Claim
    from gatepost.store.database import Store

log = structlog.get_logger(__name__)

_AT_A_TIME = 2
_RUN_SECONDS = 60.0  # half a lease
_NEVER = 1_000_000_000
_PAGE = 500


class _LostError(Exception):
    """Somebody else has the row."""


@dataclass(frozen=True, slots=True)
class _There:
    """Whose addresses are at the target, for `decide`."""

    organization_id: str
    users: Mapping[str, str | None]

    def of(self, _: str) -> Callable[[str], str | None]:
        return self._user_of

    def _user_of(self, address: str) -> str | None:
        user = self.users.get(address)
        return None if user is None else f"{self.organization_id}/{user}"

    def to_be_taken_up(self, _: str) -> str | None:
        return None


class Delivery:
    """Writes one target."""

    def __init__(
        self,
        store: Store,
        call: Call,
        target: WorkMailTarget,
        options: BridgeOptions,
        *,
        sources: Collection[str],
        metrics: BridgeMetrics,
    ) -> None:
        self._store = store
        self._call = call
        self._target = target
        self._options = options
        self._sources = frozenset(sources)
        self._metrics = metrics
        self._slack = slack_of(options.policy)
        self._drift = Drift(store, call, target, self._sources)
        self._key = target_key(target.name)
        self._claiming = Claiming(store, call, lambda: (self._key,), self.deliver, limit=_AT_A_TIME, park_after=_NEVER)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(lasting("delivery", self._claiming.run))

    async def stop(self) -> None:
        """Deliver no more; a write that is under way is completed or repeated by whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._claiming.stop()

    async def deliver(self, claim: Claim) -> None:
        """One device's overrides."""
        source, _, device_key = claim.device_key.partition("/")
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                decided = await self._decided(source, device_key)
                ends, refused = await self._write_all(claim, decided.wishes)
        except _LostError:
            return
        except (TargetUnavailable, TimeoutError) as error:
            log.warning("mdm.target_away", target=self._target.name, error=str(error) or "it takes too long")
            await self._call(self._fail, claim, str(error) or "it takes too long", _NEVER)
            return
        if refused is not None:
            about = {"target": self._target.name, "source": source, "device": device_key}
            log.warning("mdm.target_refused", error=str(refused), **about)
            await self._call(self._fail, claim, str(refused), self._options.park_after)
            return
        looks = [one for one in (*ends, decided.look_again) if one is not None]
        await self._call(self._done, claim, min(looks, default=None))
        self._metrics.settled(self._key, "done")

    async def _write_all(self, claim: Claim, wishes: Iterable[Wish]) -> tuple[list[datetime], TargetRefused | None]:
        """When the ALLOWs that then stand end, and the last refusal."""
        ends: list[datetime] = []
        refused: TargetRefused | None = None
        for wish in sorted(wishes, key=lambda one: one.expression is Expression.PUT_ALLOW):
            try:
                end = await self._write(claim, wish)
            except TargetRefused as error:
                refused = error
            else:
                ends += [] if end is None else [end]
        return ends, refused

    async def look_through(self) -> None:
        """Deliver again what differs between what is there and what was written last; take over what only has the mark."""
        await self._drift.look_through()

    async def _decided(self, source: str, device_key: str) -> Decided:
        users: dict[str, str | None] = {}
        while True:
            decided, unknown = await self._call(self._decide, source, device_key, users)
            if not unknown:
                return decided
            for address in sorted(unknown):
                users[address] = await self._target.user_of(address)

    def _decide(self, source: str, device_key: str, users: Mapping[str, str | None]) -> tuple[Decided, set[str]]:
        """What is wanted there, or whose addresses have to be known first."""
        with self._store.read() as reader:
            written = mdm_applied.of_device(reader, source, device_key, self._target.name)
            known = mdm_devices.known(reader, source, device_key)
            if known is None:
                return Decided(tuple(no_longer_wanted(one) for one in written), None), set()
            related = mdm_devices.related(reader, known)
            addresses = {address for one in related for address in one.addresses}
            if addresses - users.keys():
                return Decided((), None), addresses - users.keys()
            there = _There(self._target.organization_id, users)
            policy, sources = self._options.policy, self._sources
            return decide(related, known, there, policy, reader.now, sources=sources, written=written), set()

    async def _write(self, claim: Claim, wish: Wish) -> datetime | None:
        """The difference for one (user, device); when its ALLOW ends, None where it has none."""
        applied, now = await self._call(self._applied, claim, wish)
        pair = (self._target.organization_id, wish.user_id, wish.device_id)
        if applied is not None and applied.theirs_since is not None:
            self._metrics.conflict(pair, Conflict.EDITED)
        wish = _on_time(wish, applied, now)
        doubtful = applied is not None and applied.doubtful_since is not None
        if not doubtful and _as_written(wish, applied, now, self._slack):
            return _ends(applied)
        try:
            present = await self._target.get(wish.user_id, wish.device_id)
        except NoSuchUser as error:
            await self._nobody(claim, wish, applied, now, error)
            return None
        if present is not None and applied is not None:
            if present.owned:  # it is this bridge's, whatever was remembered of the last write
                applied = replace(applied, effect=present.effect, description=present.description)
            present = replace(present, expires=applied.expires)
        todo = step(wish, applied, present, now, self._slack)
        self._metrics.conflict(pair, todo.conflict)
        applied = await self._do(claim, wish, todo.action, applied, now)
        if todo.action in TOLD:
            about = {
                "source": wish.verdict.source,
                "device": wish.verdict.device_key,
                "reason": wish.verdict.reason.value,
            }
            log.info("mdm.override", target=self._target.name, action=todo.action.value, **about)
        return _ends(applied)

    async def _do(
        self, claim: Claim, wish: Wish, action: Action, applied: AppliedOverride | None, now: datetime
    ) -> AppliedOverride | None:
        """Take the step; what is to be remembered of it then."""
        match action:
            case Action.PUT:
                return await self._put(claim, wish, applied, now)
            case Action.DELETE:
                await self._delete(claim, wish, applied, now)
                return None
            case Action.FORGET:
                await self._call(self._remember, claim, wish, None)
                return None
        seen = applied
        if seen is not None and action is Action.YIELD:
            seen = replace(seen, theirs_since=now)
        if seen is not None:
            seen = replace(seen, doubtful_since=None)
        if seen != applied:
            await self._call(self._remember, claim, wish, seen)
        return seen

    async def _put(
        self, claim: Claim, wish: Wish, before: AppliedOverride | None, now: datetime
    ) -> AppliedOverride | None:
        assert wish.effect is not None
        description = write_mark(self._target.instance, wish.verdict, wish.effect, now)
        applied = AppliedOverride(
            target=self._target.name,
            organization_id=self._target.organization_id,
            user_id=wish.user_id,
            device_id=wish.device_id,
            effect=wish.effect,
            description=description,
            expires=wish.verdict.expires,
            source=wish.verdict.source,
            device_key=wish.verdict.device_key,
            written_at=now,
        )
        if before is None or before.effect is not wish.effect:
            await self._call(self._remember, claim, wish, replace(applied, expires=now))
        await self._call(self._still, claim)
        try:
            await self._target.put(wish.user_id, wish.device_id, wish.effect, description)
        except NoSuchUser as error:
            await self._nobody(claim, wish, before, now, error)
            return None
        await self._call(self._remember, claim, wish, applied)
        return applied

    async def _nobody(
        self, claim: Claim, wish: Wish, written: AppliedOverride | None, now: datetime, error: NoSuchUser
    ) -> None:
        """There is no such user: his overrides went with him. Is he only not enabled, what was written is to be looked at."""
        self._target.forget_users()
        if written is not None:
            written = replace(written, doubtful_since=now) if isinstance(error, NotEnabled) else None
        await self._call(self._remember, claim, wish, written)

    async def _delete(self, claim: Claim, wish: Wish, applied: AppliedOverride | None, now: datetime) -> None:
        if applied is not None:
            await self._call(self._remember, claim, wish, replace(applied, expires=now))
        await self._call(self._still, claim)
        try:
            await self._target.delete(wish.user_id, wish.device_id)
        except NoSuchUser as error:
            await self._nobody(claim, wish, applied, now, error)
            return
        await self._call(self._remember, claim, wish, None)

    def _applied(self, claim: Claim, wish: Wish) -> tuple[AppliedOverride | None, datetime]:
        with self._store.bookkeeping() as writer:  # the fence locks the row, which PostgreSQL refuses a reader
            if not mdm_work.holds(writer, claim):
                raise _LostError
            pair = (self._target.organization_id, wish.user_id, wish.device_id)
            return mdm_applied.get(writer, self._target.name, *pair), writer.now

    def _still(self, claim: Claim) -> None:
        with self._store.bookkeeping() as writer:
            if not mdm_work.holds(writer, claim):
                raise _LostError

    def _remember(self, claim: Claim, wish: Wish, applied: AppliedOverride | None) -> None:
        with self._store.bookkeeping() as writer:
            if not mdm_work.holds(writer, claim):
                raise _LostError
            if applied is None:
                pair = (self._target.organization_id, wish.user_id, wish.device_id)
                mdm_applied.delete(writer, self._target.name, *pair)
            else:
                mdm_applied.put(writer, applied)

    def _done(self, claim: Claim, again: datetime | None) -> None:
        with self._store.bookkeeping() as writer:
            mdm_work.done(writer, claim, again)

    def _fail(self, claim: Claim, error: str, park_after: int) -> None:
        with self._store.bookkeeping() as writer:
            mdm_work.fail(writer, claim, error, writer.now + back_off(claim.attempts), park_after)


def _as_written(wish: Wish, applied: AppliedOverride | None, now: datetime, slack: timedelta) -> bool:
    """Whether nothing needs to be asked or written, if what was written last is still there."""
    if applied is None:
        return wish.expression in {Expression.REMOVE, Expression.KEEP}
    if applied.theirs_since is not None:
        return True
    there = Present(applied.effect, applied.description, applied.expires)
    return step(wish, applied, there, now, slack).action is Action.NOTHING


def _on_time(wish: Wish, applied: AppliedOverride | None, now: datetime) -> Wish:
    """The wish; to remove what is to be kept, and whose time is up: nothing there ends by itself."""
    ends = _ends(applied)
    ended = wish.expression is Expression.KEEP and ends is not None and ends <= now
    return replace(wish, expression=Expression.REMOVE) if ended else wish


def _ends(applied: AppliedOverride | None) -> datetime | None:
    if applied is None or applied.theirs_since is not None or applied.effect is not Effect.ALLOW:
        return None
    return applied.expires

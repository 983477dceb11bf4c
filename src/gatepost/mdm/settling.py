"""What comes of having asked a source about devices: remembered, decided and written, several devices in one transaction.

Theory of operation. A device's fence, its posture, its overrides here, and the end of its claim are one transaction, so
that a worker that has lost its lease writes nothing, and a crash loses nothing. A durable commit costs milliseconds, so
the devices that were answered about meanwhile share one (`turn`), but no more than `_TOGETHER`, because webhooks wait for
the same turn. A target that is elsewhere is told by a dirty row of its own in the same transaction (`delivery`).

404, once: an answer that nobody expected may be a mistake of the source, so what a sweep finds is asked again after five
minutes, and only then the device is gone. But when somebody told of this very device, to find no record is to find it
deleted: its access ends at once, and the second question only settles for how long. An outage changes nothing, except
that time passes: what then only narrows (a grace that is over) is done from memory.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from gatepost.engine.posture import Expression, assess
from gatepost.mdm.deciding import Decided, claimed_ids, decide
from gatepost.mdm.guard import stands
from gatepost.mdm.sources.base import Gone, SourceError, SourceUnavailable
from gatepost.mdm.targets.base import TOLD, no_longer_wanted, renewal, slack_of
from gatepost.mdm.turn import Turn
from gatepost.model import Compliance, Effect, Managed, Posture
from gatepost.store import mdm_applied, mdm_devices, mdm_work
from gatepost.store.database import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gatepost.mdm.metrics import BridgeMetrics
    from gatepost.mdm.options import BridgeOptions
    from gatepost.mdm.targets.base import Wish
    from gatepost.mdm.targets.local import LocalTarget, Planned
    from gatepost.model import AppliedOverride, Claim, KnownDevice
    from gatepost.store.database import Store, Writer
    from gatepost.store.mdm_devices import Remembered

log = structlog.get_logger(__name__)

CONFIRM_GONE = timedelta(minutes=5)
"""Between the two answers that there is no such device."""
HOLD = timedelta(seconds=20)
"""Between two looks at a device that the mass-change guard holds until it has counted enough others."""
HOLD_STANDING = timedelta(hours=1)
"""The same while the guard stands: a sweep marks what it holds, and until then the source is not to be worn out."""

NO_SUCH_USER = "no such user: "
"""How the error of a device begins that is parked because nobody here has its address."""

_TOGETHER = 50  # devices in a transaction: some tens of milliseconds
_LONGEST_BACK_OFF = 300.0


def target_key(target: str) -> str:
    """The `source` of the dirty rows by which devices are delivered to a target that is elsewhere."""
    return f"target:{target}"


def back_off(attempts: int) -> timedelta:
    """How long to wait after so many attempts: full jitter, up to five minutes."""
    return timedelta(seconds=random.uniform(0.2, min(_LONGEST_BACK_OFF, 2.0**attempts)))  # noqa: S311 - spreads


class Outcome(StrEnum):
    """What became of a claim."""

    DONE = "done"
    LOST = "lost"
    MOVED = "moved"
    HELD = "held"
    PARKED = "parked"
    FAILED = "failed"
    PUT_OFF = "put off"


@dataclass(frozen=True, slots=True)
class Looked:
    """A claim and what the source answered; `paused` is until when the source is not asked, where that is known."""

    claim: Claim
    answer: Posture | Gone | Exception
    paused: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, to be told once it is committed."""

    looked: Looked
    outcome: Outcome
    planned: tuple[Planned, ...] = ()


class Settling:
    """Blocking; one call at a time, as transactions follow each other in any case.

    A device that was told of while it was asked about is looked at again after a `pause`.
    """

    def __init__(
        self,
        store: Store,
        options: BridgeOptions,
        sources: Iterable[str],
        targets: tuple[LocalTarget | None, Sequence[str]],
        metrics: BridgeMetrics,
        *,
        pause: timedelta = timedelta(0),
    ) -> None:
        self._store = store
        self._options = options
        self._pause = pause
        self._sources = frozenset(sources)
        self._local, self._remote = targets
        self._counted_at = self._local.name if self._local is not None else next(iter(self._remote), "")
        self.metrics = metrics
        self._slack = slack_of(options.policy)

    def settle(self, looked: Sequence[Looked]) -> list[Outcome]:
        """Settle all of them; their outcomes in the order of the claims' keys. Raises StoreError: then some are not."""
        self._move(looked)
        # in the order of their keys: whoever marks several devices dirty does so too, and nobody waits in a circle
        ordered = sorted(looked, key=lambda one: (one.claim.source, one.claim.device_key))
        some = (ordered[start : start + _TOGETHER] for start in range(0, len(ordered), _TOGETHER))
        return [outcome for one in some for outcome in self._turn(one)]

    def _move(self, looked: Sequence[Looked]) -> None:
        """A device that the source calls by another key is looked at under that one, by its own fence.

        So is one that is not there under the other name by which a notification called it.
        """
        moved: dict[tuple[str, str], bool] = {}
        gone: dict[str, set[str]] = {}
        for one in looked:
            key = _moved_to(one)
            if key is not None:
                moved[one.claim.source, key] = one.claim.urgent
            if isinstance(one.answer, Gone) and one.claim.urgent:
                gone.setdefault(one.claim.source, set()).add(one.claim.device_key)
        if gone:
            with self._store.read() as reader:
                for source, keys in gone.items():
                    moved |= {(source, key): True for key in mdm_devices.called(reader, source, keys)}
        if moved:
            with self._store.bookkeeping() as writer:
                for urgent in (False, True):
                    mdm_work.dirty_many(writer, [key for key, its in moved.items() if its is urgent], urgent=urgent)

    def _turn(self, looked: Sequence[Looked]) -> list[Outcome]:
        """One transaction's worth."""
        try:
            with self._store.begin() as transaction:
                turn = Turn(
                    transaction,
                    {one.claim: one.answer for one in looked},
                    local=self._local,
                    organizations=self._options.organizations,
                    counted_at=self._counted_at,
                    pause=self._pause,
                )
                reports = [self._one(turn, one) for one in looked]
                turn.write()
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a device that cannot be handled does not hold up the others
            if len(looked) > 1:
                return [outcome for one in looked for outcome in self._turn([one])]
            reports = [self._poisoned(looked[0], error)]
        for report in reports:
            self._tell(report)
        return [report.outcome for report in reports]

    def _poisoned(self, looked: Looked, error: Exception) -> Report:
        log.error("mdm.not_settled", source=looked.claim.source, device=looked.claim.device_key, exc_info=error)
        with self._store.bookkeeping() as writer:
            return Report(looked, self._failed(writer, looked.claim, "an error of the bridge: its log says more"))

    def _one(self, turn: Turn, looked: Looked) -> Report:
        transaction, claim, answer = turn.transaction, looked.claim, looked.answer
        if not turn.holds(claim):
            return Report(looked, Outcome.LOST)
        if _moved_to(looked) is not None:
            turn.end(claim)
            return Report(looked, Outcome.MOVED)
        device, again = self._remembered(turn, looked)
        known = None if device is None else device.known
        written = [] if turn.pairs is None else turn.pairs.of_device(claim.source, claim.device_key)
        decided = self._decide(turn, known, written)
        wishes = tuple(map(_narrowing, decided.wishes)) if isinstance(answer, Exception) else decided.wishes
        planned: Sequence[Planned] = ()
        if self._local is not None and turn.pairs is not None:
            planned = self._local.plan(transaction, turn.pairs, wishes, self._slack)
        if not self._may(turn, looked, known, planned):
            # as if it had not been asked: what is known and what is written belong together
            self._take_stand(turn, claim.source)
            stand = stands(turn.guard(claim.source).state)
            turn.end(claim, transaction.now + (HOLD_STANDING if stand else HOLD))
            return Report(looked, Outcome.HELD)
        if device is not None:
            turn.remember(device)
        ends = None
        if self._local is not None and turn.pairs is not None:
            ends = self._local.apply(transaction, turn.pairs, planned, known, turn.everybody)
        turn.mark(
            [(target_key(name), f"{claim.source}/{claim.device_key}") for name in self._remote], urgent=claim.urgent
        )
        looks = [again, decided.look_again, None if ends is None else renewal(ends, transaction.now, self._slack)]
        outcome = self._conclude(turn, looked, decided, min((one for one in looks if one is not None), default=None))
        return Report(looked, outcome, tuple(planned))

    def _remembered(self, turn: Turn, looked: Looked) -> tuple[Remembered | None, datetime | None]:
        """The device after this answer, and when it must be asked about again to be sure of it."""
        claim, answer, now = looked.claim, looked.answer, turn.transaction.now
        before = turn.remembered(claim.source, claim.device_key)
        if isinstance(answer, Posture):
            match = self._options.match.get(claim.source, frozenset())
            claimed = claimed_ids(turn.transaction, answer, turn.everybody.addresses(claim.source), match)
            if claimed:
                answer = replace(answer, device_ids=(*answer.device_ids, *claimed))
            return mdm_devices.after(before, answer), None
        if not isinstance(answer, Gone) or before is None or before.posture.gone:
            return before, None
        since = before.missing_since or now
        if now - since >= CONFIRM_GONE:
            return mdm_devices.gone(before, now), None
        if claim.urgent and before.posture.managed is not Managed.NO:
            before = mdm_devices.after(before, _unmanaged(before.posture, answer.observed_at))
            since = now
        return replace(before, missing_since=since), since + CONFIRM_GONE

    def _decide(self, turn: Turn, known: KnownDevice | None, written: Sequence[AppliedOverride]) -> Decided:
        if known is not None:
            now, policy, everybody = turn.transaction.now, self._options.policy, turn.everybody
            return decide(turn.related(known), known, everybody, policy, now, sources=self._sources, written=written)
        # Nothing accounts for what was written for a device that is not known (any more).
        return Decided(tuple(no_longer_wanted(one) for one in written), None)

    def _may(self, turn: Turn, looked: Looked, known: KnownDevice | None, planned: Sequence[Planned]) -> bool:
        """Whether the mass-change guard lets this be written; what is no answer does not count as a look."""
        claim = looked.claim
        had, turns = self._turns(turn, claim, known, planned)
        guard = turn.guard(claim.source)
        if not turns:
            guard.saw(claim.device_key, allowed=had and not isinstance(looked.answer, Exception))
            return True
        if claim.urgent:
            guard.let(claim.device_key)
            return True
        return guard.may_turn(claim.device_key)

    def _take_stand(self, turn: Turn, source: str) -> None:
        guard = turn.guard(source)
        if guard.too_many and not stands(guard.state):
            reason = f"{guard.turned} of {guard.known} devices that are allowed would not be"
            turn.take_stand(source, reason)
            log.error("mdm.guard_stands", source=source, reason=reason)

    def _turns(
        self, turn: Turn, claim: Claim, known: KnownDevice | None, planned: Sequence[Planned]
    ) -> tuple[bool, bool]:
        """Whether the device has an ALLOW, and whether it is to lose one."""
        had = any(one.present is not None and one.present.effect is Effect.ALLOW for one in planned)
        turns = any(one.step.turns for one in planned)
        if self._remote:
            # whose users are there is not known here: what was written there, and what the device itself says, has to do
            written = mdm_applied.of_device(turn.transaction, claim.source, claim.device_key)
            there = any(self._allows(one) for one in written)
            now, policy = turn.transaction.now, self._options.policy
            denied = known is None or assess(known.posture, policy, now, known.moments).effect is Effect.DENY
            had, turns = had or there, turns or (there and denied)
        return had, turns

    def _allows(self, applied: AppliedOverride) -> bool:
        return applied.target in self._remote and applied.effect is Effect.ALLOW and applied.theirs_since is None

    def _conclude(self, turn: Turn, looked: Looked, decided: Decided, again: datetime | None) -> Outcome:
        transaction, claim, answer = turn.transaction, looked.claim, looked.answer
        if isinstance(answer, Exception):
            if isinstance(answer, SourceUnavailable) and (looked.paused is not None or answer.retry_after is not None):
                # the source's fault, and not this device's: that is no attempt
                wait = timedelta(seconds=answer.retry_after or 0) + back_off(2)
                later = max(looked.paused or transaction.now, transaction.now + wait)
                mdm_work.release(transaction, claim, later)
                return Outcome.PUT_OFF
            text = str(answer) if isinstance(answer, SourceError) else "an error of the bridge: its log says more"
            narrows = decided.narrows
            if narrows is not None and narrows > transaction.now and claim.attempts >= self._options.park_after:
                # not given up yet: what is kept for a while is not kept for longer because nobody answers
                mdm_work.fail(transaction, claim, text, narrows, claim.attempts + 1)
                return Outcome.FAILED
            return self._failed(transaction, claim, text)
        if decided.stranger is not None and not self._remote:  # or his users may be there
            mdm_work.park(transaction, claim, f"{NO_SUCH_USER}`{decided.stranger}`")
            return Outcome.PARKED
        turn.end(claim, again)
        return Outcome.DONE

    def _failed(self, writer: Writer, claim: Claim, error: str) -> Outcome:
        again = writer.now + back_off(claim.attempts)
        parked = mdm_work.fail(writer, claim, error, again, self._options.park_after)
        return {True: Outcome.PARKED, False: Outcome.FAILED, None: Outcome.LOST}[parked]

    def _tell(self, report: Report) -> None:
        claim = report.looked.claim
        self.metrics.settled(claim.source, report.outcome.value)
        for one in report.planned:
            wish = one.wish
            pair = (wish.organization_id, wish.user_id, wish.device_id)
            self.metrics.conflict(pair, one.step.conflict)
            if one.step.action in TOLD:
                about = {"source": claim.source, "device": claim.device_key, "reason": wish.verdict.reason.value}
                log.info("mdm.override", action=one.step.action.value, expression=wish.expression.value, **about)
        if report.outcome is Outcome.PARKED:
            log.warning("mdm.parked", source=claim.source, device=claim.device_key, attempts=claim.attempts)


def _moved_to(looked: Looked) -> str | None:
    """The key that the source itself has for the device, where that is not the one that was asked for."""
    if not isinstance(looked.answer, Posture) or looked.answer.device_key == looked.claim.device_key:
        return None
    return looked.answer.device_key


def _narrowing(wish: Wish) -> Wish:
    return replace(wish, expression=Expression.KEEP) if wish.expression is Expression.PUT_ALLOW else wish


def _unmanaged(posture: Posture, observed_at: datetime) -> Posture:
    """What is known of a device that is told of and of which there is no record."""
    return replace(
        posture,
        managed=Managed.NO,
        compliance=Compliance.UNKNOWN,
        compromised=None,
        grace_until=None,
        observed_at=observed_at,
    )

"""What a reconciliation would change: the sources are asked, and the bridge's own judgement is run and rolled back."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gatepost.cli.asking import name_of
from gatepost.cli.screen import moment
from gatepost.mdm.deciding import Addresses, Everybody, claimed_ids, decide
from gatepost.mdm.sources.base import Gone, SourceError
from gatepost.mdm.sources.build import build_source
from gatepost.mdm.targets.base import TOLD, Action, slack_of
from gatepost.mdm.targets.local import LocalTarget
from gatepost.model import Effect, Posture
from gatepost.store import mdm_devices, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatepost.mdm.configuration import BridgeConfiguration, SourceConfiguration
    from gatepost.mdm.targets.base import Step, Wish
    from gatepost.model import KnownDevice
    from gatepost.store.database import Reader, Store, Writer

_TOGETHER = 8  # questions at a time; the source's own rate is kept beside that
_BATCH = 100  # devices that are judged before others may write again


@dataclass(frozen=True, slots=True)
class WouldChange:
    """One override in this store; `conflict` says that a person's decision is there."""

    user: str
    device_id: str
    before: str | None
    after: str | None
    expires: datetime | None
    reason: str
    conflict: str | None
    source: str
    device_key: str


@dataclass(slots=True)
class Changes:
    """What would change, of how many devices; `unanswered` are sources and devices that could not be asked."""

    changes: list[WouldChange] = field(default_factory=list)
    asked: int = 0
    missing: int = 0
    unanswered: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        shown = [asdict(one) | {"expires": moment(one.expires)} for one in self.changes]
        return {"changes": shown, "asked": self.asked, "missing": self.missing, "unanswered": self.unanswered}


def preview(
    store: Store, bridge: BridgeConfiguration, names: Sequence[str], keys: Sequence[tuple[str, str]] | None
) -> Changes:
    """Ask the sources about these devices, or about all that they list or that are known, and judge the answers."""
    changes = Changes()
    for configuration in bridge.sources:
        if configuration.name in names:
            with store.read() as reader:
                wanted = _known_keys(reader, configuration.name)
            chosen = None if keys is None else [key for source, key in keys if source == configuration.name]
            answers = asyncio.run(_ask(configuration, chosen, wanted, changes))
            changes.missing += sum(isinstance(one, Gone) for one in answers)
            for start in range(0, len(answers), _BATCH):
                changes.changes += _judge(store, bridge, configuration, answers[start : start + _BATCH])
    changes.changes = list(dict.fromkeys(changes.changes))  # two devices may speak of one pair, and want the same
    return changes


async def _ask(
    configuration: SourceConfiguration, chosen: list[str] | None, known: list[str], changes: Changes
) -> list[Posture | Gone]:
    source = build_source(configuration)
    answers: list[Posture | Gone] = []
    slots = asyncio.Semaphore(_TOGETHER)

    async def one(key: str) -> None:
        async with slots:
            changes.asked += 1
            try:
                answers.append(await source.fetch(key))
            except SourceError as error:
                changes.unanswered.append(f"device {key} of {source.name}: {error}")

    try:
        keys = dict.fromkeys(known) if chosen is None else dict.fromkeys(chosen)
        if chosen is None and source.lists:
            keys |= dict.fromkeys([key async for key in source.list()])
        await asyncio.gather(*(one(key) for key in keys))
    except SourceError as error:
        changes.unanswered.append(f"{source.name}: {error}")
    finally:
        await source.close()
    return answers


def _known_keys(reader: Reader, source: str) -> list[str]:
    found: list[str] = []
    while page := mdm_devices.keys(reader, source, found[-1] if found else None, 1000):
        found += page
    return found


class _RolledBack(Exception):  # noqa: N818 - it is what happens
    """Nothing of it stays."""


def _judge(
    store: Store, bridge: BridgeConfiguration, configuration: SourceConfiguration, answers: list[Posture | Gone]
) -> list[WouldChange]:
    """As the worker does it, in a transaction that is not committed."""
    found: list[WouldChange] = []
    with _rolled_back(store) as writer:
        everybody = Everybody(writer, bridge.organizations)
        addresses = everybody.addresses(configuration.name)
        # in the order in which the bridge locks them, or the two might wait for each other
        ordered = sorted(answers, key=lambda one: one.device_key)
        known = [_kept(writer, configuration, addresses, answer) for answer in ordered]
        for one in known:
            if one is not None:
                found += _of_device(store, writer, bridge, everybody, one)
    return found


def _kept(
    writer: Writer, configuration: SourceConfiguration, addresses: Addresses, answer: Posture | Gone
) -> KnownDevice | None:
    """What is known of the device after this answer; a sweep that is told twice that there is none believes it."""
    if isinstance(answer, Posture):
        claimed = claimed_ids(writer, answer, addresses, configuration.match)
        return mdm_devices.put(writer, replace(answer, device_ids=(*answer.device_ids, *claimed)))
    before = mdm_devices.remembered(writer, answer.source, [answer.device_key]).get(answer.device_key)
    if before is None:
        return None
    now = mdm_devices.gone(before, writer.now)
    mdm_devices.keep(writer, [(before, now)])
    return now.known


@contextmanager
def _rolled_back(store: Store) -> Iterator[Writer]:
    with suppress(_RolledBack), store.bookkeeping() as writer:
        yield writer
        raise _RolledBack


def _of_device(
    store: Store, writer: Writer, bridge: BridgeConfiguration, everybody: Everybody, known: KnownDevice
) -> Iterator[WouldChange]:
    names = [one.name for one in bridge.sources]
    target = LocalTarget(store)
    pairs = target.pairs(writer)
    written = pairs.of_device(known.posture.source, known.posture.device_key)
    related = mdm_devices.related(writer, known)
    wishes = decide(related, known, everybody, bridge.policy, writer.now, sources=names, written=written).wishes
    for planned in target.plan(writer, pairs, wishes, slack_of(bridge.policy)):
        present = None if planned.present is None else planned.present.effect
        yield from _changed(writer, planned.wish, planned.step, present)


def _changed(reader: Reader, wish: Wish, todo: Step, before: Effect | None) -> Iterator[WouldChange]:
    after = {Action.PUT: wish.effect, Action.DELETE: None}.get(todo.action, before)
    renewed = todo.action is Action.PUT and after is before
    if (todo.action not in TOLD or renewed) and todo.conflict is None:
        return
    user = users.get(reader, wish.organization_id, wish.user_id)
    yield WouldChange(
        user=wish.address or name_of(user, wish.user_id),
        device_id=wish.device_id,
        before=None if before is None else before.value,
        after=None if after is None else after.value,
        expires=wish.verdict.expires if after is Effect.ALLOW else None,
        reason=wish.verdict.reason.value,
        conflict=None if todo.conflict is None else f"{todo.conflict.value} by a person",
        source=wish.verdict.source,
        device_key=wish.verdict.device_key,
    )

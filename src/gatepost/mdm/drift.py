"""What is there at a target that is elsewhere, against what was written: what differs is doubted, and delivered again.

What carries this bridge's mark, and is not known here (the database was lost, or is an older one), is taken over: its device
is looked at, and decides.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import structlog

from gatepost.mdm.settling import target_key
from gatepost.mdm.targets.mark import digest_of, read_mark
from gatepost.mdm.targets.workmail import TargetRefused, TargetUnavailable
from gatepost.model import AppliedOverride
from gatepost.store import mdm_applied, mdm_devices, mdm_work
from gatepost.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost.mdm.claiming import Call
    from gatepost.mdm.targets.base import Present
    from gatepost.mdm.targets.mark import Mark
    from gatepost.mdm.targets.workmail import Listed, WorkMailTarget
    from gatepost.store.database import Store, Writer

log = structlog.get_logger(__name__)

_PAGE = 500


class Drift:
    """Of one target; `sources` are those that there still are."""

    def __init__(self, store: Store, call: Call, target: WorkMailTarget, sources: Collection[str]) -> None:
        self._store = store
        self._call = call
        self._target = target
        self._sources = sources
        self._key = target_key(target.name)

    async def look_through(self) -> None:
        """Deliver again what differs between what is there and what was written last; take over what only has the mark."""
        try:
            listed = [one async for one in self._target.list()]
            for pair in await self._call(self._compare, listed):
                # it takes a while to list everything: somebody may have taken it away since
                with contextlib.suppress(TargetRefused):  # nobody's by now, say: the others are looked at all the same
                    present = await self._target.get(*pair)
                    if present is not None and present.owned:
                        await self._call(self._take_over, pair, present)
        except (TargetUnavailable, TargetRefused, StoreError) as error:
            log.warning("mdm.target_not_listed", target=self._target.name, error=str(error))

    def _compare(self, listed: list[Listed]) -> list[tuple[str, str]]:
        """Have delivered again what differs; the (user, device) of what has the mark, and is not known."""
        there = {(one.user_id, one.device_id): one.present for one in listed}
        written: dict[tuple[str, str], AppliedOverride] = {}
        after: tuple[str, str, str] | None = None
        while True:
            with self._store.read() as reader:
                page = mdm_applied.page(reader, self._target.name, after, _PAGE)
            if not page:
                break
            written |= {(one.user_id, one.device_id): one for one in page}
            after = (page[-1].organization_id, page[-1].user_id, page[-1].device_id)
        drifted = [one for pair, one in written.items() if one.theirs_since is None and not _same(one, there.get(pair))]
        alone = [
            pair for pair, one in there.items() if pair not in written and one.owned and self._marked(one) is not None
        ]
        with self._store.bookkeeping() as writer:
            mdm_work.dirty_many(writer, [(self._key, f"{one.source}/{one.device_key}") for one in drifted])
            for one in drifted:
                mdm_applied.doubt(writer, one)
        if drifted or alone:
            log.info("mdm.target_differs", target=self._target.name, changed=len(drifted), unknown=len(alone))
        return sorted(alone)

    def _take_over(self, pair: tuple[str, str], present: Present) -> None:
        """An override with this bridge's mark that the database does not know: its device decides."""
        mark = self._marked(present)
        if mark is None:
            return
        with self._store.bookkeeping() as writer:
            device_key = mark.device_key or self._key_with(writer, mark)
            if device_key is None or mdm_work.is_claimed(writer, self._key, f"{mark.source}/{device_key}"):
                return  # a delivery is about it just now
            mdm_work.dirty(writer, mark.source, device_key)  # devices' rows first, as everybody locks them
            taken = AppliedOverride(
                target=self._target.name,
                organization_id=self._target.organization_id,
                user_id=pair[0],
                device_id=pair[1],
                effect=present.effect,
                description=present.description,
                expires=None,
                source=mark.source,
                device_key=device_key,
                written_at=writer.now,
            )
            if mdm_applied.put_new(writer, taken):
                log.info("mdm.target_taken_over", target=self._target.name, source=mark.source, device=device_key)

    def _marked(self, present: Present) -> Mark | None:
        """The mark, where it is of a source that there still is."""
        mark = read_mark(present.description)
        return mark if mark is not None and mark.source in self._sources else None

    def _key_with(self, writer: Writer, mark: Mark) -> str | None:
        """The key of a device that was too long for its mark."""
        after: str | None = None
        while keys := mdm_devices.keys(writer, mark.source, after, _PAGE):
            for key in keys:
                if digest_of(key) == mark.digest:
                    return key
            after = keys[-1]
        return None


def _same(applied: AppliedOverride, present: Present | None) -> bool:
    return present is not None and (applied.effect, applied.description) == (present.effect, present.description)

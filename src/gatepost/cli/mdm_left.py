"""What sources left behind that were taken out of the configuration, and what a person is to type."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gatepost.cli.mdm_reading import STORE
from gatepost.model import Effect
from gatepost.store import mdm_retirement, mdm_sources

if TYPE_CHECKING:
    from gatepost.mdm.configuration import BridgeConfiguration
    from gatepost.store.database import Reader


@dataclass(frozen=True, slots=True)
class Left:
    """Overrides of a source that is not configured, at one target; `to_do` None: that has been asked for, of a bridge."""

    source: str
    target: str
    allow: int
    deny: int
    to_do: str | None

    @property
    def says(self) -> str:
        """As a sentence."""
        return (
            f"source {self.source} is not configured any more and has {counted(self.allow, self.deny)} at {self.target}"
        )

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"says": self.says}


def left(reader: Reader, bridge: BridgeConfiguration) -> list[Left]:
    """By source and target."""
    counts: dict[tuple[str, str, bool], dict[Effect, int]] = {}
    for one in mdm_retirement.left_behind(reader, {source.name for source in bridge.sources}):
        place = (one.source, one.target, reachable(bridge, one.target, one.organization_id))
        of = counts.setdefault(place, {})
        of[one.effect] = of.get(one.effect, 0) + one.count
    # what is known of a source itself goes when it is retired
    there = {one.source for one in mdm_sources.list(reader)} if counts else set()
    return [
        Left(source, target, of.get(Effect.ALLOW, 0), of.get(Effect.DENY, 0), _to_do(source, target, can, there))
        for (source, target, can), of in counts.items()
    ]


def reachable(bridge: BridgeConfiguration, target: str, organization_id: str) -> bool:
    """Whether overrides of the organization at the target can be taken away: here, or by a bridge that delivers there."""
    if target == STORE:
        return True
    workmail = bridge.workmail if bridge.sources else None
    return workmail is not None and workmail.organization_id == organization_id


def counted(allow: int, deny: int) -> str:
    """So many ALLOW, so many DENY; what there is none of is not said."""
    return ", ".join(f"{count} {effect}" for count, effect in ((allow, "ALLOW"), (deny, "DENY")) if count) or "none"


def _to_do(source: str, target: str, can: bool, there: set[str]) -> str | None:  # noqa: FBT001 - the last part of a key
    retire = f"gatepost mdm retire {source}"
    if not can:
        return f"configure the target {target} again, with a source, or take them away there; then {retire}"
    return retire if target == STORE or source in there else None

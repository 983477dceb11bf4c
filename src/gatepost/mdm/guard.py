"""The mass-change guard: what a sweep finds is held back where it would take mail from too many phones at once.

Theory of operation. An MDM that goes wrong as a whole (an empty tenant, rights withdrawn, a compliance engine that fails)
looks like thousands of revocations. How many ALLOWs a sweep would turn is known only after every device was asked, and
to wait for that would delay the few true ones, for minutes where there are thousands of devices. So the guard counts on
the way: a turn is written at once while the turns so far are not too many of the ALLOWs looked at so far, and is held
back, to be looked at again, while they are. When they are too many of all ALLOWs (more than max(5, 20 %)), the guard
stands: nothing turns because of a sweep until a person confirms, which counts until the next sweep has been worked off,
or until a whole sweep finds it no longer so. What is told of singly (a notification, a person's `reconcile --device`) is
urgent and not held, and an ALLOW that is held ends at its expiry. Turns from DENY to ALLOW are not held: an MDM that
recovers would be held by the alarm that it raised.

The counts are this process's; that the guard stands, and that somebody confirmed, is in the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost.engine.posture import mass_change

if TYPE_CHECKING:
    from gatepost.model import SourceState


def stands(state: SourceState) -> bool:
    """Whether mass changes of the source are held back until somebody confirms."""
    return state.guard is not None and not confirmed(state)


def confirmed(state: SourceState) -> bool:
    """Whether somebody has let through what the guard held back."""
    at, since = state.guard_confirmed_at, state.guard_since
    return state.guard is not None and at is not None and (since is None or at >= since)


@dataclass(slots=True)
class Guard:
    """One source's counts since its last sweep began; `allowed` is how many ALLOWs there were then.

    `settled`: every device that the sweep marked has been looked at.
    """

    source: str
    allowed: int | None = None
    settled: bool = False
    looked: set[str] = field(default_factory=set)
    turned: set[str] = field(default_factory=set)

    def begin(self, allowed: int) -> None:
        """A sweep begins: nothing is counted yet."""
        self.allowed, self.settled = allowed, False
        self.looked.clear()
        self.turned.clear()

    def saw(self, device_key: str, *, allowed: bool) -> None:
        """A device was looked at that has an ALLOW, and nothing is to turn."""
        self.turned.discard(device_key)
        if allowed:
            self.looked.add(device_key)

    def may_turn(self, device_key: str, state: SourceState) -> bool:
        """Whether a device may lose its ALLOW because of a sweep."""
        self.looked.add(device_key)
        self.turned.add(device_key)
        if stands(state):
            return False
        if confirmed(state):
            return True
        return not mass_change(self.known if self.settled else len(self.looked), len(self.turned))

    @property
    def too_many(self) -> bool:
        """Whether so many of all ALLOWs would turn that somebody has to confirm."""
        return mass_change(self.known, len(self.turned))

    @property
    def known(self) -> int:
        """How many ALLOWs there are, as far as is known: more may have come since the sweep began."""
        return max(self.allowed or 0, len(self.looked))

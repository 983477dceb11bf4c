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

All of it is in the store (`mdm_looks`, `mdm_sources`), so that the bridges of several processes count together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.engine.posture import mass_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost.model import SourceState


_MOST = 0.8


def stands(state: SourceState) -> bool:
    """Whether mass changes of the source are held back until somebody confirms."""
    return state.guard is not None and not confirmed(state)


def confirmed(state: SourceState) -> bool:
    """Whether somebody has let through what the guard held back."""
    at, since = state.guard_confirmed_at, state.guard_since
    return state.guard is not None and at is not None and (since is None or at >= since)


class Guard:
    """One source's counts since its last sweep began, as one transaction sees and changes them.

    `allowed` is how many ALLOWs there were when it began. `looks` are the transaction's devices that were counted before,
    and whether each would lose its ALLOW; `count` answers how many were counted in all, and how many of those would.
    """

    def __init__(
        self, state: SourceState, allowed: int, looks: Mapping[str, bool], count: Callable[[], tuple[int, int]]
    ) -> None:
        self.state = state
        self._allowed = allowed
        self._looks = looks
        self._count = count
        self._counted: tuple[int, int] | None = None
        self.changed: dict[str, bool] = {}

    def saw(self, device_key: str, *, allowed: bool) -> None:
        """A device was looked at, and nothing is to turn; it is counted if it has an ALLOW.

        One that has turned, and so has none any more, has turned all the same.
        """
        if allowed:
            self._set(device_key, turned=False)

    def let(self, device_key: str) -> None:
        """A device that was told of singly turns: that is no part of a mass change."""
        if self._look(device_key):
            self._set(device_key, turned=False)

    def may_turn(self, device_key: str) -> bool:
        """Whether a device may lose its ALLOW because of a sweep."""
        self._set(device_key, turned=True)
        if stands(self.state):
            return False
        if confirmed(self.state):
            return True
        return not mass_change(self.known if self.state.sweep_settled_at else self.looked, self.turned)

    @property
    def too_many(self) -> bool:
        """Whether so many of all ALLOWs would turn that somebody has to confirm."""
        return mass_change(self.known, self.turned)

    @property
    def covers(self) -> bool:
        """Whether nearly all devices with an ALLOW have been looked at: few that a source answered about show nothing."""
        return self.looked >= _MOST * self._allowed

    @property
    def known(self) -> int:
        """How many ALLOWs there are, as far as is known: more may have come since the sweep began."""
        return max(self._allowed, self.looked)

    @property
    def looked(self) -> int:
        """How many devices with an ALLOW have been looked at."""
        return self._before[0] + sum(key not in self._looks for key in self.changed)

    @property
    def turned(self) -> int:
        """How many of them would lose it."""
        return self._before[1] + sum(turned - self._looks.get(key, False) for key, turned in self.changed.items())

    @property
    def _before(self) -> tuple[int, int]:
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    def _look(self, device_key: str) -> bool | None:
        return self.changed.get(device_key, self._looks.get(device_key))

    def _set(self, device_key: str, *, turned: bool) -> None:
        if self._look(device_key) is not turned:
            self.changed[device_key] = turned

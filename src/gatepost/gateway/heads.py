"""Request heads that came before, byte for byte: they need not be read again.

A phone says the same head each time it gives the same command. What was read from these very bytes is what they mean,
so nothing can be understood in two ways by this; a head that differs in one byte is read like any other. Only whole,
plain requests on connections that go on are recognised, and only heads that were seen twice are kept, since most of a
large fleet's are not seen again soon. Kept heads hold credentials, in memory only, and are forgotten every few minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost.gateway.forwarding import Head

_MOST_BYTES = 2_048  # of one head: with a Kerberos ticket it is not worth it
_MOST = 1_024  # heads, about 3 MB
_MOST_ONCE = 8_192  # marks of heads that came once
_FORGET_SECONDS = 300.0


class Heads:
    """Heads by their bytes, up to and including the empty line."""

    def __init__(self, now: float) -> None:
        self._known: dict[bytes, Head] = {}
        self._once: set[int] = set()
        self._since = now
        self.get = self._known.get

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._known)

    def offer(self, raw: bytes, head: Head) -> None:
        """A head was read; keep it if it came before."""
        if len(raw) > _MOST_BYTES:
            return
        mark = hash(raw)
        if mark not in self._once:
            if len(self._once) >= _MOST_ONCE:
                self._once.clear()
            self._once.add(mark)
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[raw] = head

    def sweep(self, now: float) -> None:
        """Called about every second, with a clock in seconds."""
        if now - self._since > _FORGET_SECONDS:
            self._since = now
            self._known.clear()
            self._once.clear()

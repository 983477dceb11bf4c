"""A long body begins to come: does the mail server know whoever sends it?"""

from __future__ import annotations

from gatepost.gateway.exchange import Exchange


class Vouching(Exchange):
    """Stands in while a long body comes.

    Nobody's is kept before the mail server knows the credentials, and then as one of the user's requests: what is kept of
    it is memory or disk, whether or not the device may do anything.
    """

    __slots__ = ()

    def _read_body(self) -> None:
        """Not yet: most of it is still to come."""

    def _consider(self) -> None:
        if not self._known():
            self._prove()
        elif self._admitted():
            self._over = True
            self._downstream.vouched()

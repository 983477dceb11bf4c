"""A long body begins to come: does the mail server know whoever sends it?"""

from __future__ import annotations

from gatepost.gateway.exchange import Exchange
from gatepost.wire.eas.request import MalformedRequest, UnknownCommand


class Vouching(Exchange):
    """Stands in while a long body comes: nobody's is kept before the mail server knows the credentials."""

    __slots__ = ()

    def start(self) -> None:
        """Look at the head."""
        try:
            if self._read_head():
                self._consider()
        except UnknownCommand:
            self._reply(501)
        except MalformedRequest:
            self._reply(400)

    def _consider(self) -> None:
        if self._known():
            self._over = True
            self._downstream.vouched()
        else:
            self._prove()

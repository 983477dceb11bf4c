"""The requests in flight, by user, so that those of a denied device can be ended at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.gateway.exchange import Exchange


class Connections:
    """Exchanges that were let through and are not over, by user id.

    A tuple per user: users have a few devices, and a device one or two requests at a time.
    """

    def __init__(self) -> None:
        self._by_user: dict[str, tuple[Exchange, ...]] = {}

    def __len__(self) -> int:
        """How many requests are in flight."""
        return sum(map(len, self._by_user.values()))

    def add(self, user_id: str, exchange: Exchange) -> None:
        """A request goes to the mail server."""
        self._by_user[user_id] = (*self._by_user.get(user_id, ()), exchange)

    def remove(self, user_id: str, exchange: Exchange) -> None:
        """A request is over."""
        left = tuple(one for one in self._by_user.get(user_id, ()) if one is not exchange)
        if left:
            self._by_user[user_id] = left
        else:
            self._by_user.pop(user_id, None)

    def of_user(self, user_id: str) -> tuple[Exchange, ...]:
        """A user's requests in flight."""
        return self._by_user.get(user_id, ())

    def of_organization(self, organization_id: str) -> Iterator[Exchange]:
        """An organization's requests in flight, as they are at this moment."""
        for exchanges in list(self._by_user.values()):
            for exchange in exchanges:
                if exchange.identity is not None and exchange.identity.organization_id == organization_id:
                    yield exchange

    def all(self) -> tuple[Exchange, ...]:
        """Every request in flight."""
        return tuple(exchange for exchanges in list(self._by_user.values()) for exchange in exchanges)

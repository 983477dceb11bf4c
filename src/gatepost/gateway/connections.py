"""The requests in flight, by user: so that those of a denied device can be ended at once, and nobody has too many.

Users are ids; whoever is not in the directory, and may ask for OPTIONS only, is a login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.gateway.exchange import Exchange


class Connections:
    """Exchanges that were let through and are not over, by user id; at most so many for each user and each device.

    A tuple per user: users have a few devices, and a device one or two requests at a time.
    """

    def __init__(self, most_per_user: int, most_per_device: int) -> None:
        self._most_per_user = most_per_user
        self._most_per_device = most_per_device
        self._fewest = min(most_per_user, most_per_device)
        self._by_user: dict[str, tuple[Exchange, ...]] = {}

    def __len__(self) -> int:
        """How many requests are in flight."""
        return sum(map(len, self._by_user.values()))

    def admit(self, user_id: str, exchange: Exchange) -> bool:
        """A request wants to go to the mail server; False when there are too many that cannot be ended.

        Room is made by ending the oldest parked one as if its time were up: a phone that lost its network leaves such
        requests behind, and one that is alive asks again.
        """
        present = self._by_user.get(user_id, ())
        if len(present) >= self._fewest and not (
            self._make_room([one for one in present if one.device_id == exchange.device_id], self._most_per_device)
            and self._make_room(self._by_user.get(user_id, ()), self._most_per_user)
        ):
            return False
        self.add(user_id, exchange)
        return True

    def _make_room(self, present: list[Exchange] | tuple[Exchange, ...], most: int) -> bool:
        if len(present) < most:
            return True
        parked = next((one for one in present if one.parked), None)
        if parked is None:
            return False
        parked.leave()
        return True

    def add(self, user_id: str, exchange: Exchange) -> None:
        """A request is in flight, whatever the number."""
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

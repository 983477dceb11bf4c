"""The directory of a world: who has which address, who ever had it, and what administrators do about it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gatepost.model import Directory, EntityState, User, address_key, enrolled_user_id
from gatepost.operations import aliases, entities, organizations, registrations, users
from gatepost.store import users as stored
from gatepost.store.names import addresses, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gatepost.operations.context import Context


class People:
    """Users of one organization; `had` is every address that anybody ever had, by user id, as far as it was looked at."""

    def __init__(self, context: Context, directory: Directory, first: Iterable[str]) -> None:
        self._context = context
        self._open = directory is Directory.OPEN
        self._made = 0
        self.organization_id = organizations.create(
            context, alias="example", domains=["example.com"], directory=directory
        )
        self._named = {"organization_id": self.organization_id}
        self.had: defaultdict[str, set[str]] = defaultdict(set)
        for address in first:
            self.come(address)

    def all(self) -> list[User]:
        """Everybody, deleted or not, in the order in which they came."""
        with self._context.store.read() as reader:
            found = stored.page(reader, self.organization_id, None, 10_000)
        for user in found:
            if user.state is not EntityState.DELETED:
                self.had[user.user_id] |= addresses(user)
        return sorted(found, key=lambda user: (user.date_created, user.name))

    def one(self, user_id: str) -> User | None:
        """The one with that id."""
        return next((user for user in self.all() if user.user_id == user_id), None)

    def of(self, state: EntityState) -> list[User]:
        """Those in that state."""
        return [user for user in self.all() if user.state is state]

    def owners(self) -> dict[str, User]:
        """Whose each address is; nobody's are missing."""
        return {one: user for user in self.all() if user.state is not EntityState.DELETED for one in addresses(user)}

    def user_of(self) -> Callable[[str], str | None]:
        """Whose an address is, as of now: the user id, that of one whom an open directory would take up, or None."""
        owners, everybody = self.owners(), self.all()
        taken = {user.user_id for user in everybody}
        buried = {key for user in everybody if user.state is EntityState.DELETED for key in keys(user)}

        def found(address: str) -> str | None:
            if address in owners:
                return owners[address].user_id
            new = enrolled_user_id(self.organization_id, address)
            return new if self._open and new not in taken and address not in buried else None

        return found

    # -- what administrators do

    def come(self, address: str, *, made: bool = False) -> str:
        """Somebody new with that address, which is nobody's: `made` by an administrator, or taken up; the id."""
        if not made and self.user_of()(address) is not None:
            return users.enroll(self._context, self.organization_id, address).user_id
        self._made += 1
        user_id = users.create(self._context, **self._named, name=f"person{self._made}", display_name="A person")
        registrations.register_to_work_mail(self._context, **self._named, entity_id=user_id, email=address)
        return user_id

    def disable(self, user: User) -> None:
        """He is not to read mail."""
        registrations.deregister_from_work_mail(self._context, **self._named, entity_id=user.user_id)

    def enable(self, user: User) -> None:
        """He is to read mail again."""
        registrations.register_to_work_mail(self._context, **self._named, entity_id=user.user_id, email=user.email)

    def delete(self, user: User) -> None:
        """He is gone, with his overrides."""
        if user.state is EntityState.ENABLED:
            self.disable(user)
        users.delete(self._context, **self._named, user_id=user.user_id)

    def take(self, address: str) -> None:
        """The address is nobody's from now on; who had it as the primary one gets another."""
        user = self.owners()[address]
        whose = self._named | {"entity_id": user.user_id}
        if address_key(user.email) == address:
            self._made += 1
            entities.update_primary_email_address(self._context, **whose, email=f"other{self._made}@example.com")
        aliases.delete(self._context, **whose, alias=address)

    def give(self, address: str, user: User, *, primary: bool) -> None:
        """The address, which is nobody's, is his."""
        whose = self._named | {"entity_id": user.user_id}
        if primary:
            entities.update_primary_email_address(self._context, **whose, email=address)
        else:
            aliases.create(self._context, **whose, alias=address)

"""Who asks: from a login to a user of an organization."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gatepost.model import address_key

if TYPE_CHECKING:
    from gatepost.gateway.replica import Replica

_ADDRESS = re.compile(r"[a-z0-9._%+-]{1,64}@[a-z0-9.-]+\.[a-z-]{2,}")  # WorkMail EmailAddress, in lower case
_LONGEST = 320  # characters: no address has more
_MOST_ESCAPED = 3  # times in each other
_MOST_REMEMBERED = 10_000  # logins; a flood of made-up ones only empties the memory, it does not grow it


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as a login names it.

    `address` is set when the user is not in the directory yet and an open directory would take it up under it.
    """

    organization_id: str
    user_id: str
    address: str | None = None


class Identifier:
    """Maps logins to identities by the replica's rules, and remembers them until users or organizations change."""

    def __init__(self, replica: Replica, organization_id: str | None) -> None:
        self._replica = replica
        self._organization_id = organization_id
        self._remembered: dict[str, Identity | None] = {}

    def forget(self) -> None:
        """Users or organizations changed: look again."""
        self._remembered.clear()

    def identify(self, login: str) -> Identity | None:
        r"""Who `alice`, `DOMAIN\alice`, `alice@example.com` or an alias is; None when nobody can be meant.

        Nobody has a `%`: SOGo lets alice in as `alice%40example.com`, and others may undo other escapes, so it would be
        her under the name of somebody about whom nothing was decided.
        """
        try:
            return self._remembered[login]
        except KeyError:
            identity = self._look_up(login)
            if len(login) <= _LONGEST:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[login] = identity
            return identity

    def stranger(self, login: str) -> str:
        r"""One name for all spellings of a login that identifies nobody, so that each of them is not a budget of its own.

        Mail servers may read `D1\alice`, `alice%40example.com` or `álice` as alice's (SOGo undoes escapes, databases leave
        out accents), so what reads as a user's has that user's name.
        """
        name = login.rpartition("\\")[2][:_LONGEST]
        for _ in range(_MOST_ESCAPED):
            name = unquote(name).rpartition("\\")[2]
        name = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
        identity = self.identify(name)
        if identity is not None:
            return identity.user_id
        ruleset = None if "@" in name else self._replica.rulesets.get(self._default_organization() or "")
        key = address_key(name)
        return key if ruleset is None else f"{key}@{ruleset.organization.default_domain}"

    def _look_up(self, login: str) -> Identity | None:
        name = address_key(login.rpartition("\\")[2])
        _, at, domain = name.rpartition("@")
        organization_id = self._replica.domains.get(domain) if at else self._default_organization()
        ruleset = self._replica.rulesets.get(organization_id) if organization_id else None
        if ruleset is None or organization_id is None or login.count("\\") > 1 or "%" in login:
            return None
        user_id = ruleset.identify(name)
        if user_id is None or user_id in ruleset.users:
            return None if user_id is None else Identity(organization_id, user_id)
        address = name if at else f"{name}@{ruleset.organization.default_domain}"
        return Identity(organization_id, user_id, address) if _ADDRESS.fullmatch(address) else None

    def _default_organization(self) -> str | None:
        if self._organization_id is not None:
            return self._organization_id
        active = set(self._replica.domains.values())
        return next(iter(active)) if len(active) == 1 else None

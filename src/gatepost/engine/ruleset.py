"""An organization's rules at one revision: immutable, and cheap to carry on to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from immutables import Map

from gatepost.engine.rules import CompiledRule, compile_access_control_rule, compile_device_rule
from gatepost.model import (
    AccessControlRule,
    Directory,
    Effect,
    EntityState,
    Group,
    Kind,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
    Owner,
    User,
    address_key,
    canonical_device_id,
    enrolled_user_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost.engine.matching import AccessSubject, ShownDevice, Subject
    from gatepost.model import Change, Entity, Noun

OverrideKey: TypeAlias = tuple[str, str]
_Overrides: TypeAlias = Map[OverrideKey, MobileDeviceAccessOverride]
_Owners: TypeAlias = Map[str, frozenset[str]]
_N = TypeVar("_N")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One organization at one revision.

    `logins` holds the name, address and aliases of every user who is not deleted, `deleted_logins` those of deleted
    users with all who had them; both by `address_key`. `overrides` are people's and `bridge_overrides` the MDM bridge's,
    both by (user id, canonical DeviceId); with `bridge_deny_wins` a DENY of the bridge beats a person's ALLOW. The rule
    lists are in the order of their keys, so that the order in which rules arrive means nothing. `group_user_ids` are the
    ids under which an open directory would take up the addresses of `groups`; nobody logs in with those.
    """

    organization: Organization
    revision: int
    users: Map[str, User]
    logins: Map[str, str]
    deleted_logins: _Owners
    overrides: _Overrides
    bridge_overrides: _Overrides
    device_rules: tuple[CompiledRule[ShownDevice], ...]
    access_control_rules: tuple[CompiledRule[AccessSubject], ...]
    groups: Map[str, Group]
    group_user_ids: _Owners
    bridge_deny_wins: bool = False

    @classmethod
    def build(
        cls,
        organization: Organization,
        *,
        users: Iterable[User] = (),
        rules: Iterable[MobileDeviceAccessRule] = (),
        overrides: Iterable[MobileDeviceAccessOverride] = (),
        access_control_rules: Iterable[AccessControlRule] = (),
        groups: Iterable[Group] = (),
        revision: int = 0,
        bridge_deny_wins: bool = False,
    ) -> RuleSet:
        """The rules of `organization`, in any order; no two users who are not deleted may share a login."""
        known_groups = Map({group.group_id: group for group in groups})
        known = Map({user.user_id: user for user in users})
        logins = {login: user.user_id for user in known.values() if _is_live(user) for login in _logins(user)}
        owned: dict[Owner, dict[OverrideKey, MobileDeviceAccessOverride]] = {owner: {} for owner in Owner}
        for one in overrides:
            owned[one.owner][one.user_id, canonical_device_id(one.device_id)] = one
        return cls(
            organization,
            revision,
            known,
            Map(logins),
            _owners((user.user_id, _logins(user)) for user in known.values() if not _is_live(user)),
            Map(owned[Owner.PERSON]),
            Map(owned[Owner.BRIDGE]),
            tuple(sorted(map(compile_device_rule, rules), key=_key)),
            tuple(sorted(map(compile_access_control_rule, access_control_rules), key=_key)),
            known_groups,
            _group_user_ids(organization, known_groups.values()),
            bridge_deny_wins,
        )

    def without(self, override: MobileDeviceAccessOverride) -> RuleSet:
        """The rules as they are once `override`, if it is still there as it is, has expired."""
        pair = (override.user_id, canonical_device_id(override.device_id))
        theirs = self.overrides if override.owner is Owner.PERSON else self.bridge_overrides
        return self._with_override((*pair, override.owner.value), None) if theirs.get(pair) == override else self

    def override(self, user_id: str, device_ids: Iterable[str]) -> MobileDeviceAccessOverride | None:
        """The override in force for a device with these (canonical) spellings of its id.

        A person's comes before the bridge's, unless the bridge's is a DENY and `bridge_deny_wins`. Where two spellings of
        one device have two opinions of the same owner, the one that denies wins.
        """
        pairs = [(user_id, device_id) for device_id in device_ids]
        bridges = _strictest(self.bridge_overrides, pairs) if self.bridge_overrides else None
        if bridges is not None and bridges.effect is Effect.DENY and self.bridge_deny_wins:
            return bridges
        return _strictest(self.overrides, pairs) or bridges

    def apply(self, change: Change) -> RuleSet:
        """The rules after `change`; a change older than these rules is already in them.

        Raises:
            ValueError: the change is another organization's.
            TypeError: the change's noun is not of its kind.
        """
        if change.organization_id != self.organization.organization_id:
            raise ValueError(
                f"change {change.revision} belongs to organization `{change.organization_id}`, "
                f"not to `{self.organization.organization_id}`: apply it to that one's rules",
            )
        if change.revision < self.revision:
            return self
        return replace(self._with(change.kind, change.key, change.noun), revision=change.revision)

    def find_user(self, login: str) -> User | None:
        r"""The user who logs in as `alice`, `DOMAIN\alice`, an address or an alias; None if there is none.

        A deleted user is found too, after all others: an open directory does not take up anew whom an administrator
        has deleted, and `decide` refuses them. For the same reason `alice@<default domain>` finds an `alice` who has no
        address (yet, or any more).
        """
        name = self._login(login)
        local_part, _, domain = name.rpartition("@")
        bare = local_part if domain == self.organization.default_domain else ""
        for index in (self._live, self._deleted):
            user = index(name) or index(self._address(name))
            if user is not None:
                return user
            user = index(bare)
            if user is not None and user.email is None:
                return user
        return None

    def identify(self, login: str) -> str | None:
        """The user id to decide about for this login.

        In an open directory an unknown address in one of the organization's mail domains has the id that it will be
        enrolled with (`model.enrolled_user_id`), unless it is a group's. None: nobody that these rules know.
        """
        user = self.find_user(login)
        if user is not None:
            return user.user_id
        address = self._address(self._login(login))
        local_part, _, domain = address.rpartition("@")
        if self.organization.directory is Directory.OPEN and local_part and domain in self.organization.domains:
            user_id = enrolled_user_id(self.organization.organization_id, address)
            return None if user_id in self.group_user_ids else user_id
        return None

    def _live(self, login: str) -> User | None:
        user_id = self.logins.get(login)
        return None if user_id is None else self.users[user_id]

    def _deleted(self, login: str) -> User | None:
        user_ids = self.deleted_logins.get(login)
        return self.users[min(user_ids)] if user_ids else None

    @staticmethod
    def _login(login: str) -> str:
        return address_key(login.partition("\\")[2] if "\\" in login else login)

    def _address(self, name: str) -> str:
        return name if "@" in name or not name else f"{name}@{self.organization.default_domain}"

    def _with(self, kind: Kind, key: tuple[str, ...], noun: Noun | None) -> RuleSet:
        after = self
        match kind:
            case Kind.ORGANIZATION:
                gone = replace(self.organization, state=OrganizationState.DELETED)
                after = self._with_organization(gone if noun is None else _of(Organization, noun))
            case Kind.USER:
                after = self._with_user(key[0], None if noun is None else _of(User, noun))
            case Kind.GROUP:
                after = self._with_group(key[0], None if noun is None else _of(Group, noun))
            case Kind.MOBILE_DEVICE_ACCESS_OVERRIDE:
                after = self._with_override(key, None if noun is None else _of(MobileDeviceAccessOverride, noun))
            case Kind.MOBILE_DEVICE_ACCESS_RULE:
                device_rule = None if noun is None else compile_device_rule(_of(MobileDeviceAccessRule, noun))
                after = replace(self, device_rules=_replaced(self.device_rules, key[0], device_rule))
            case Kind.ACCESS_CONTROL_RULE:
                rule = None if noun is None else compile_access_control_rule(_of(AccessControlRule, noun))
                after = replace(self, access_control_rules=_replaced(self.access_control_rules, key[0], rule))
        return after

    def _with_organization(self, organization: Organization) -> RuleSet:
        after = replace(self, organization=organization)
        if organization.default_domain == self.organization.default_domain:
            return after
        return replace(after, group_user_ids=_group_user_ids(organization, self.groups.values()))

    def _with_group(self, group_id: str, group: Group | None) -> RuleSet:
        groups, ids = self.groups, self.group_user_ids
        if group_id in groups:
            ids = _without(ids, group_id, _user_ids(self.organization, groups[group_id]))
            groups = groups.delete(group_id)
        if group is not None:
            ids = _with_each(ids, group_id, _user_ids(self.organization, group))
            groups = groups.set(group_id, group)
        return replace(self, groups=groups, group_user_ids=ids)

    def _with_override(self, key: tuple[str, ...], override: MobileDeviceAccessOverride | None) -> RuleSet:
        pair, owner = (key[0], canonical_device_id(key[1])), Owner(key[2])
        theirs = self.overrides if owner is Owner.PERSON else self.bridge_overrides
        if override is not None:
            theirs = theirs.set(pair, override)
        elif pair in theirs:
            theirs = theirs.delete(pair)
        return replace(self, overrides=theirs) if owner is Owner.PERSON else replace(self, bridge_overrides=theirs)

    def _with_user(self, user_id: str, user: User | None) -> RuleSet:
        users, logins, deleted = self.users, self.logins, self.deleted_logins
        old = users.get(user_id)
        if old is not None:
            users = users.delete(user_id)
            for login in _logins(old):
                if logins.get(login) == user_id:
                    logins = logins.delete(login)
            deleted = _without(deleted, user_id, _logins(old))
        if user is not None:
            users = users.set(user_id, user)
            if _is_live(user):
                for login in _logins(user):
                    logins = logins.set(login, user_id)
            else:
                deleted = _with_each(deleted, user_id, _logins(user))
        return replace(self, users=users, logins=logins, deleted_logins=deleted)


def _is_live(entity: Entity) -> bool:
    return entity.state is not EntityState.DELETED


def _logins(entity: Entity) -> set[str]:
    return {address_key(login) for login in (entity.name, entity.email, *entity.aliases) if login}


def _user_ids(organization: Organization, group: Group) -> set[str]:
    """Those of the group's addresses; as a user does, a group without an address stands for the one that it would have."""
    names = _logins(group) if _is_live(group) else ()
    addresses = {name for name in names if "@" in name}
    if group.email is None:
        addresses |= {f"{name}@{organization.default_domain}" for name in names if "@" not in name}
    return {enrolled_user_id(organization.organization_id, address) for address in addresses}


def _group_user_ids(organization: Organization, groups: Iterable[Group]) -> _Owners:
    return _owners((group.group_id, _user_ids(organization, group)) for group in groups)


def _owners(names: Iterable[tuple[str, Iterable[str]]]) -> _Owners:
    owners: dict[str, frozenset[str]] = {}
    for owner, its in names:
        for name in its:
            owners[name] = owners.get(name, frozenset()) | {owner}
    return Map(owners)


def _with_each(owners: _Owners, owner: str, names: Iterable[str]) -> _Owners:
    for name in names:
        owners = owners.set(name, owners.get(name, frozenset()) | {owner})
    return owners


def _without(owners: _Owners, owner: str, names: Iterable[str]) -> _Owners:
    for name in names:
        others = owners.get(name, frozenset()) - {owner}
        if others:
            owners = owners.set(name, others)
        elif name in owners:
            owners = owners.delete(name)
    return owners


def _key(rule: CompiledRule[Subject]) -> str:
    return rule.key


def _replaced(
    rules: tuple[CompiledRule[Subject], ...], key: str, rule: CompiledRule[Subject] | None
) -> tuple[CompiledRule[Subject], ...]:
    others = [one for one in rules if one.key != key]
    return tuple(sorted(others if rule is None else [*others, rule], key=_key))


def _of(kind: type[_N], noun: Noun) -> _N:
    if not isinstance(noun, kind):
        raise TypeError(f"a change carries a {type(noun).__name__} where a {kind.__name__} belongs")
    return noun


def _strictest(overrides: _Overrides, pairs: Iterable[OverrideKey]) -> MobileDeviceAccessOverride | None:
    found = None
    for pair in pairs:
        override = overrides.get(pair)
        if override is not None and (found is None or override.effect is Effect.DENY):
            found = override
    return found

"""From a command's options to settings, the store and an organization's rules."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gatepost.cli.failure import ExitCode, Failure
from gatepost.engine import RuleSet
from gatepost.model import (
    AccessControlRule,
    Device,
    Group,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
    User,
)
from gatepost.operations.context import Context
from gatepost.settings import Settings, SettingsError, find, load, read_key_file
from gatepost.store import feed
from gatepost.store.database import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_N = TypeVar("_N", User, MobileDeviceAccessRule, MobileDeviceAccessOverride, AccessControlRule, Device, Group)


def read_settings(config: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings that a command works by. Raises Failure with every mistake."""
    path = config or find(environ, Path.cwd())
    try:
        return load(path, environ)
    except SettingsError as error:
        count = "a mistake" if len(error.mistakes) == 1 else f"{len(error.mistakes)} mistakes"
        where = f" ({path})" if path else ""
        lines = "".join(f"\n  {mistake}" for mistake in error.mistakes)
        raise Failure(ExitCode.CONFIGURATION, f"{count} in the settings{where}:{lines}") from error


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store, ready to be used. Raises Failure, also for what goes wrong with it meanwhile."""
    with store_failures():
        store = Store.open(settings.store.url)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def store_failures() -> Iterator[None]:
    """Turn what a store raises into a Failure."""
    try:
        yield
    except StoreError as error:
        raise Failure(ExitCode.STORE, str(error)) from error


def sealing_key(settings: Settings) -> bytes:
    """The key that seals access key secrets. Raises Failure."""
    try:
        return read_key_file(settings.store.key_file)
    except SettingsError as error:
        raise Failure(ExitCode.CONFIGURATION, str(error)) from error


def acting(store: Store, settings: Settings | None = None) -> Context:
    """The context in which the command line runs operations; with the settings where overrides are concerned."""
    deny_wins = settings is not None and settings.mdm.bridge_deny_wins
    return Context(store, lambda: datetime.now(UTC), "gatepost", bridge_deny_wins=deny_wins)


class Rules:
    """One organization as the store has it now: its rules, its users and its devices."""

    def __init__(self, ruleset: RuleSet, devices: tuple[Device, ...]) -> None:
        self.ruleset = ruleset
        self.devices = devices


def read_rules(store: Store, settings: Settings, organization_id: str | None) -> Rules:
    """The organization of this id, or the only one, as gateways see it now. Raises Failure where there is none, or a choice."""
    snapshot = feed.load(store)
    now = store.now()
    organizations = [noun for noun in snapshot.nouns if isinstance(noun, Organization)]
    organization = _choose(organizations, organization_id)

    def of(kind: type[_N]) -> tuple[_N, ...]:
        return tuple(
            noun
            for noun in snapshot.nouns
            if isinstance(noun, kind) and noun.organization_id == organization.organization_id
        )

    ruleset = RuleSet.build(
        organization,
        users=of(User),
        rules=of(MobileDeviceAccessRule),
        overrides=[one for one in of(MobileDeviceAccessOverride) if one.lasts(now)],
        access_control_rules=of(AccessControlRule),
        groups=of(Group),
        revision=snapshot.revision,
        bridge_deny_wins=settings.mdm.bridge_deny_wins,
    )
    return Rules(ruleset, of(Device))


def _choose(organizations: list[Organization], organization_id: str | None) -> Organization:
    if organization_id is not None:
        for organization in organizations:
            if organization.organization_id == organization_id:
                return organization
        raise Failure(ExitCode.NOT_FOUND, f"there is no organization `{organization_id}`")
    active = [one for one in organizations if one.state is OrganizationState.ACTIVE]
    if len(active) == 1:
        return active[0]
    if not active:
        raise Failure(ExitCode.NOT_FOUND, "there is no organization yet: `gatepost init` makes one")
    listed = ", ".join(one.organization_id for one in active)
    raise Failure(ExitCode.USAGE, f"there are {len(active)} organizations, name one with --organization-id: {listed}")

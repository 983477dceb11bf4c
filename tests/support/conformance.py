"""The decisions of `tests/conformance/decisions/*.json` as nouns and requests, for the tests of every door.

The format is described in `tests/conformance/README.md`. This reads it by itself: who logs in and which device is meant
are worked out here from the format's own rules, not by the code under test.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from gatepost.engine import AccessRequest, Decision, DeviceProperties, Reason, RuleSet
from gatepost.model import (
    AccessControlRule,
    Action,
    DeviceConditions,
    Directory,
    Effect,
    EntityState,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
    User,
    enrolled_user_id,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

DECISIONS = Path(__file__).parent.parent / "conformance" / "decisions"
ORGANIZATION_ID = "m-a123b4c5de678fg9h0ij1k2lm234no56"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DOORS = ("engine", "explain", "gateway", "GetMobileDeviceAccessEffect", "GetAccessControlEffect")
SILENT_VERSIONS = ("2.5", "12.0")
"""Protocol versions without a carrier for device information."""

DEFAULT_ORGANIZATION: dict[str, Any] = {"directory": "closed", "domains": ["example.com"]}
DEFAULT_USERS: list[dict[str, Any]] = [{"name": "alice", "email": "alice@example.com"}]
DEFAULT_RULES: list[dict[str, Any]] = [{"name": "Default", "effect": "ALLOW"}]


@dataclass(frozen=True)
class Expected:
    """What every door must answer; `effect` is None for UNDECIDED, `matched_rules` are names, sorted."""

    effect: Effect | None
    reason: Reason
    matched_rules: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One decision: `raw` as written, with the defaults filled in, and the same as nouns."""

    file: str
    raw: dict[str, Any]

    @property
    def name(self) -> str:
        return self.raw["name"]

    @property
    def id(self) -> str:
        """For `pytest.param(…, id=case.id)`."""
        return re.sub(r"[^A-Za-z0-9$]+", "-", f"{self.file} {self.name}")

    @property
    def doors(self) -> tuple[str, ...]:
        return tuple(self.raw["doors"])

    @cached_property
    def expected(self) -> Expected:
        expected = self.raw["expected"]
        effect = None if expected["effect"] == "UNDECIDED" else Effect(expected["effect"])
        return Expected(effect, Reason(expected["reason"]), tuple(sorted(expected["matched_rules"])))

    @cached_property
    def organization(self) -> Organization:
        raw = self.raw["organization"]
        state = OrganizationState(raw.get("state", "Active"))
        return Organization(
            organization_id=ORGANIZATION_ID,
            alias="example",
            directory=Directory(raw["directory"]),
            domains=tuple(raw["domains"]),
            default_domain=raw["domains"][0],
            state=state,
            date_created=NOW,
            date_deleted=NOW if state is OrganizationState.DELETED else None,
        )

    @cached_property
    def users(self) -> tuple[User, ...]:
        return tuple(
            User(
                organization_id=ORGANIZATION_ID,
                user_id=user_id(raw["name"]),
                name=raw["name"],
                email=raw.get("email"),
                aliases=tuple(raw.get("aliases", ())),
                state=EntityState(raw.get("state", "ENABLED")),
                attributes=(),
                date_created=NOW,
            )
            for raw in self.raw["users"]
        )

    @cached_property
    def mobile_device_access_rules(self) -> tuple[MobileDeviceAccessRule, ...]:
        return tuple(
            MobileDeviceAccessRule(
                organization_id=ORGANIZATION_ID,
                rule_id=rule_id(raw["name"]),
                name=raw["name"],
                effect=Effect(raw["effect"]),
                description=None,
                conditions=DeviceConditions(
                    **{key: tuple(value) for key, value in raw.items() if key not in ("name", "effect")},
                ),
                date_created=NOW,
                date_modified=NOW,
            )
            for raw in self.raw["mobile_device_access_rules"]
        )

    @cached_property
    def overrides(self) -> tuple[MobileDeviceAccessOverride, ...]:
        return tuple(
            MobileDeviceAccessOverride(
                organization_id=ORGANIZATION_ID,
                user_id=self.user_id_of(raw["user"]) or "",
                device_id=raw["device_id"].upper(),
                effect=Effect(raw["effect"]),
                description=None,
                date_created=NOW,
                date_modified=NOW,
            )
            for raw in self.raw["overrides"]
        )

    @cached_property
    def access_control_rules(self) -> tuple[AccessControlRule, ...]:
        def listed(raw: dict[str, Any], key: str) -> tuple[str, ...]:
            return tuple(raw.get(key, ()))

        return tuple(
            AccessControlRule(
                organization_id=ORGANIZATION_ID,
                name=raw["name"],
                effect=Effect(raw["effect"]),
                description=raw["name"],
                ip_ranges=listed(raw, "ip_ranges"),
                not_ip_ranges=listed(raw, "not_ip_ranges"),
                actions=tuple(map(Action, listed(raw, "actions"))),
                not_actions=tuple(map(Action, listed(raw, "not_actions"))),
                user_ids=tuple(map(user_id, listed(raw, "user_ids"))),
                not_user_ids=tuple(map(user_id, listed(raw, "not_user_ids"))),
                impersonation_role_ids=tuple(map(role_id, listed(raw, "impersonation_role_ids"))),
                not_impersonation_role_ids=tuple(map(role_id, listed(raw, "not_impersonation_role_ids"))),
                date_created=NOW,
                date_modified=NOW,
            )
            for raw in self.raw["access_control_rules"]
        )

    @cached_property
    def ruleset(self) -> RuleSet:
        return RuleSet.build(
            self.organization,
            users=self.users,
            rules=self.mobile_device_access_rules,
            overrides=self.overrides,
            access_control_rules=self.access_control_rules,
            revision=7,
        )

    @cached_property
    def request(self) -> AccessRequest:
        raw = self.raw["request"]
        address, role = raw["ip_address"], raw["impersonation_role"]
        return AccessRequest(
            action=Action(raw["action"]),
            ip_address=None if address is None else ip_address(address),
            user_id=self.user_id_of(raw["login"]) if raw["login"] else None,
            impersonation_role_id=role_id(role) if role else None,
            device_ids=self.device_ids,
            device=DeviceProperties(
                device_type=raw["device_type"],
                device_model=raw["device_model"],
                device_operating_system=raw["device_operating_system"],
                user_agents=tuple(one for one in (raw["http_user_agent"], raw["settings_user_agent"]) if one),
                complete=raw["reported"] or raw["protocol_version"] in SILENT_VERSIONS,
            ),
        )

    @cached_property
    def device_ids(self) -> tuple[str, ...]:
        """The canonical spellings of the device, its name first."""
        raw = self.raw["request"]
        if raw["device_id_bytes"]:
            return (raw["device_id_bytes"].upper(),)
        if not raw["device_id"]:
            return ()
        text = raw["device_id"]
        if raw["query"] == "base64" and len(text) <= 16:
            return (text.upper(), text.encode("ascii").hex().upper())
        return (text.upper(),)

    def user_id_of(self, login: str) -> str | None:
        """Whom a login means, by the rules in the README; None for nobody."""
        name = login.split("\\", 1)[-1].lower()
        default_domain = self.organization.default_domain
        address = name if "@" in name else f"{name}@{default_domain}"
        for deleted in (False, True):
            those = [user for user in self.users if (user.state is EntityState.DELETED) is deleted]
            for spelling in (name, address):
                for user in those:
                    if spelling in {one.lower() for one in (user.name, user.email, *user.aliases) if one}:
                        return user.user_id
            for user in those:
                if user.email is None and f"{user.name}@{default_domain}".lower() == name:
                    return user.user_id
        if self.organization.directory is Directory.OPEN and address.rpartition("@")[2] in self.organization.domains:
            return enrolled_user_id(ORGANIZATION_ID, address)
        return None

    def names(self, matched_rules: Sequence[str]) -> tuple[str, ...]:
        """Matched rules by name, sorted: what `expected.matched_rules` holds."""
        by_id = {rule.rule_id: rule.name for rule in self.mobile_device_access_rules}
        return tuple(sorted(by_id.get(key, key) for key in matched_rules))

    def answered(self, decision: Decision) -> Expected:
        """A decision in the form of `expected`."""
        return Expected(decision.effect, decision.reason, self.names(decision.matched_rules))


def load_cases(door: str | None = None) -> tuple[Case, ...]:
    """All cases, or those that apply to one door."""
    if door is not None and door not in DOORS:
        raise ValueError(f"`{door}` is no door: use one of {', '.join(DOORS)}")
    return tuple(case for case in _all_cases() if door is None or door in case.doors)


def user_id(name: str) -> str:
    """The id of the user of this name."""
    return _id("user", name.lower())


def rule_id(name: str) -> str:
    """The id of the mobile device access rule of this name."""
    return _id("rule", name)


def role_id(name: str) -> str:
    """The id of the impersonation role of this name."""
    return _id("role", name)


@cache
def _all_cases() -> tuple[Case, ...]:
    cases = []
    for path in sorted(DECISIONS.glob("*.json")):
        for raw in json.loads(path.read_text("utf-8")):
            cases.append(Case(path.stem, _complete(raw)))
    return tuple(cases)


def _complete(raw: dict[str, Any]) -> dict[str, Any]:
    request = {
        "login": None,
        "impersonation_role": None,
        "protocol_version": None,
        "query": "plain",
        "device_id": None,
        "device_id_bytes": None,
        "device_type": None,
        "device_model": None,
        "device_operating_system": None,
        "http_user_agent": None,
        "settings_user_agent": None,
        "reported": False,
        **raw["request"],
    }
    return {
        "organization": DEFAULT_ORGANIZATION,
        "users": DEFAULT_USERS,
        "mobile_device_access_rules": DEFAULT_RULES,
        "overrides": [],
        "access_control_rules": DEFAULT_RULES,
        **raw,
        "request": request,
    }


def _id(kind: str, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://gatepost.example/conformance/{kind}/{name}"))

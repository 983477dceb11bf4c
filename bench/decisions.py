"""Decisions per CPU second: `decide` beside casbin and cedarpy with equivalent policies, in one run.

Each is given its own best form: casbin's overrides are roles, Cedar's are groups of an entity, policies and entities are
parsed once. What a phone reported is lower-cased by whoever asks, within the time that is measured; `decide` also goes
through the organization, the user and the access control rules, which the other two are spared. Before anything is
measured, all three must give the same answer to the same few hundred questions.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from itertools import product
from timeit import Timer
from typing import TYPE_CHECKING

from bench.measure import median, table
from gatepost.engine import AccessRequest, DeviceProperties, RuleSet, decide
from gatepost.model import (
    AccessControlRule,
    Action,
    Change,
    DeviceConditions,
    Directory,
    Effect,
    EntityState,
    Kind,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
    User,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORGANIZATION_ID = "m-a123b4c5de678fg9h0ij1k2lm234no56"
ADDRESS = ip_address("203.0.113.7")
USERS = 1000
ROUNDS = 5  # each is measured five times in turn, so that a hot moment of the machine meets all three

LISTS = ("device_types", "device_models", "device_operating_systems", "device_user_agents")
DENY_ALL = {"effect": "DENY"}
THREE = [
    {"effect": "ALLOW", "device_types": ["iPhone", "iPad"], "device_operating_systems": ["iOS 16", "iOS 17"]},
    {"effect": "ALLOW", "device_types": ["Android", "SAMSUNG"], "not_device_models": ["HUAWEI"]},
    {"effect": "DENY", "device_user_agents": ["python", "curl"]},
]
TEN = [
    *THREE,
    {"effect": "DENY", "device_operating_systems": ["Android 4", "Android 5", "Android 6"]},
    {"effect": "DENY", "device_operating_systems": ["iOS 9", "iOS 10", "iOS 11", "iOS 12"]},
    {"effect": "DENY", "device_types": ["WindowsMail", "WP8"]},
    {"effect": "DENY", "device_models": ["HTC", "Nexus 5"], "not_device_user_agents": ["Android-Mail"]},
    {"effect": "ALLOW", "device_types": ["Outlook"], "device_user_agents": ["Outlook-iOS-Android"]},
    {"effect": "DENY", "device_types": ["TbSync"], "not_device_operating_systems": ["Linux"]},
    {"effect": "ALLOW", "device_models": ["Pixel"], "device_operating_systems": ["Android 13", "Android 14"]},
]
IPHONE = DeviceProperties(
    "iPhone", "iPhone15C2", "iOS 17.5 21F79", ("Apple-iPhone15C2/2106.79", "iOS/17.5 (21F79) dataaccessd/1.0")
)
QUESTIONS = [
    DeviceProperties(kind, model, system, agents)
    for kind, model, system, agents in product(
        ["iPhone", "Android", "SAMSUNGSMG991B", "WP8", "TbSync", "Outlook"],
        [None, "HUAWEI GRA-L09", "Pixel 7", "HTC Vision"],
        [None, "iOS 17.5", "iOS 9.3", "Android 14", "Android 5.0.1"],
        [(), ("Android-Mail/2024",), ("python-EAS-Client 1.0", "iOS/17.5"), ("Outlook-iOS-Android/1.0",)],
    )
]


class Gatepost:
    """The engine as the gateway uses it."""

    def __init__(self, rules: list[dict], overrides: dict[tuple[str, str], str]) -> None:
        self.rules = ruleset(rules, overrides)

    def __call__(self, user_id: str, device_id: str, device: DeviceProperties) -> bool:
        return decide(
            self.rules, AccessRequest(Action.ACTIVE_SYNC, ADDRESS, user_id, None, (device_id,), device)
        ).allowed


class Casbin:
    """A policy line per rule; prefixes are a function; whoever has an override is in a role."""

    MODEL = """
[request_definition]
r = pair, device_types, device_models, device_operating_systems, device_user_agents
[policy_definition]
p = who, device_types, device_models, device_operating_systems, device_user_agents, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.pair, p.who) && listed(r.device_types, p.device_types) && listed(r.device_models, p.device_models) \
&& listed(r.device_operating_systems, p.device_operating_systems) && listed(r.device_user_agents, p.device_user_agents)
"""

    def __init__(self, rules: list[dict], overrides: dict[tuple[str, str], str]) -> None:
        import casbin

        with tempfile.NamedTemporaryFile("w", suffix=".conf") as model:
            model.write(self.MODEL)
            model.flush()
            self.enforcer = casbin.Enforcer(model.name)
        self.enforcer.add_function("listed", self._listed)
        for rule in rules:
            lists = [json.dumps([rule.get(name, []), rule.get(f"not_{name}", [])]).lower() for name in LISTS]
            self.enforcer.add_policy("by-rules", *lists, rule["effect"].lower())
        for effect in ("ALLOW", "DENY"):
            self.enforcer.add_policy(f"override-{effect}", *["[[], []]"] * 4, effect.lower())
        self.overridden = set()
        for (user_id, device_id), effect in overrides.items():
            self.overridden.add(f"{user_id}/{device_id}")
            self.enforcer.add_grouping_policy(f"{user_id}/{device_id}", f"override-{effect}")
        self.enforcer.add_grouping_policy("anyone", "by-rules")

    def __call__(self, user_id: str, device_id: str, device: DeviceProperties) -> bool:
        pair = f"{user_id}/{device_id}"
        who = pair if pair in self.overridden else "anyone"
        return self.enforcer.enforce(who, *_lowered(device))

    @staticmethod
    def _listed(values: tuple[str, ...], lists: str) -> bool:
        wanted, unwanted = _prefixes(lists)
        if wanted and not any(value.startswith(wanted) for value in values):
            return False
        return not unwanted or (bool(values) and not any(value.startswith(unwanted) for value in values))


class Cedar:
    """A policy per rule with `like`; the pair is an entity, and whoever has an override is in a group."""

    def __init__(self, rules: list[dict], overrides: dict[tuple[str, str], str]) -> None:
        import cedarpy

        self._is_authorized = cedarpy.is_authorized
        policies = [
            'permit(principal in Group::"ALLOW", action, resource);',
            'forbid(principal in Group::"DENY", action, resource);',
        ]
        for rule in rules:
            when = " && ".join(["true", *self._conditions(rule)])
            if rule["effect"] == "ALLOW":
                policies.append(f"permit(principal, action, resource) when {{ {when} }};")
            else:
                unless = 'unless { principal in Group::"ALLOW" }'
                policies.append(f"forbid(principal, action, resource) when {{ {when} }} {unless};")
        self.policies = cedarpy.PolicySet.from_str("\n".join(policies))
        entities = [
            {"uid": {"type": "Group", "id": effect}, "attrs": {}, "parents": []} for effect in ("ALLOW", "DENY")
        ]
        for (user_id, device_id), effect in overrides.items():
            uid = {"type": "Pair", "id": f"{user_id}/{device_id}"}
            entities.append({"uid": uid, "attrs": {}, "parents": [{"type": "Group", "id": effect}]})
        self.entities = cedarpy.Entities.from_json_str(json.dumps(entities))

    def __call__(self, user_id: str, device_id: str, device: DeviceProperties) -> bool:
        context = {}
        for name, values in zip(LISTS, _lowered(device), strict=True):
            for number, value in enumerate(values):
                context[f"{name}{number}"] = value
        question = {
            "principal": {"type": "Pair", "id": f"{user_id}/{device_id}"},
            "action": 'Action::"ActiveSync"',
            "resource": 'Mailbox::"its-own"',
            "context": context,
        }
        return self._is_authorized(question, self.policies, self.entities).allowed

    @staticmethod
    def _conditions(rule: dict) -> list[str]:
        conditions = []
        for name in LISTS:
            attributes = [f"{name}{number}" for number in range(2 if name == "device_user_agents" else 1)]
            for listed, negated in ((rule.get(name), False), (rule.get(f"not_{name}"), True)):
                if not listed:
                    continue
                any_of = " || ".join(Cedar._starts(one, listed) for one in attributes)
                conditions.append(f"context has {attributes[0]} && !({any_of})" if negated else f"({any_of})")
        return conditions

    @staticmethod
    def _starts(attribute: str, listed: list[str]) -> str:
        likes = " || ".join(f'context.{attribute} like "{value.lower()}*"' for value in listed)
        return f"(context has {attribute} && ({likes}))"


def ruleset(rules: list[dict], overrides: dict[tuple[str, str], str]) -> RuleSet:
    """The same rules as nouns, in an organization of a thousand users with the default access control rule."""
    organization = Organization(
        ORGANIZATION_ID, "bench", Directory.CLOSED, ("example.com",), "example.com", OrganizationState.ACTIVE, NOW
    )
    nothing: dict = dict.fromkeys(
        (
            f"{negation}{name}"
            for name in ("ip_ranges", "actions", "user_ids", "impersonation_role_ids")
            for negation in ("", "not_")
        ),
        (),
    )
    return RuleSet.build(
        organization,
        users=[
            User(ORGANIZATION_ID, f"user-{n}", f"user{n}", f"user{n}@example.com", (), EntityState.ENABLED, (), NOW)
            for n in range(USERS)
        ],
        rules=[
            MobileDeviceAccessRule(
                ORGANIZATION_ID,
                f"rule-{number}",
                f"rule {number}",
                Effect(rule["effect"]),
                None,
                DeviceConditions(**{key: tuple(value) for key, value in rule.items() if key != "effect"}),
                NOW,
                NOW,
            )
            for number, rule in enumerate(rules)
        ],
        overrides=[_override(user_id, device_id, effect) for (user_id, device_id), effect in overrides.items()],
        access_control_rules=[
            AccessControlRule(
                ORGANIZATION_ID, "Default", Effect.ALLOW, "d", **nothing, date_created=NOW, date_modified=NOW
            )
        ],
    )


def main() -> int:
    """Print the tables."""
    everyone = {(f"user-{n}", f"DEVICE{n}"): "ALLOW" for n in range(USERS)}
    situations = [
        ("ALLOW by one of 1,000 overrides", [DENY_ALL], everyone),
        ("ALLOW by the first of 3 rules", THREE, {}),
        ("ALLOW by the first of 10 rules", TEN, {}),
    ]
    rows = []
    for title, rules, overrides in situations:
        engines = [_engine(kind, rules, overrides) for kind in (Gatepost, Cedar, Casbin)]
        _must_agree([engine for engine in engines if engine], overrides)
        measured = [[] for _ in engines]
        for _ in range(ROUNDS):
            for engine, rates in zip(engines, measured, strict=True):
                if engine:
                    rates.append(_rate(lambda engine=engine: engine("user-77", "DEVICE77", IPHONE)))
        ours, *theirs = map(median, measured)
        ratios = [f"{ours / rate:,.1f}" for rate in theirs]
        rows.append([title, *(f"{rate:,.0f}" for rate in (ours, *theirs)), *ratios])
    head = ["decisions per CPU second", "gatepost", "cedarpy", "casbin", "to cedarpy", "to casbin"]
    print(table("Decisions", head, rows), flush=True)
    print(table("Rules that change", ["one change applied to", "µs"], _changes()), flush=True)
    return 0


def _engine(kind: type, rules: list[dict], overrides: dict[tuple[str, str], str]):
    try:
        return kind(rules, overrides)
    except ModuleNotFoundError as missing:
        print(f"{missing.name} is not installed and is left out: `make bench` installs it", file=sys.stderr)
        return None


def _must_agree(engines: list[Callable[[str, str, DeviceProperties], bool]], overrides: dict) -> None:
    for device in (IPHONE, *QUESTIONS):
        for user_id, device_id in (("user-77", "DEVICE77"), ("user-77", "DEVICE78")):
            answers = {type(engine).__name__: engine(user_id, device_id, device) for engine in engines}
            if len(set(answers.values())) > 1:
                raise SystemExit(f"not equivalent: {answers} for {device}")
    if not all(engine("user-77", "DEVICE77", IPHONE) for engine in engines):
        raise SystemExit("the question that is measured is answered DENY")


def _rate(ask: Callable[[], object]) -> float:
    """Calls per second of CPU time: what else the machine does is left out."""
    calls, seconds = Timer(ask, timer=time.process_time).autorange()
    return calls / seconds


def _changes() -> list[list[str]]:
    rows = []
    noun = _override("user-7", "DEVICE7", "DENY")
    change = Change(1, ORGANIZATION_ID, Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("user-7", "DEVICE7"), noun, NOW)
    for count in (1_000, 100_000):
        rules = ruleset(TEN, {(f"user-{n % USERS}", f"DEVICE{n}"): "ALLOW" for n in range(count)})
        rate = median([_rate(lambda rules=rules: rules.apply(change)) for _ in range(3)])
        rows.append([f"{count:,} overrides", f"{1e6 / rate:.1f}"])
    return rows


def _override(user_id: str, device_id: str, effect: str) -> MobileDeviceAccessOverride:
    return MobileDeviceAccessOverride(ORGANIZATION_ID, user_id, device_id, Effect(effect), None, NOW, NOW)


def _lowered(device: DeviceProperties) -> tuple[tuple[str, ...], ...]:
    one = (device.device_type, device.device_model, device.device_operating_system)
    return (
        *((value.lower(),) if value else () for value in one),
        tuple(agent.lower() for agent in device.user_agents),
    )


@lru_cache(maxsize=1000)
def _prefixes(lists: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    wanted, unwanted = json.loads(lists)
    return tuple(wanted), tuple(unwanted)


if __name__ == "__main__":
    sys.exit(main())

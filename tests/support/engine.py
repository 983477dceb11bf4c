"""Nouns for the engine's tests, with everything that decides nothing filled in, and strategies that draw them."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gatepost.engine import AccessRequest, DeviceProperties
from gatepost.model import (
    AccessControlRule,
    Action,
    Change,
    DeviceConditions,
    Directory,
    Effect,
    EntityState,
    Group,
    Kind,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
    User,
)

ORGANIZATION_ID = "m-a123b4c5de678fg9h0ij1k2lm234no56"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DEVICE_ID = "6APMEKPHCP2ND42VIJ4BR8ECDO"
ALLOW, DENY = Effect.ALLOW, Effect.DENY


def organization(**changed) -> Organization:
    values = {
        "organization_id": ORGANIZATION_ID,
        "alias": "example",
        "directory": Directory.CLOSED,
        "domains": ("example.com", "example.org"),
        "default_domain": "example.com",
        "state": OrganizationState.ACTIVE,
        "date_created": NOW,
    }
    return Organization(**{**values, **changed})


def user(user_id="alice-id", name="alice", email="alice@example.com", aliases=(), state=EntityState.ENABLED) -> User:
    return User(ORGANIZATION_ID, user_id, name, email, tuple(aliases), state, (), NOW)


def group(group_id="sales-id", name="sales", email=None, aliases=(), state=EntityState.ENABLED) -> Group:
    return Group(ORGANIZATION_ID, group_id, name, email, tuple(aliases), state, False, NOW)


def device_rule(name: str, effect: Effect, **conditions: tuple[str, ...]) -> MobileDeviceAccessRule:
    return MobileDeviceAccessRule(ORGANIZATION_ID, name, name, effect, None, DeviceConditions(**conditions), NOW, NOW)


def access_rule(name: str, effect: Effect, **lists) -> AccessControlRule:
    values = {
        "ip_ranges": (),
        "not_ip_ranges": (),
        "actions": (),
        "not_actions": (),
        "user_ids": (),
        "not_user_ids": (),
        "impersonation_role_ids": (),
        "not_impersonation_role_ids": (),
    }
    return AccessControlRule(
        ORGANIZATION_ID, name, effect, name, **{**values, **lists}, date_created=NOW, date_modified=NOW
    )


def override(effect: Effect, user_id="alice-id", device_id=DEVICE_ID, **more) -> MobileDeviceAccessOverride:
    return MobileDeviceAccessOverride(ORGANIZATION_ID, user_id, device_id, effect, None, NOW, NOW, **more)


def change(revision: int, kind: Kind, key: tuple[str, ...], noun=None) -> Change:
    return Change(revision, ORGANIZATION_ID, kind, key, noun, NOW)


def phone(**changed) -> DeviceProperties:
    values = {
        "device_type": "iPhone",
        "device_model": "iPhone10C1",
        "device_operating_system": "iOS 14.2 18B92",
        "user_agents": ("Apple-iPhone10C1/1802.92", "iOS/14.2 (18B92) exchangesyncd/1.0"),
    }
    return DeviceProperties(**{**values, **changed})


def request(**changed) -> AccessRequest:
    values = {
        "action": Action.ACTIVE_SYNC,
        "ip_address": ip_address("203.0.113.7"),
        "user_id": "alice-id",
        "device_ids": (DEVICE_ID,),
        "device": phone(),
    }
    return AccessRequest(**{**values, **changed})


DEFAULT_ACCESS = access_rule("Default", ALLOW)

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For `@given`: brute force takes its time on a busy machine, and time is not what is tested."""

# Two letters and two lengths are enough for every relation between prefixes: equal, longer, shorter, other, other case.
WORDS = ("a", "b", "aa", "ab", "ba", "bb", "A", "aB", "Bb")
effects = st.sampled_from([ALLOW, DENY])
word_lists = st.one_of(
    st.just(()), st.lists(st.sampled_from([*WORDS, "$NONE"]), min_size=1, max_size=3, unique=True).map(tuple)
)
conditions = st.builds(
    DeviceConditions,
    **{name: st.one_of(st.just(()), word_lists) for name in DeviceConditions.__slots__},
)


@st.composite
def device_rules(draw, most=4) -> list[MobileDeviceAccessRule]:
    drawn = draw(st.lists(st.tuples(effects, conditions), max_size=most))
    return [
        MobileDeviceAccessRule(ORGANIZATION_ID, f"r{number}", f"r{number}", effect, None, those, NOW, NOW)
        for number, (effect, those) in enumerate(drawn)
    ]


reported = st.one_of(st.none(), st.sampled_from(["", "a", "b", "ab", "aba", "BB", "c"]))
devices = st.builds(
    DeviceProperties,
    device_type=reported,
    device_model=reported,
    device_operating_system=reported,
    user_agents=st.lists(st.sampled_from(["a", "Ab", "bb", "c"]), max_size=2).map(tuple),
    complete=st.booleans(),
)

ADDRESSES = ("10.0.0.1", "10.1.2.3", "192.0.2.200", "::ffff:10.1.2.3", "2001:db8::1", "2001:db8:1::1")
RANGES = ("10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/48", "::/0", "::ffff:10.1.0.0/112")
_ranges = st.lists(st.sampled_from(RANGES), max_size=2, unique=True).map(tuple)
_actions = st.lists(st.sampled_from([Action.ACTIVE_SYNC, Action.IMAP, Action.EWS]), max_size=2, unique=True).map(tuple)
_users = st.lists(st.sampled_from(["alice-id", "bob-id"]), max_size=2, unique=True).map(tuple)
_roles = st.lists(st.sampled_from(["role-1", "role-2"]), max_size=1, unique=True).map(tuple)


@st.composite
def access_rules(draw, most=3) -> list[AccessControlRule]:
    drawn = draw(
        st.lists(
            st.fixed_dictionaries(
                {"effect": effects},
                optional={
                    "ip_ranges": _ranges,
                    "not_ip_ranges": _ranges,
                    "actions": _actions,
                    "not_actions": _actions,
                    "user_ids": _users,
                    "not_user_ids": _users,
                    "impersonation_role_ids": _roles,
                    "not_impersonation_role_ids": _roles,
                },
            ),
            max_size=most,
        )
    )
    return [access_rule(f"a{number}", **values) for number, values in enumerate(drawn)]


overrides = st.lists(
    st.builds(
        override,
        effects,
        user_id=st.sampled_from(["alice-id", "bob-id"]),
        device_id=st.sampled_from([DEVICE_ID, "OTHER"]),
    ),
    max_size=3,
    unique_by=lambda one: (one.user_id, one.device_id),
)
requests = st.builds(
    AccessRequest,
    action=st.sampled_from([Action.ACTIVE_SYNC, Action.ACTIVE_SYNC, Action.IMAP, Action.EWS]),
    ip_address=st.one_of(st.none(), st.sampled_from(ADDRESSES).map(ip_address)),
    user_id=st.sampled_from(["alice-id", "bob-id", "nobody-id", None]),
    impersonation_role_id=st.sampled_from([None, "role-1"]),
    device_ids=st.sampled_from([(DEVICE_ID,), (DEVICE_ID, "OTHER"), ("THIRD",), ()]),
    device=devices,
)

from __future__ import annotations

import pytest
from tests.store.nouns import ORGANIZATION, a_role, an_organization, minutes

from gatepost.model import Effect, ImpersonationRole, ImpersonationRoleType, ImpersonationRule, Kind
from gatepost.store import feed, impersonation_roles, organizations

OTHER = "m-ffffffffffffffffffffffffffffffff"


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        organizations.put(transaction, an_organization(OTHER))


def put(store, *roles):
    with store.begin() as transaction:
        return [impersonation_roles.put(transaction, role) for role in roles]


def test_what_was_put_is_got_replaced_and_deleted(store):
    rules = (
        ImpersonationRule("b", None, None, Effect.DENY, ("user-1", "user-2"), ()),
        ImpersonationRule("a", "Zoë's", "who\nknows", Effect.ALLOW, (), ("user-3",)),
    )
    role = a_role(rules=rules, description="in two lines")
    (first,) = put(store, role)
    changed = a_role(type=ImpersonationRoleType.FULL_ACCESS, rules=(), date_modified=minutes(1))
    put(store, changed)
    with store.read() as reader:
        assert impersonation_roles.get(reader, ORGANIZATION, "role-1") == changed
        assert impersonation_roles.get(reader, ORGANIZATION, "ROLE-1") is None
        assert impersonation_roles.get(reader, OTHER, "role-1") is None
    assert not any(isinstance(noun, ImpersonationRole) for noun in feed.load(store).nouns)
    with store.begin() as transaction:
        assert impersonation_roles.delete(transaction, ORGANIZATION, "role-1") is True
        assert impersonation_roles.delete(transaction, ORGANIZATION, "role-1") is False
    told = feed.changes_after(store, store.epoch, first - 1)
    assert [(one.kind, one.key, one.noun) for one in told] == [
        (Kind.IMPERSONATION_ROLE, ("role-1",), role),
        (Kind.IMPERSONATION_ROLE, ("role-1",), changed),
        (Kind.IMPERSONATION_ROLE, ("role-1",), None),
    ]


def test_counted_and_paged_within_the_organization(store):
    put(store, *[a_role(role_id) for role_id in ("c", "a-b", "B")], a_role("d", organization_id=OTHER))
    with store.read() as reader:
        assert impersonation_roles.count(reader, ORGANIZATION) == 3
        assert [role.role_id for role in impersonation_roles.page(reader, ORGANIZATION, None, 2)] == ["B", "a-b"]
        assert [role.role_id for role in impersonation_roles.page(reader, ORGANIZATION, "a-b", 2)] == ["c"]

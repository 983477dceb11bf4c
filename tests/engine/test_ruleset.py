from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.engine import (
    ALLOW,
    DENY,
    DEVICE_ID,
    NOW,
    ORGANIZATION_ID,
    access_rule,
    change,
    device_rule,
    group,
    organization,
    override,
    patient,
    user,
)

from gatepost.engine import RuleSet
from gatepost.model import (
    Device,
    DeviceFacts,
    Directory,
    EntityState,
    EntityType,
    GroupMember,
    Kind,
    OrganizationState,
    Owner,
    enrolled_user_id,
)

ALICE = user(aliases=("Sales@Example.com", "alice@example.org"))
BOB = user("bob-id", "u1001", "bob@example.com")


def ids(found):
    return None if found is None else found.user_id


@pytest.mark.parametrize(
    ("login", "user_id"),
    [
        ("alice", "alice-id"),
        (" ALICE ", "alice-id"),
        ("EXAMPLE\\alice", "alice-id"),
        ("EXAMPLE\\Alice@example.com", "alice-id"),
        ("alice@EXAMPLE.com", "alice-id"),
        ("sales@example.com", "alice-id"),
        ("sales", "alice-id"),
        ("alice@example.org", "alice-id"),
        ("bob", "bob-id"),
        ("u1001", "bob-id"),
        ("u1001@example.com", None),
        ("carol", None),
        ("carol@example.com", None),
        ("alice@example.net", None),
        ("alice\\", None),
        ("", None),
        ("@example.com", None),
        ("EXAMPLE\\EXAMPLE\\alice", None),
    ],
)
def test_find_user(login, user_id):
    assert ids(RuleSet.build(organization(), users=[ALICE, BOB]).find_user(login)) == user_id


def test_a_name_comes_before_an_address():
    namesake = user("u-2", "bob", "robert@example.com")
    rules = RuleSet.build(organization(), users=[ALICE, BOB, namesake])
    assert ids(rules.find_user("bob")) == "u-2"
    assert ids(rules.find_user("bob@example.com")) == "bob-id"


def test_a_deleted_user_is_found_after_all_others():
    gone = replace(ALICE, user_id="gone-id", state=EntityState.DELETED)
    assert ids(RuleSet.build(organization(), users=[gone]).find_user("sales@example.com")) == "gone-id"
    assert ids(RuleSet.build(organization(), users=[gone, ALICE]).find_user("sales@example.com")) == "alice-id"
    by_address = user("u-3", "u1003", "alice@example.com")
    assert ids(RuleSet.build(organization(), users=[gone, by_address]).find_user("alice")) == "u-3"


@pytest.mark.parametrize("state", [EntityState.DISABLED, EntityState.DELETED])
def test_a_user_without_an_address_is_found_by_the_one_they_would_have(state):
    unregistered = replace(ALICE, email=None, aliases=(), state=state)
    rules = RuleSet.build(organization(directory=Directory.OPEN), users=[unregistered, BOB])
    assert ids(rules.find_user("alice@example.com")) == "alice-id"
    assert rules.find_user("alice@example.org") is None
    assert rules.identify("alice@example.com") == "alice-id"


def test_identify_in_an_open_directory():
    rules = RuleSet.build(organization(directory=Directory.OPEN), users=[ALICE])
    assert rules.identify("DOMAIN\\Alice") == "alice-id"
    assert rules.identify("Carol") == enrolled_user_id(ORGANIZATION_ID, "carol@example.com")
    assert rules.identify("carol@example.org") == enrolled_user_id(ORGANIZATION_ID, "carol@example.org")
    for login in ("carol@example.net", "carol@notexample.com", "@example.com", "", "DOMAIN\\"):
        assert rules.identify(login) is None


def test_identify_in_a_closed_directory():
    rules = RuleSet.build(organization(), users=[ALICE])
    assert rules.identify("alice") == "alice-id"
    assert rules.identify("carol") is None


OPEN = organization(directory=Directory.OPEN)
SALES = group(email="Sales@example.com", aliases=("team@example.org",))


def test_nobody_logs_in_with_a_group_s_address():
    rules = RuleSet.build(OPEN, users=[ALICE], groups=[replace(SALES, name="Sales Team")])
    for login in ("ALICE", "carol@example.com"):
        assert rules.identify(login) is not None
    assert rules.identify("sales@example.org") == enrolled_user_id(ORGANIZATION_ID, "sales@example.org")
    # alice has the alias sales@example.com: the store does not let a group have it as well, and a user goes first
    assert rules.identify("sales@example.com") == "alice-id"
    rules = RuleSet.build(OPEN, users=[BOB], groups=[SALES])
    for login in ("sales@example.com", "SALES@Example.com", "sales", "DOMAIN\\sales", "team@example.org"):
        assert rules.identify(login) is None
    assert rules.identify("team@example.com") == enrolled_user_id(ORGANIZATION_ID, "team@example.com")


def test_a_group_without_an_address_stands_for_the_one_that_it_would_have():
    rules = RuleSet.build(OPEN, groups=[group(state=EntityState.DISABLED)])
    assert rules.identify("sales@example.com") is rules.identify("sales") is None
    assert rules.identify("sales@example.org") is not None
    other_address = rules.apply(change(1, Kind.GROUP, ("sales-id",), group(email="s@example.com")))
    assert other_address.identify("sales@example.com") is not None
    assert other_address.identify("s") is None
    moved = rules.apply(change(1, Kind.ORGANIZATION, (), replace(OPEN, default_domain="example.org")))
    assert moved.identify("sales@example.com") is not None
    assert moved.identify("sales") is moved.identify("sales@example.org") is None


def test_a_group_that_goes_leaves_its_addresses_to_whoever_comes():
    rules = RuleSet.build(OPEN, groups=[SALES])
    for after in (None, replace(SALES, state=EntityState.DELETED), replace(SALES, email="s@example.com")):
        left = rules.apply(change(1, Kind.GROUP, ("sales-id",), after))
        assert left.identify("sales@example.com") == enrolled_user_id(ORGANIZATION_ID, "sales@example.com")
    unregistered = group("other-id", "sales")  # its name would be the address that SALES has
    both = rules.apply(change(1, Kind.GROUP, ("other-id",), unregistered))
    assert both.apply(change(2, Kind.GROUP, ("sales-id",))).identify("sales@example.com") is None
    assert both.apply(change(2, Kind.GROUP, ("other-id",))) == replace(rules, revision=2)


def test_a_user_s_id_that_follows_from_an_address_which_a_group_has_now():
    """Who was taken up under the address before, and has another one now, stays who it is."""
    moved = user(enrolled_user_id(ORGANIZATION_ID, "sales@example.com"), "bob", "bob@example.com")
    rules = RuleSet.build(OPEN, users=[moved], groups=[SALES])
    assert rules.identify("bob") == moved.user_id
    assert rules.identify("sales@example.com") is None


def test_who_is_in_which_group_only_moves_the_revision():
    rules = RuleSet.build(OPEN, groups=[SALES], revision=4)
    member = GroupMember(ORGANIZATION_ID, "sales-id", "alice-id", EntityType.USER)
    assert rules.apply(change(5, Kind.GROUP_MEMBER, ("sales-id", "alice-id"), member)) == replace(rules, revision=5)


def test_overrides_are_kept_by_the_canonical_device_id():
    rules = RuleSet.build(organization(), overrides=[override(DENY, device_id=DEVICE_ID.lower())])
    assert set(rules.overrides) == {("alice-id", DEVICE_ID)}
    deleted = change(1, Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("alice-id", DEVICE_ID.lower(), "person"))
    assert set(rules.apply(deleted).overrides) == set()


@pytest.mark.parametrize("bridge_deny_wins", [False, True])
@pytest.mark.parametrize(
    ("person", "bridge", "expected"),
    [
        (None, None, None),
        (ALLOW, None, Owner.PERSON),
        (None, DENY, Owner.BRIDGE),
        (DENY, ALLOW, Owner.PERSON),
        (ALLOW, ALLOW, Owner.PERSON),
        (DENY, DENY, "either"),
        (ALLOW, DENY, "either"),
    ],
)
def test_a_person_s_override_comes_before_the_bridge_s(person, bridge, expected, bridge_deny_wins):
    effects = {Owner.PERSON: person, Owner.BRIDGE: bridge}
    there = [override(effect, owner=owner) for owner, effect in effects.items() if effect]
    rules = RuleSet.build(organization(), overrides=there, bridge_deny_wins=bridge_deny_wins)
    found = rules.override("alice-id", ("OTHER", DEVICE_ID))
    if expected == "either":
        expected = Owner.BRIDGE if bridge_deny_wins else Owner.PERSON
    assert (found and found.owner) == expected


def test_of_two_spellings_the_one_that_denies_wins_among_the_same_owner_s():
    text, hexadecimal = override(ALLOW), override(DENY, device_id="41")
    for there in ([text, hexadecimal], [hexadecimal, text]):
        rules = RuleSet.build(organization(), overrides=there)
        assert rules.override("alice-id", (DEVICE_ID, "41")) == hexadecimal
    rules = RuleSet.build(organization(), overrides=[text, replace(hexadecimal, owner=Owner.BRIDGE)])
    assert rules.override("alice-id", (DEVICE_ID, "41")) == text


def test_an_override_that_expires_goes_and_one_that_took_its_place_stays():
    old = override(ALLOW, expires=NOW)
    rules = RuleSet.build(organization(), overrides=[old])
    assert rules.without(old).override("alice-id", (DEVICE_ID,)) is None
    renewed = RuleSet.build(organization(), overrides=[override(ALLOW)])
    assert renewed.without(old) is renewed
    bridges = RuleSet.build(organization(), overrides=[replace(old, owner=Owner.BRIDGE)])
    assert bridges.without(old) is bridges


def test_the_order_in_which_rules_arrive_means_nothing():
    rules = [device_rule(name, ALLOW) for name in "abc"]
    access = [access_rule(name, DENY) for name in "abc"]
    forwards = RuleSet.build(organization(), rules=rules, access_control_rules=access)
    backwards = RuleSet.build(organization(), rules=rules[::-1], access_control_rules=access[::-1])
    assert forwards == backwards


def test_a_change_leaves_what_it_does_not_touch_alone():
    rules = RuleSet.build(organization(), users=[ALICE], rules=[device_rule("a", ALLOW), device_rule("b", ALLOW)])
    after = rules.apply(
        change(1, Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("alice-id", DEVICE_ID, "person"), override(ALLOW))
    )
    assert after.device_rules is rules.device_rules
    assert after.access_control_rules is rules.access_control_rules
    changed = rules.apply(change(1, Kind.MOBILE_DEVICE_ACCESS_RULE, ("b",), device_rule("b", DENY)))
    assert changed.device_rules[0] is rules.device_rules[0]
    assert changed.device_rules[1].effect is DENY
    assert (rules.revision, after.revision, changed.revision) == (0, 1, 1)


def test_an_organization_that_is_no_longer_there_is_deleted():
    rules = RuleSet.build(organization()).apply(change(1, Kind.ORGANIZATION, ()))
    assert rules.organization.state is OrganizationState.DELETED


def test_a_device_only_moves_the_revision():
    rules = RuleSet.build(organization(), revision=4)
    device = Device(ORGANIZATION_ID, "alice-id", DEVICE_ID, "iPhone", None, None, None, NOW, NOW, DeviceFacts())
    assert rules.apply(change(5, Kind.DEVICE, ("alice-id", DEVICE_ID), device)) == replace(rules, revision=5)


def test_a_change_that_is_already_in_is_not_applied_again():
    rules = RuleSet.build(organization(), rules=[device_rule("a", DENY)], revision=9)
    assert rules.apply(change(8, Kind.MOBILE_DEVICE_ACCESS_RULE, ("a",))) is rules
    assert rules.apply(change(9, Kind.MOBILE_DEVICE_ACCESS_RULE, ("a",))).device_rules == ()


def test_deleting_what_is_not_there_changes_nothing():
    rules = RuleSet.build(organization(), users=[ALICE], overrides=[override(ALLOW)], rules=[device_rule("a", ALLOW)])
    for kind, key in (
        (Kind.USER, ("nobody",)),
        (Kind.GROUP, ("nobody",)),
        (Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("nobody", "X", "person")),
        (Kind.MOBILE_DEVICE_ACCESS_RULE, ("nothing",)),
        (Kind.ACCESS_CONTROL_RULE, ("nothing",)),
    ):
        assert rules.apply(change(0, kind, key)) == rules


def test_another_organization_s_change():
    other = replace(change(1, Kind.ORGANIZATION, ()), organization_id="m-" + "b" * 32)
    with pytest.raises(ValueError, match="belongs to organization `m-b"):
        RuleSet.build(organization()).apply(other)


def test_a_noun_that_is_not_of_its_kind():
    with pytest.raises(TypeError, match="carries a User where a AccessControlRule belongs"):
        RuleSet.build(organization()).apply(change(1, Kind.ACCESS_CONTROL_RULE, ("x",), ALICE))


def test_a_login_that_moves_from_one_user_to_another():
    rules = RuleSet.build(organization(), users=[ALICE, BOB])
    without = rules.apply(change(1, Kind.USER, ("alice-id",), replace(ALICE, aliases=())))
    assert without.find_user("sales@example.com") is None
    moved = without.apply(change(2, Kind.USER, ("bob-id",), replace(BOB, aliases=("sales@example.com",))))
    assert ids(moved.find_user("sales@example.com")) == "bob-id"
    assert moved.apply(change(3, Kind.USER, ("alice-id",))).find_user("sales@example.com") is not None


def test_two_deleted_users_with_one_login():
    gone = [user(one, state=EntityState.DELETED) for one in ("first-id", "second-id")]
    rules = RuleSet.build(organization(), users=gone)
    assert ids(rules.find_user("alice")) == "first-id"
    without = rules.apply(change(1, Kind.USER, ("first-id",)))
    assert ids(without.find_user("alice")) == "second-id"
    assert without.apply(change(2, Kind.USER, ("second-id",))).find_user("alice") is None


_users = st.builds(
    user,
    user_id=st.sampled_from(["u1", "u2", "u3"]),
    name=st.sampled_from(["alice", "bob", "Carol"]),
    email=st.sampled_from([None, "alice@example.com", "bob@example.com"]),
    aliases=st.lists(st.sampled_from(["sales@example.com", "Info@example.org"]), max_size=2, unique=True),
    state=st.sampled_from(EntityState),
)
_groups = st.builds(
    group,
    group_id=st.sampled_from(["g1", "g2", "g3"]),
    name=st.sampled_from(["sales", "team@example.org", "Board"]),
    email=st.sampled_from([None, "Sales@example.com", "team@example.com"]),
    aliases=st.lists(st.sampled_from(["board@example.com", "Info@example.org"]), max_size=2, unique=True),
    state=st.sampled_from(EntityState),
)
_organizations = st.builds(
    organization,
    directory=st.sampled_from(Directory),
    default_domain=st.sampled_from(["example.com", "example.org"]),
)
_changes = st.one_of(
    st.tuples(st.just(Kind.ORGANIZATION), _organizations, st.booleans()),
    st.tuples(st.just(Kind.USER), _users, st.booleans()),
    st.tuples(st.just(Kind.GROUP), _groups, st.booleans()),
    st.tuples(
        st.just(Kind.MOBILE_DEVICE_ACCESS_RULE),
        st.builds(device_rule, st.sampled_from("abc"), st.sampled_from([ALLOW, DENY])),
        st.booleans(),
    ),
    st.tuples(
        st.just(Kind.ACCESS_CONTROL_RULE),
        st.builds(
            access_rule,
            st.sampled_from("abc"),
            st.sampled_from([ALLOW, DENY]),
            ip_ranges=st.sampled_from([(), ("10.0.0.0/8",), ("broken",)]),
        ),
        st.booleans(),
    ),
    st.tuples(
        st.just(Kind.MOBILE_DEVICE_ACCESS_OVERRIDE),
        st.builds(
            override,
            st.sampled_from([ALLOW, DENY]),
            st.sampled_from(["u1", "u2"]),
            st.sampled_from("Xx"),
            owner=st.sampled_from(Owner),
        ),
        st.booleans(),
    ),
)


def _key(kind, noun):
    match kind:
        case Kind.ORGANIZATION:
            return ()
        case Kind.USER:
            return (noun.user_id,)
        case Kind.GROUP:
            return (noun.group_id,)
        case Kind.MOBILE_DEVICE_ACCESS_RULE:
            return (noun.rule_id,)
        case Kind.ACCESS_CONTROL_RULE:
            return (noun.name,)
    return (noun.user_id, noun.device_id.upper(), noun.owner.value)


def _logins(one):
    return {login.lower() for login in (one.name, one.email, *one.aliases) if login}


@patient
@given(st.lists(_changes, max_size=25))
def test_applying_changes_equals_building_from_scratch(drawn):
    tables = {kind: {} for kind in Kind}
    now = organization()
    rules = RuleSet.build(now)
    for revision, (kind, noun, put) in enumerate(drawn, start=1):
        key = _key(kind, noun)
        live = [other for other in tables[Kind.USER].values() if other.state is not EntityState.DELETED]
        if kind is Kind.USER and any(other.user_id != key[0] and _logins(other) & _logins(noun) for other in live):
            continue  # the store never lets two users have one login
        if kind is Kind.ORGANIZATION:
            now = noun if put else replace(now, state=OrganizationState.DELETED)
        elif put:
            tables[kind][key] = noun
        else:
            tables[kind].pop(key, None)
        rules = rules.apply(change(revision, kind, key, noun if put else None))
        assert rules == RuleSet.build(
            now,
            users=tables[Kind.USER].values(),
            rules=tables[Kind.MOBILE_DEVICE_ACCESS_RULE].values(),
            overrides=tables[Kind.MOBILE_DEVICE_ACCESS_OVERRIDE].values(),
            access_control_rules=tables[Kind.ACCESS_CONTROL_RULE].values(),
            groups=tables[Kind.GROUP].values(),
            revision=revision,
        )

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.engine import patient, phone, request

from gatepost.engine import matching
from gatepost.engine.matching import (
    AddressRanges,
    access_subject,
    action_in,
    address_in,
    address_not_in,
    address_number,
    outside,
    prefixes,
    role_in,
    shown,
    starts_with_any,
    starts_with_none,
    user_in,
)
from gatepost.model import Action

NOTHING, NOT_YET = ((), False), ((), True)


def device(model):
    """A device that has shown `model` as its model, and nothing else."""
    return (((), False), model, ((), False), ((), False))


MODEL = 1


def test_shown_is_in_lower_case():
    assert shown(phone()) == (
        (("iphone",), False),
        (("iphone10c1",), False),
        (("ios 14.2 18b92",), False),
        (("apple-iphone10c1/1802.92", "ios/14.2 (18b92) exchangesyncd/1.0"), False),
    )


def test_shown_before_the_device_has_had_its_say():
    before = phone(device_model=None, device_operating_system="", user_agents=("X", ""), complete=False)
    assert shown(before) == ((("iphone",), False), NOT_YET, NOT_YET, (("x",), True))


def test_what_was_reported_early_is_not_awaited_and_the_type_never_is():
    before = phone(device_type=None, complete=False)
    assert shown(before)[:3] == (NOTHING, (("iphone10c1",), False), (("ios 14.2 18b92",), False))


def test_none_is_no_prefix():
    assert prefixes(("iPhone", "$NONE", "$none", "iPad")) == ("iphone", "ipad")


@pytest.mark.parametrize(
    ("listed", "model", "any_of", "none_of"),
    [
        (("iPhone",), (("iphone10c1",), False), True, False),
        (("iPhone",), (("pixel",), False), False, True),
        (("iPhone",), NOTHING, False, False),
        (("iPhone",), NOT_YET, None, None),
        (("Pixel", "iPhone"), (("iphone10c1",), False), True, False),
        (("$NONE",), NOTHING, True, False),
        (("$NONE",), (("iphone10c1",), False), False, True),
        (("$NONE",), (("$none",), False), False, True),
        (("$NONE",), NOT_YET, None, None),
        (("$none", "iPhone"), NOTHING, True, False),
        (("$NONE", "iPhone"), (("iphone10c1",), False), True, False),
        # several values, as user agents
        (("b",), (("a", "b"), False), True, False),
        (("c",), (("a", "b"), False), False, True),
        # one more may come
        (("b",), (("a", "b"), True), True, False),
        (("c",), (("a", "b"), True), None, None),
        (("$NONE",), (("a",), True), False, True),
    ],
)
def test_lists(listed, model, any_of, none_of):
    assert starts_with_any(MODEL, listed)(device(model)) is any_of
    assert starts_with_none(MODEL, listed)(device(model)) is none_of


@patient
@given(st.lists(st.sampled_from(["a", "ab", "b", "$NONE"]), min_size=1, max_size=3), st.sampled_from(["a", "abc", "c"]))
def test_of_a_reported_value_the_negative_list_is_the_complement(listed, value):
    model = device(((value,), False))
    assert starts_with_any(MODEL, tuple(listed))(model) is not starts_with_none(MODEL, tuple(listed))(model)


def test_access_subject():
    mapped = access_subject(request(ip_address=ip_address("::ffff:192.0.2.1"), user_id="Alice-ID"))
    assert mapped == (Action.ACTIVE_SYNC, (4, int(ip_address("192.0.2.1"))), "alice-id", None)
    role = access_subject(request(ip_address=None, user_id=None, impersonation_role_id="Role"))
    assert role == (Action.ACTIVE_SYNC, None, None, "role")


def test_address_number():
    assert address_number(ip_address("0.0.1.0")) == (4, 256)
    assert address_number(ip_address("::1:0")) == (6, 65536)
    assert address_number(ip_address("::ffff:0.0.1.0")) == (4, 256)


def test_addresses():
    here, hidden = access_subject(request()), access_subject(request(ip_address=None))
    ranges = ("203.0.113.0/24",)
    for unknown in (True, False):
        assert address_in(ranges, unknown=unknown)(here)
        assert not address_in(("198.51.100.0/24",), unknown=unknown)(here)
        assert address_in(("0.0.0.0/0",), unknown=unknown)(hidden) is unknown
        assert not address_not_in(ranges, unknown=unknown)(here)
        assert address_not_in(("198.51.100.0/24",), unknown=unknown)(here)
        assert address_not_in(ranges, unknown=unknown)(hidden) is unknown


def test_actions_users_and_roles():
    alice = access_subject(request())
    role = access_subject(request(user_id=None, impersonation_role_id="role-1"))
    assert action_in((Action.IMAP, Action.ACTIVE_SYNC))(alice)
    assert not action_in((Action.IMAP,))(alice)
    assert user_in(("bob-id", "ALICE-ID"))(alice)
    assert not user_in(("bob-id",))(alice)
    assert not user_in(("alice-id",))(role)
    assert outside(user_in(("alice-id",)))(role)
    assert role_in(("ROLE-1",))(role)
    assert not role_in(("role-1",))(alice)


def test_a_range_that_is_none():
    with pytest.raises(ValueError, match="10"):
        AddressRanges(["10.0.0.0/40"])


def test_host_bits_and_bare_addresses_are_taken_as_meant():
    ranges = AddressRanges(["10.1.2.3/8", "192.0.2.7"])
    assert ranges.holds(*address_number(ip_address("10.200.0.1")))
    assert ranges.holds(*address_number(ip_address("192.0.2.7")))
    assert not ranges.holds(*address_number(ip_address("192.0.2.8")))


def test_no_ranges_hold_nothing():
    assert not AddressRanges([]).holds(4, 1)
    assert not AddressRanges([]).holds(6, 1)


def test_a_range_wider_than_the_mapped_addresses_stays_ipv6():
    ranges = AddressRanges(["::ffff:0:0/95"])
    assert not ranges.holds(4, 1)
    assert ranges.holds(6, int(ip_address("::fffe:0:1")))


@patient
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(20, 32)), max_size=8),
    st.integers(0, 0x1FFF),
)
def test_merged_ranges_hold_what_the_single_ones_hold(drawn, low):
    networks = [ip_network(((10 << 24) + (number << 5), length), strict=False) for number, length in drawn]
    address = ip_address((10 << 24) + low)
    merged = AddressRanges([str(network) for network in networks])
    assert merged.holds(*address_number(address)) is any(address in network for network in networks)


def test_properties_are_in_the_order_of_shown_devices():
    assert matching.PROPERTIES == ("DeviceType", "DeviceModel", "DeviceOperatingSystem", "DeviceUserAgent")

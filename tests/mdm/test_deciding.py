from datetime import timedelta

import pytest
from tests.support.mdm_world import posture

from gatepost.engine.posture import Policy
from gatepost.mdm.deciding import Addresses, claimed_ids, decide, says_it_is
from gatepost.model import Compliance, Device, DeviceFacts, Effect, enrolled_user_id
from gatepost.store import devices, mdm_devices


def phone(organization_id, user_id, device_id, clock, imei=None):
    return Device(
        organization_id,
        user_id,
        device_id,
        "iPhone",
        None,
        "16.1",
        None,
        clock(),
        clock(),
        DeviceFacts(reported=True, imei=imei),
    )


def test_addresses_are_users_of_the_organization_with_their_mail_domain(moved_store, organization_id):
    with moved_store.read() as reader:
        addresses = Addresses(reader, None)
        alice = f"{organization_id}/{enrolled_user_id(organization_id, 'alice@example.com')}"
        assert addresses.user_of("alice@example.com") == alice
        assert addresses.to_be_taken_up(alice) == "alice@example.com"
        assert addresses.user_of("alice@elsewhere.example") is None


def test_a_compliant_device_is_wanted_allowed_and_a_violating_one_is_not(moved_store, organization_id, clock):
    with moved_store.bookkeeping() as writer:
        good = mdm_devices.put(writer, posture("1", "AAA", clock=clock))
        bad = mdm_devices.put(writer, posture("2", "BBB", clock=clock, compliance=Compliance.NON_COMPLIANT))
        elsewhere = mdm_devices.put(writer, posture("3", "CCC", user="x@elsewhere.example", clock=clock))
    with moved_store.read() as reader:
        addresses = Addresses(reader, None)
        (wish,) = decide([good], good, addresses, Policy(), clock(), sources=["mdm"]).wishes
        assert (wish.device_id, wish.effect) == ("AAA", Effect.ALLOW)
        assert wish.verdict.expires == clock() + timedelta(hours=168)
        (denied,) = decide([bad], bad, addresses, Policy(write_deny=True), clock(), sources=["mdm"]).wishes
        assert (denied.device_id, denied.effect) == ("BBB", Effect.DENY)
        decided = decide([elsewhere], elsewhere, addresses, Policy(), clock(), sources=["mdm"])
        assert (decided.wishes, decided.stranger) == ((), "x@elsewhere.example")


@pytest.mark.parametrize(
    ("match", "said", "serial", "expected"),
    [
        ({"imei"}, "350000000000017", None, True),
        ({"imei"}, "35000000000001", None, True),
        ({"imei"}, "350000000000", None, False),
        ({"imei"}, None, None, False),
        (set(), "350000000000017", None, False),
        ({"serial"}, None, "F2LX0000ABCD", True),
        ({"imei"}, None, "F2LX0000ABCD", False),
    ],
)
def test_a_phone_s_own_word_counts_where_somebody_says_so(clock, match, said, serial, expected):
    device = phone("m-1", "u", "APPLF2LX0000ABCD", clock, imei=said)
    one = posture("1", clock=clock, imei="35-000000-000001-1", serial=serial)
    assert says_it_is(device, one, match) is expected


def test_ids_are_claimed_of_phones_of_the_posture_s_own_users(moved_store, organization_id, clock):
    alice = enrolled_user_id(organization_id, "alice@example.com")
    bob = enrolled_user_id(organization_id, "bob@example.com")
    with moved_store.begin() as transaction:
        imei = "350000000000017"
        devices.save(
            transaction,
            [phone(organization_id, alice, "MINE", clock, imei), phone(organization_id, bob, "HIS", clock, imei)],
        )
    with moved_store.read() as reader:
        said = posture("1", clock=clock, imei="350000000000017")
        assert claimed_ids(reader, said, Addresses(reader, None), {"imei"}) == ("MINE",)
        assert claimed_ids(reader, said, Addresses(reader, None), set()) == ()

from datetime import UTC, datetime

import pytest

from gatepost.model import Device, DeviceFacts, Effect
from gatepost.operations import mobile_device_access_overrides, users
from gatepost.store import devices

SEEN = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.fixture
def phones(installation):
    """Two phones: Alice's is allowed by the default rule, Bob's is denied by an override."""
    store = installation.store()
    context = installation.context(store)
    ids = {
        name: users.enroll(context, installation.organization_id, f"{name}@example.com").user_id
        for name in ("alice", "bob")
    }
    mobile_device_access_overrides.put(
        context, organization_id=installation.organization_id, user_id="bob", device_id="BOB1", effect=Effect.DENY
    )
    facts = DeviceFacts(
        reported=True, model="Pixel 8", operating_system="Android 15", user_agent="Android/15-EAS", imei="356"
    )
    with store.begin() as transaction:
        devices.save(
            transaction,
            [
                Device(
                    installation.organization_id,
                    ids["alice"],
                    "ALICE1",
                    "Android",
                    "Agent/1",
                    "16.1",
                    "192.0.2.7",
                    SEEN,
                    SEEN,
                    facts,
                ),
                Device(
                    installation.organization_id,
                    ids["bob"],
                    "BOB1",
                    "iPhone",
                    None,
                    "14.1",
                    None,
                    SEEN,
                    SEEN,
                    DeviceFacts(),
                ),
            ],
        )
    store.close()
    return installation


def test_everything_about_each_device(phones):
    alice, bob = phones.run("devices", "list", "--json").json
    assert {key: value for key, value in alice.items() if key not in ("user_id", "matched_rules")} == {
        "user": "alice@example.com",
        "organization_id": phones.organization_id,
        "device_id": "ALICE1",
        "device_type": "Android",
        "device_model": "Pixel 8",
        "device_operating_system": "Android 15",
        "http_user_agent": "Agent/1",
        "device_user_agent": "Android/15-EAS",
        "protocol_version": "16.1",
        "reported": True,
        "imei": "356",
        "friendly_name": None,
        "os_language": None,
        "phone_number": None,
        "mobile_operator": None,
        "last_ip_address": "192.0.2.7",
        "first_seen": "2026-01-02T03:04:05Z",
        "last_seen": "2026-01-02T03:04:05Z",
        "effect": "ALLOW",
        "reason": "MobileDeviceAccessRule",
    }
    assert len(alice["matched_rules"]) == 1
    assert (bob["effect"], bob["reason"], bob["reported"]) == ("DENY", "MobileDeviceAccessOverride", False)
    assert phones.run("devices", "show", "--user", "EXAMPLE\\alice", "--device", "alice1", "--json").json == alice


def test_of_one_user(phones):
    assert [one["device_id"] for one in phones.run("devices", "list", "--user", "bob", "--json").json] == ["BOB1"]
    ran = phones.run("devices", "list", "--user", "bob@elsewhere.org")
    assert (ran.code, ran.err) == (
        5,
        f"gatepost: there is no user `bob@elsewhere.org` in organization {phones.organization_id}\n",
    )


def test_for_people(phones):
    lines = phones.run("devices", "list").out.splitlines()
    assert lines[0].split() == [
        "user",
        "device",
        "id",
        "type",
        "model",
        "operating",
        "system",
        "last",
        "seen",
        "decision",
        "reason",
    ]
    assert "alice@example.com" in lines[1]
    assert "Android 15" in lines[1]
    assert "ALLOW" in lines[1]
    assert lines[2].split() == [
        "bob@example.com",
        "BOB1",
        "iPhone",
        "2026-01-02T03:04:05Z",
        "DENY",
        "MobileDeviceAccessOverride",
    ]
    shown = phones.run("devices", "show", "--user", "alice", "--device", "ALICE1").out
    assert "http user agent" in shown
    assert "Agent/1" in shown
    assert any(line.split() == ["reported", "yes"] for line in shown.splitlines())


def test_nobody_yet(installation):
    assert installation.run("devices", "list").out == "no device has logged in yet\n"
    assert installation.run("devices", "list", "--json").json == []


def test_a_device_that_never_came(phones):
    ran = phones.run("devices", "show", "--user", "alice", "--device", "BOB1")
    assert ran.code == 5
    assert "has not logged in with a device `BOB1`" in ran.err


def test_a_device_that_has_not_said_what_it_is_is_undecided(phones):
    store = phones.store()
    from gatepost.operations import mobile_device_access_rules

    mobile_device_access_rules.create(
        phones.context(store),
        organization_id=phones.organization_id,
        name="old ones",
        effect=Effect.DENY,
        device_operating_systems=["iOS 12"],
    )
    mobile_device_access_overrides.delete(
        phones.context(store), organization_id=phones.organization_id, user_id="bob", device_id="BOB1"
    )
    store.close()
    (bob,) = phones.run("devices", "list", "--user", "bob", "--json").json
    assert (bob["effect"], bob["reason"]) == (None, "DeviceInformationRequired")
    assert "UNDECIDED" in phones.run("devices", "list").out


def device_ids(installation):
    with installation.store().read() as reader:
        return [one.device_id for one in devices.page(reader, installation.organization_id, None, 10)]


def test_a_device_is_forgotten_and_its_override_stays(phones):
    result = phones.run("devices", "forget", "--user", "bob", "--device", "bob1")
    assert (result.code, result.out) == (0, "1 device forgotten\n")
    assert device_ids(phones) == ["ALICE1"]
    result = phones.run("explain", "--user", "bob", "--device", "BOB1")
    assert "MobileDeviceAccessOverride" in result.out
    result = phones.run("devices", "forget", "--user", "bob", "--device", "bob1")
    assert result.code == 5
    assert "no such device" in result.err


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (("--not-seen-for", "30"), []),
        (("--not-seen-for", "36500"), ["ALICE1", "BOB1"]),
        (("--not-seen-for", "0", "--user", "alice"), ["BOB1"]),
    ],
)
def test_devices_that_were_away_for_long_are_forgotten(phones, arguments, left):
    assert phones.run("devices", "forget", *arguments).code == 0
    assert sorted(device_ids(phones)) == left


def test_it_has_to_be_said_which(phones):
    for arguments in ((), ("--user", "alice"), ("--device", "ALICE1")):
        result = phones.run("devices", "forget", *arguments)
        assert result.code == 2
        assert "say which" in result.err
    assert len(device_ids(phones)) == 2

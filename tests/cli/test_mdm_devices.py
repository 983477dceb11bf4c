from tests.support.bridge_settings import seen

from gatepost.model import Compliance, Managed


def test_nothing_is_known(bridged):
    assert "no such device is known" in bridged.run("mdm", "list").out


def test_devices_with_what_follows(bridged):
    store = bridged.store()
    seen(store, "1", friendly_name="Alice's iPhone")
    seen(store, "2", device_ids=(), compliance=Compliance.PENDING)
    seen(store, "3", compromised=True, device_ids=("EAS3",), user_addresses=("bob@example.com",))
    seen(store, "4", managed=Managed.NO, source="old")
    store.close()
    told = bridged.run("mdm", "list").out
    for line in ("Alice's iPhone", "ALLOW (compliant)", "none yet", "as it was (pending)", "compliant, compromised", "DENY (compromised)"):  # fmt: skip
        assert line in told
    found = bridged.run("mdm", "list", "--json").json
    assert [one["device_key"] for one in found] == ["1", "2", "3"]  # `old` is no source any more
    assert (found[0]["effect"], found[0]["reason"], found[0]["device_ids"]) == ("ALLOW", "compliant", ["EAS1"])
    assert [one["effect"] for one in found] == ["ALLOW", None, "DENY"]
    (bobs,) = bridged.run("mdm", "list", "--user", "Bob@example.com", "--json").json
    assert bobs["device_key"] == "3"
    (first,) = bridged.run("mdm", "list", "--device", "eas1", "--source", "ws1", "--json").json
    assert first["device_key"] == "1"


def test_what_a_device_had_is_remembered(bridged):
    store = bridged.store()
    seen(store)
    seen(store, managed=Managed.NO, device_ids=(), user_addresses=("bob@example.com",))
    store.close()
    (found,) = bridged.run("mdm", "list", "--device", "EAS1", "--json").json
    assert (found["device_ids"], found["device_ids_ever"]) == ([], ["EAS1"])
    assert found["users_ever"] == ["alice@example.com", "bob@example.com"]

from __future__ import annotations

from dataclasses import replace

from tests.store.nouns import NOON, minutes

from gatepost.model import AccessKey, Role
from gatepost.store import access_keys, feed

KEY = AccessKey("AKIAEXAMPLE", "laptop", Role.READ_ONLY, NOON)
SEALED = bytes(range(256))


def put(store, *pairs):
    with store.begin() as transaction:
        for key, sealed in pairs:
            access_keys.put(transaction, key, sealed)


def test_what_was_put_is_got_with_its_sealed_secret(store):
    put(store, (KEY, SEALED))
    with store.read() as reader:
        assert access_keys.get(reader, "AKIAEXAMPLE") == (KEY, SEALED)
        assert access_keys.get(reader, "akiaexample") is None


def test_revoked_by_putting_it_again(store):
    put(store, (KEY, SEALED))
    revoked = replace(KEY, date_revoked=minutes(1))
    put(store, (revoked, b""))
    with store.read() as reader:
        assert access_keys.get(reader, "AKIAEXAMPLE") == (revoked, b"")


def test_listed_oldest_first(store):
    keys = [AccessKey(name, "", Role.ADMIN, minutes(age)) for name, age in (("B", 2), ("A", 3), ("C", 1))]
    put(store, *[(key, SEALED) for key in keys])
    with store.read() as reader:
        assert [key.access_key_id for key in access_keys.list(reader)] == ["C", "B", "A"]


def test_keys_are_no_business_of_the_feed(store):
    put(store, (KEY, SEALED))
    assert feed.load(store).revision == 0

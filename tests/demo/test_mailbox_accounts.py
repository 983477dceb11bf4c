"""Accounts, and what a device knows of a folder under a key."""

from tests.support.loop import in_loop

from gatepost.demo.mailbox_accounts import INBOX, Account, Collection, DeviceState


def test_a_moved_mail_has_another_id_and_the_same_bytes():
    account = Account("alice@example.com", "x")
    mail = account.add(INBOX, b"x", read=True)
    moved = account.move(INBOX, mail.server_id, "3")
    assert moved is not None
    assert (mail.server_id, moved.server_id, moved.mime, moved.read) == ("1:1", "3:2", b"x", True)
    assert account.move(INBOX, mail.server_id, "3") is None
    assert account.snapshot(INBOX) == {}
    assert account.snapshot("3") == {"3:2": True}


def test_a_collection_knows_its_key_and_the_one_before():
    collection = Collection(1, {})
    assert (collection.known_at("1"), collection.known_at("0"), collection.known_at("2")) == ({}, None, None)
    collection.advance("1", {"1:1": False})
    assert (collection.key, collection.known_at("2"), collection.known_at("1")) == (2, {"1:1": False}, {})
    collection.advance("1", {"1:1": True})
    assert (collection.key, collection.known_at("2"), collection.known_at("1")) == (2, {"1:1": True}, {})


def test_of_a_folder_that_was_never_synced_the_present_is_known():
    account, device = Account("alice@example.com", "x"), DeviceState()
    account.add(INBOX, b"x")
    assert account.known_to(device, INBOX) == {"1:1": False}
    device.collections[INBOX] = Collection(1, {})
    assert account.known_to(device, INBOX) == {}


@in_loop
async def test_waiting_has_an_end():
    assert await Account("alice@example.com", "x").wait_for_change(0.01) is False

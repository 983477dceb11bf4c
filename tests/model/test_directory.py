from uuid import UUID

from gatepost.model import address_key, enrolled_user_id

ORGANIZATION = "m-a123b4c5de678fg9h0ij1k2lm234no56"


def test_spellings_of_one_login_have_one_key():
    assert {address_key(login) for login in ("Alice@Example.COM", " alice@example.com\n", "ALICE@EXAMPLE.COM")} == {
        "alice@example.com"
    }


def test_the_id_of_an_enrolled_user_follows_from_organization_and_address():
    # written down, because databases hold it: it must never change
    assert enrolled_user_id(ORGANIZATION, "user1@domain.com") == "dec76dd3-daba-5b98-a972-ea9c489df2b1"
    assert enrolled_user_id(ORGANIZATION, " USER1@Domain.com") == "dec76dd3-daba-5b98-a972-ea9c489df2b1"
    assert UUID(enrolled_user_id(ORGANIZATION, "user2@domain.com")).version == 5
    assert enrolled_user_id("m-" + "0" * 32, "user1@domain.com") != enrolled_user_id(ORGANIZATION, "user1@domain.com")

from datetime import UTC, datetime

from gatepost.control import shapes
from gatepost.model import EntityState, User
from gatepost.operations.paging import Page

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def user(**attributes):
    return User("m-1", "id", "alice", None, (), EntityState.DISABLED, tuple(attributes.items()), NOW)


def test_a_users_attributes_are_members():
    shown = shapes.user(user(DisplayName="Alice", UserRole="REMOTE_USER", HiddenFromGlobalAddressList="true"))
    assert (shown["DisplayName"], shown["UserRole"], shown["HiddenFromGlobalAddressList"]) == (
        "Alice",
        "REMOTE_USER",
        True,
    )


def test_a_user_without_attributes_has_workmails_defaults():
    shown = shapes.user(user())
    assert (shown["UserRole"], shown["HiddenFromGlobalAddressList"], shown["Email"]) == ("USER", False, None)


def test_a_summary_has_fewer_members():
    (shown,) = shapes.users(Page((user(City="Lisbon"),), None))["Users"]
    assert shown["Id"] == "id"
    assert "City" not in shown
    assert "HiddenFromGlobalAddressList" not in shown


def test_nothing_is_an_empty_object():
    assert shapes.nothing(None) == {}

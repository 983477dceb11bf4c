"""What both forms share: names, limits, printable text."""

import pytest

from gatepost.wire.eas.query import (
    VALUE_LIMIT,
    MalformedRequest,
    UnknownCommand,
    command_name,
    device_type_of,
    parameters_of,
    quoted,
    text_of,
    user_of,
)


def test_a_command_has_one_spelling():
    assert command_name(b"foldersync") == command_name(b"FOLDERSYNC") == "FolderSync"
    with pytest.raises(UnknownCommand, match="`Nonsense` is not a command"):
        command_name(b"Nonsense")


def test_an_error_quotes_little_and_nothing_that_is_not_printable():
    assert quoted(b"a" * 99) == "a" * 40
    assert quoted(b"\xff\n") == "\\xff\n"


@pytest.mark.parametrize("value", [b"x" * (VALUE_LIMIT + 1), b"\xff", b"a\nb", "a\u2028b".encode(), b"\x85"])
def test_text_is_bounded_and_printable(value):
    with pytest.raises(MalformedRequest, match="`ItemId`"):
        text_of("ItemId", value)


def test_text_at_its_limit():
    assert text_of("ItemId", b"x" * VALUE_LIMIT) == "x" * VALUE_LIMIT


def test_users_and_device_types():
    assert user_of(b"") is None
    assert user_of("müller".encode()) == "müller"
    assert device_type_of(b"Windows Phone") == "Windows Phone"
    for bad in (b"", "ä".encode(), b"x" * 257):
        with pytest.raises(MalformedRequest, match="`DeviceType`"):
            device_type_of(bad)


def test_a_switch_is_on_or_not_there():
    assert parameters_of({"SaveInSent": b"t", "AcceptMultiPart": b"F", "ItemId": b""}) == (
        ("ItemId", ""),
        ("SaveInSent", "T"),
    )

"""An element has one kind of content, and finds its way down by name."""

import pytest

from gatepost.wire.wbxml import Element, WbxmlError

SETTINGS = Element(
    "Settings:Settings",
    (
        Element("Settings:DeviceInformation", (Element("Settings:Set", (Element("Settings:OS", text="iOS"),)),)),
        Element("Settings:Get"),
        Element("Settings:Get", opaque=b"x"),
    ),
)


def test_one_kind_of_content():
    for content in (
        {"text": "", "opaque": b""},
        {"children": (Element("Settings:OS"),), "text": ""},
        {"children": (Element("Settings:OS"),), "opaque": b""},
    ):
        with pytest.raises(WbxmlError, match="`Settings:Set` mixes"):
            Element("Settings:Set", **content)


def test_find_goes_down_the_path():
    found = SETTINGS.find("Settings:DeviceInformation", "Settings:Set", "Settings:OS")
    assert found == Element("Settings:OS", text="iOS")
    assert SETTINGS.find("Settings:Set") is None
    assert SETTINGS.find("Settings:Oof", "Settings:Get") is None
    assert SETTINGS.find() is SETTINGS


def test_each_has_all_of_a_name():
    assert len(list(SETTINGS.each("Settings:Get"))) == 2


def test_text_at_tells_empty_from_missing_and_from_what_is_no_text():
    assert SETTINGS.text_at("Settings:DeviceInformation", "Settings:Set", "Settings:OS") == "iOS"
    assert SETTINGS.text_at("Settings:Get") == ""
    assert SETTINGS.text_at("Settings:Oof") is None
    assert SETTINGS.text_at("Settings:DeviceInformation") is None
    assert Element("Settings:Set", (SETTINGS.children[2],)).text_at("Settings:Get") is None

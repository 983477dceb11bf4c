"""DeviceInformation is read from the two commands that carry it, and merged property by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model import DeviceFacts
from gatepost.wire.eas.device_information import VALUE_LIMIT, merge, read
from gatepost.wire.wbxml import Element

ALL = {
    "Model": "iPhone14,5",
    "OS": "iOS 17.5 21F79",
    "UserAgent": "Apple-iPhone14C5/2105.79",
    "IMEI": "350123451234560",
    "FriendlyName": "Alice's phone",
    "OSLanguage": "en",
    "PhoneNumber": "+1 555 0100",
    "MobileOperator": "Example Mobile",
    "EnableOutboundSMS": "0",
}


def body(root: str, said: dict[str, str]) -> Element:
    properties = tuple(Element(f"Settings:{name}", text=text) for name, text in said.items())
    information = Element("Settings:DeviceInformation", (Element("Settings:Set", properties),))
    return Element(root, (information, Element("Provision:Policies")))


@pytest.mark.parametrize("root", ["Provision:Provision", "Settings:Settings"])
def test_every_property(root):
    assert read(body(root, ALL)) == DeviceFacts(
        reported=True,
        model="iPhone14,5",
        operating_system="iOS 17.5 21F79",
        user_agent="Apple-iPhone14C5/2105.79",
        imei="350123451234560",
        friendly_name="Alice's phone",
        os_language="en",
        phone_number="+1 555 0100",
        mobile_operator="Example Mobile",
    )


@pytest.mark.parametrize(
    "root",
    [
        body("AirSync:Sync", ALL),
        Element("Settings:Settings"),
        Element("Settings:Settings", (Element("Settings:DeviceInformation"),)),
        Element("Settings:Settings", (Element("Settings:DeviceInformation", (Element("Settings:Get"),)),)),
        Element("Settings:Settings", (body("Settings:Settings", ALL),)),
        Element("Provision:Provision", (Element("Provision:Policies"),)),
    ],
)
def test_no_report(root):
    assert read(root) is None


def test_a_device_may_report_that_it_is_nothing():
    assert read(body("Settings:Settings", {})) == DeviceFacts(reported=True)
    assert read(body("Settings:Settings", {"Model": "", "OS": " \n"})) == DeviceFacts(reported=True)


def test_values_are_bounded_and_printable():
    facts = read(body("Settings:Settings", {"Model": "x" * 5000, "OS": "\x1b[31miOS\r\n 17\0"}))
    assert facts is not None
    assert facts.model == "x" * VALUE_LIMIT
    assert facts.operating_system == "[31miOS 17"


def test_of_two_the_first_counts():
    twice = (Element("Settings:Model", text="A"), Element("Settings:Model", text="B"))
    information = Element("Settings:DeviceInformation", (Element("Settings:Set", twice),))
    facts = read(Element("Settings:Settings", (information,)))
    assert facts is not None
    assert facts.model == "A"


def test_opaque_bytes_and_elements_are_no_property():
    odd = (Element("Settings:Model", opaque=b"x"), Element("Settings:OS", (Element("Settings:Model"),)))
    information = Element("Settings:DeviceInformation", (Element("Settings:Set", odd),))
    assert read(Element("Settings:Settings", (information,))) == DeviceFacts(reported=True)


def test_what_is_said_replaces_and_what_is_not_said_stays():
    old = DeviceFacts(reported=True, model="iPhone14,5", operating_system="iOS 17.4", imei="1")
    new = DeviceFacts(reported=True, operating_system="iOS 17.5", user_agent="dataaccessd/1.0")
    assert merge(old, new) == DeviceFacts(
        reported=True, model="iPhone14,5", operating_system="iOS 17.5", user_agent="dataaccessd/1.0", imei="1"
    )


said = st.builds(DeviceFacts, reported=st.booleans(), model=st.none() | st.text(), imei=st.none() | st.text())


@given(said, said, said)
def test_merging_is_in_order_and_once_is_enough(first, second, third):
    assert merge(merge(first, second), third) == merge(first, merge(second, third))
    assert merge(first, first) == first
    assert merge(DeviceFacts(), first) == first
    assert merge(first, DeviceFacts()) == first

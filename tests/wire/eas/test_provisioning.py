"""The steps of the handshake are told apart, and the documents are those that the specification prints."""

import pytest

from gatepost.wire.eas.provisioning import (
    Phase,
    PolicyStatus,
    ProvisionRequest,
    acknowledgement,
    initial_request,
    key_answer,
    policy_answer,
    read,
    wrong_key_answer,
)
from gatepost.wire.wbxml import Element, decode, encode

INFORMATION = Element("Settings:DeviceInformation", (Element("Settings:Set"),))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (initial_request(None), ProvisionRequest(Phase.INITIAL, None, None, False)),
        (initial_request(INFORMATION), ProvisionRequest(Phase.INITIAL, None, None, True)),
        (Element("Provision:Provision"), ProvisionRequest(Phase.INITIAL, None, None, False)),
        (acknowledgement(7), ProvisionRequest(Phase.ACKNOWLEDGEMENT, 7, PolicyStatus.APPLIED, False)),
        (
            acknowledgement(7, PolicyStatus.MANAGED_EXTERNALLY),
            ProvisionRequest(Phase.ACKNOWLEDGEMENT, 7, PolicyStatus.MANAGED_EXTERNALLY, False),
        ),
        (
            decode(bytes.fromhex("03016a00000e454c4b033100010101")),
            ProvisionRequest(Phase.REMOTE_WIPE_ACKNOWLEDGEMENT, None, None, False),
        ),
        (
            decode(bytes.fromhex("03016a00000e457b4b033100010101")),
            ProvisionRequest(Phase.REMOTE_WIPE_ACKNOWLEDGEMENT, None, None, False),
        ),
    ],
)
def test_phases(body, expected):
    assert read(decode(encode(body))) == expected


def test_other_bodies_are_no_phase():
    assert read(Element("Settings:Settings")) is None


@pytest.mark.parametrize("key", ["", "0", "-1", "x", "4294967296", "99999999999", "²"])
def test_a_key_that_is_no_number_of_32_bits_acknowledges_nothing(key):
    policy = Element(
        "Provision:Policy", (Element("Provision:PolicyKey", text=key), Element("Provision:Status", text="9"))
    )
    body = Element("Provision:Provision", (Element("Provision:Policies", (policy,)),))
    assert read(body) == ProvisionRequest(Phase.INITIAL, None, None, False)


def test_the_bytes_of_the_three_documents():
    policy = policy_answer(
        1307199584,
        [("DevicePasswordEnabled", "1"), ("AlphanumericDevicePasswordRequired", "0"), ("MinDevicePasswordLength", "6")],
        answers_device_information=True,
    )
    assert encode(policy).hex() == (
        "03016a00000e45001256460331000101000e4b03310001464748034d532d4541532d50726f766973696f6e696e672d5742584d4c00014b"
        "0331000149033133303731393935383400014a4d4e033100014f0330000154033600010101010101"
    )
    assert encode(acknowledgement(1307199584)).hex() == (
        "03016a00000e45464748034d532d4541532d50726f766973696f6e696e672d5742584d4c00014903313330373139393538340001"
        "4b03310001010101"
    )
    assert encode(key_answer(3942919513)).hex() == (
        "03016a00000e454b03310001464748034d532d4541532d50726f766973696f6e696e672d5742584d4c00014b03310001"
        "4903333934323931393531330001010101"
    )


def test_a_wrong_key_has_policy_status_5():
    assert wrong_key_answer().text_at("Provision:Status") == "1"
    assert wrong_key_answer().text_at("Provision:Policies", "Provision:Policy", "Provision:Status") == "5"

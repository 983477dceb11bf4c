"""Provision: which step of the handshake a request is, and the documents a policy server answers (MS-ASPROV 3.1.5.1).

1. The phone asks for the policy (INITIAL), with DeviceInformation from 14.1 on; the answer has the policy and a
   temporary key. 2. It sends that key and how far it applied the policy (ACKNOWLEDGEMENT); the answer has the key of
   all later requests. Beside these a phone reports that it has wiped itself (REMOTE_WIPE_ACKNOWLEDGEMENT).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from gatepost.wire.eas import device_information
from gatepost.wire.wbxml import Element

if TYPE_CHECKING:
    from collections.abc import Iterable

WBXML_POLICY: Final = "MS-EAS-Provisioning-WBXML"
"""The only policy type since 12.0 (MS-ASPROV 2.2.2.44)."""


class Phase(Enum):
    """The step of the handshake that a Provision request is."""

    INITIAL = "initial"
    ACKNOWLEDGEMENT = "acknowledgement"
    REMOTE_WIPE_ACKNOWLEDGEMENT = "remote wipe acknowledgement"


class PolicyStatus(Enum):
    """How far the phone says it applied the policy (MS-ASPROV 2.2.2.54.1): a claim, not a proof."""

    APPLIED = "1"
    PARTIALLY_APPLIED = "2"
    NOT_APPLIED = "3"
    MANAGED_EXTERNALLY = "4"


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """A Provision request: its phase, the key and status it acknowledges, whether it carries DeviceInformation."""

    phase: Phase
    policy_key: int | None
    policy_status: PolicyStatus | None
    has_device_information: bool


def read(body_root: Element) -> ProvisionRequest | None:
    """The step that the body of a Provision request is, None where it is no Provision body.

    Elements may come in any order (phones do not keep the schema's); a key that is not a number of 32 bits is no key.
    """
    if body_root.name != "Provision:Provision":
        return None
    wiped = ("Provision:RemoteWipe", "Provision:AccountOnlyRemoteWipe")
    if any(body_root.find(wipe, "Provision:Status") is not None for wipe in wiped):
        return ProvisionRequest(Phase.REMOTE_WIPE_ACKNOWLEDGEMENT, None, None, has_device_information=False)
    policy = body_root.find("Provision:Policies", "Provision:Policy")
    key = _key(policy.text_at("Provision:PolicyKey")) if policy is not None else None
    status = _status(policy.text_at("Provision:Status")) if policy is not None else None
    phase = Phase.INITIAL if key is None else Phase.ACKNOWLEDGEMENT
    return ProvisionRequest(phase, key, status, device_information.read(body_root) is not None)


def initial_request(device_information_element: Element | None, policy_type: str = WBXML_POLICY) -> Element:
    """The body with which a phone asks for the policy."""
    policy = Element("Provision:Policy", (Element("Provision:PolicyType", text=policy_type),))
    policies = Element("Provision:Policies", (policy,))
    if device_information_element is None:
        return Element("Provision:Provision", (policies,))
    return Element("Provision:Provision", (device_information_element, policies))


def acknowledgement(policy_key: int, status: PolicyStatus = PolicyStatus.APPLIED) -> Element:
    """The body with which a phone says how far it applied the policy that came with `policy_key`."""
    policy = Element(
        "Provision:Policy",
        (
            Element("Provision:PolicyType", text=WBXML_POLICY),
            Element("Provision:PolicyKey", text=str(policy_key)),
            Element("Provision:Status", text=status.value),
        ),
    )
    return Element("Provision:Provision", (Element("Provision:Policies", (policy,)),))


def policy_answer(policy_key: int, settings: Iterable[tuple[str, str]], *, answers_device_information: bool) -> Element:
    """The answer to an INITIAL request: the policy, as (element of EASProvisionDoc, value), and a temporary key."""
    document = Element(
        "Provision:EASProvisionDoc", tuple(Element(f"Provision:{name}", text=value) for name, value in settings)
    )
    return _answer(policy_key, (Element("Provision:Data", (document,)),), device_information=answers_device_information)


def key_answer(policy_key: int) -> Element:
    """The answer to an ACKNOWLEDGEMENT: the key that the phone sends from now on."""
    return _answer(policy_key, (), device_information=False)


def wrong_key_answer() -> Element:
    """The answer to an ACKNOWLEDGEMENT of a key that was never given: policy status 5 (MS-ASPROV 3.2.5.1.2.2)."""
    policy = Element(
        "Provision:Policy",
        (Element("Provision:PolicyType", text=WBXML_POLICY), Element("Provision:Status", text="5")),
    )
    return Element(
        "Provision:Provision", (Element("Provision:Status", text="1"), Element("Provision:Policies", (policy,)))
    )


def _answer(policy_key: int, data: tuple[Element, ...], *, device_information: bool) -> Element:
    policy = Element(
        "Provision:Policy",
        (
            Element("Provision:PolicyType", text=WBXML_POLICY),
            Element("Provision:Status", text="1"),
            Element("Provision:PolicyKey", text=str(policy_key)),
            *data,
        ),
    )
    taken = Element("Settings:DeviceInformation", (Element("Settings:Status", text="1"),))
    return Element(
        "Provision:Provision",
        (
            *((taken,) if device_information else ()),
            Element("Provision:Status", text="1"),
            Element("Provision:Policies", (policy,)),
        ),
    )


def _key(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    return int(text) if 0 < int(text) <= 0xFFFFFFFF else None


def _status(text: str | None) -> PolicyStatus | None:
    return next((status for status in PolicyStatus if status.value == text), None)

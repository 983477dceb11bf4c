"""One spelling of what a source reports."""

from datetime import UTC, datetime

import pytest

from gatepost.model import Compliance, Managed, Posture

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("addresses", "device_ids"),
    [
        (("Alice@Example.com ", "bob@example.com"), ("eas1", "SEC2")),
        (("bob@example.com", "alice@example.com", "ALICE@example.com"), ("sec2", "EAS1", "Eas1")),
    ],
)
def test_addresses_and_device_ids_are_canonical_however_they_were_given(addresses, device_ids):
    posture = Posture(
        "ws1", "7", Managed.YES, Compliance.COMPLIANT, None, addresses, device_ids, None, None, None, NOON, NOON
    )
    assert posture.user_addresses == ("alice@example.com", "bob@example.com")
    assert posture.device_ids == ("EAS1", "SEC2")

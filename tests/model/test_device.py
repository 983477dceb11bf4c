import pytest

from gatepost.model import canonical_device_id


@pytest.mark.parametrize("spelling", ["applc39x", "APPLC39X", "ApplC39x"])
def test_a_device_id_has_one_canonical_spelling(spelling):
    assert canonical_device_id(spelling) == "APPLC39X"

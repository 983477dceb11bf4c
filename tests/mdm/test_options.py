import dataclasses

import pytest

from gatepost.mdm.options import BridgeOptions


def test_options_do_not_change_and_what_is_not_said_is_cautious():
    options = BridgeOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.workers = 1
    assert dict(options.match) == {}, "no phone's own word counts unless somebody says so"
    assert options.park_after > 1

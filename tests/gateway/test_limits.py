import dataclasses

import pytest

from gatepost.gateway.limits import Limits


def test_limits_do_not_change_while_the_gateway_runs():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().head_bytes = 1


def test_every_limit_is_above_zero():
    assert all(value > 0 for value in dataclasses.astuple(Limits()))

import dataclasses

import pytest

from gatepost.gateway.limits import Limits
from gatepost.settings import LimitsSettings, SettingsError, load


def test_the_settings_are_the_gateway_s_limits_with_the_same_defaults():
    assert LimitsSettings().model_dump() == dataclasses.asdict(Limits())


@pytest.mark.parametrize("field", LimitsSettings.model_fields)
def test_a_limit_that_would_let_nothing_through_is_a_mistake(field):
    with pytest.raises(SettingsError, match=rf"limits\.{field}: expected .*, got `0`"):
        load(None, {f"GATEPOST_LIMITS__{field.upper()}": "0"})

import pytest
from tests.store.nouns import an_override, minutes


@pytest.mark.parametrize(("expires", "lasts"), [(None, True), (minutes(2), True), (minutes(1), False), (minutes(0), False)])  # fmt: skip
def test_an_override_is_none_any_more_from_the_moment_on_at_which_it_expires(expires, lasts):
    assert an_override(expires=expires).lasts(minutes(1)) is lasts

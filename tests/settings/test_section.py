import pytest
from pydantic import ValidationError

from gatepost.settings.section import Section


class Table(Section):
    key: int = 1


def test_a_table_takes_no_key_that_it_does_not_know():
    with pytest.raises(ValidationError):
        Table.model_validate({"kee": 2})


def test_a_default_is_checked_like_any_other_value():
    class Wrong(Section):
        key: int = "one"

    with pytest.raises(ValidationError):
        Wrong()

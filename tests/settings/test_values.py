"""Kinds of values; what each setting takes is in test_model and test_reading."""

import pytest

from gatepost.settings.values import Address, listed


@pytest.mark.parametrize(("host", "text"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("mail", "mail:80")])
def test_an_address_is_written_as_it_is_read(host, text):
    assert str(Address(host, 80)) == text


@pytest.mark.parametrize(("given", "read"), [("a, b,,c ", ["a", "b", "c"]), ("", []), (["a, b"], ["a, b"]), (7, 7)])
def test_a_list_in_a_variable_has_commas(given, read):
    assert listed(given) == read

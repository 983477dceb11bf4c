import pytest
from pydantic import ValidationError

from gatepost.settings import Address, GatewaySettings, Settings


def test_every_key_says_what_is_expected():
    for section in Settings.model_fields.values():
        for name, field in section.annotation.model_fields.items():
            assert field.description, name


def test_settings_do_not_change_once_read():
    with pytest.raises(ValidationError):
        GatewaySettings().max_replica_age = 1.0


@pytest.mark.parametrize(("host", "text"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("mail", "mail:80")])
def test_an_address_is_written_as_it_is_read(host, text):
    assert str(Address(host, 80)) == text
    assert GatewaySettings.model_validate({"listen": text}).listen == Address(host, 80)

import pytest
from pydantic import ValidationError

from gatepost.settings import Address, ControlSettings, GatewaySettings, Settings


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


@pytest.mark.parametrize(
    ("key", "given", "read"),
    [
        ("public_url", "https://eas.example.com/", "https://eas.example.com"),
        ("redirect_hosts", "Mail2.example.com, [2001:db8::1]:8443", ("mail2.example.com", "[2001:db8::1]:8443")),
        ("protocol_versions", ["14.1", "16.1"], ("14.1", "16.1")),
        ("refused_commands", "getattachment", ("GetAttachment",)),
        ("proxy_protocol", "true", True),
    ],
)
def test_a_gateway_setting_is_read_in_its_forms(key, given, read):
    assert getattr(GatewaySettings.model_validate({key: given}), key) == read


@pytest.mark.parametrize("given", [{"requests_per_second": "0.5"}, {"requests_per_second": 0}, {"burst": 1}])
def test_a_rate_is_a_number(given):
    assert ControlSettings.model_validate(given)


@pytest.mark.parametrize(
    "given", [{"requests_per_second": -1}, {"requests_per_second": "inf"}, {"burst": 0}, {"burst": "2.5"}]
)
def test_another_rate_is_a_mistake(given):
    with pytest.raises(ValidationError):
        ControlSettings.model_validate(given)


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("public_url", "https://eas.example.com/path"),
        ("public_url", "https://user:password@eas.example.com"),
        ("redirect_hosts", ["https://mail2.example.com"]),
        ("redirect_hosts", ["mail2.example.com/x"]),
        ("protocol_versions", ["14.2"]),
        ("refused_commands", ["GetHierarchy"]),
    ],
)
def test_a_gateway_setting_that_means_nothing_is_a_mistake(key, given):
    with pytest.raises(ValidationError):
        GatewaySettings.model_validate({key: given})

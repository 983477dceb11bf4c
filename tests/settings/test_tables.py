"""Sources, targets and webhook credentials: their variables, their files of secrets."""

import pytest
from tests.support import secrets

from gatepost.settings import SettingsError, bridge_configuration, load
from gatepost.settings.mdm import MdmSettings
from gatepost.settings.mistakes import is_secret, models_in
from gatepost.settings.tables import SECRETS

PASSWORD = secrets.password("a password in a file")
CODE = secrets.password("a tenant code in a variable")

SOURCE = """
[[mdm.sources]]
name = "our-uem"
kind = "workspace-one"
url = "https://mdm.example.com"
user = "api"
password_file = "secrets/password"
tenant_code = "in the file itself"
[[mdm.sources.webhook_credentials]]
kind = "basic"
user = "events"
password_file = "secrets/password"
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_text(f"{PASSWORD}\n")

    def write(text: str = SOURCE):
        path = tmp_path / "gatepost.toml"
        path.write_text(text)
        return path

    return write


def configuration(path, environ=None):
    return bridge_configuration(load(path, environ or {}).mdm)


def mistakes(path, environ=None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ or {})
    assert not any(secret in str(caught.value) for secret in (PASSWORD, CODE))
    return list(caught.value.mistakes)


def secret_keys(annotation=MdmSettings):
    for model in models_in(annotation):
        for name, field in model.model_fields.items():
            yield from [name] if is_secret(field) else []
            yield from secret_keys(field.annotation)


def test_every_secret_may_be_in_a_file_and_nothing_else():
    assert set(secret_keys()) == SECRETS


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_in_a_file_beside_the_configuration(write, tmp_path, end):
    (tmp_path / "secrets" / "password").write_bytes(f" {PASSWORD} {end}".encode())
    (source,) = configuration(write()).sources
    assert source.asks.access.login.password == f" {PASSWORD} "
    assert source.credentials[0].password == f" {PASSWORD} "


def test_variables_name_the_source_and_win(write, tmp_path):
    (tmp_path / "other").write_text(CODE)
    environ = {
        "GATEPOST_MDM__SOURCES__OUR_UEM__PASSWORD": CODE,
        "gatepost_mdm__sources__our_uem__tenant_code_file": str(tmp_path / "other"),
        "GATEPOST_MDM__SOURCES__OUR_UEM__RATE": "2.5",
        "GATEPOST_MDM__SOURCES__OUR_UEM__MATCH": "imei",
        "GATEPOST_MDM__SOURCES__OUR_UEM__WEBHOOK_CREDENTIALS__0__USER": "someone",
        "GATEPOST_MDM__SOURCES__OUR_UEM__USER": "",
    }
    (source,) = configuration(write(), environ).sources
    assert source.asks.access.login.password == CODE
    assert source.asks.tenant_code == CODE
    assert source.asks.access.rate == 2.5
    assert source.match == {"imei"}
    assert (source.credentials[0].user, source.credentials[0].password) == ("someone", PASSWORD)
    assert source.asks.access.login.user == "api"


def test_variables_reach_tables_in_a_source_and_targets_by_their_kind(write):
    path = write(
        """
        [[mdm.sources]]
        name = "any"
        kind = "generic"
        url = "https://mdm.example.com"
        list_path = "/devices"
        fields = { device_key = "id" }
        [[mdm.targets]]
        kind = "workmail"
        organization_id = "m-0123456789abcdef0123456789abcdef"
        region = "eu-west-1"
        access_key_id = "AKIAIOSFODNN7EXAMPLE"
        """
    )
    environ = {
        "GATEPOST_MDM__SOURCES__ANY__FIELDS__COMPLIANCE": "ok",
        "GATEPOST_MDM__SOURCES__ANY__PAGING__KIND": "link",
        "GATEPOST_MDM__TARGETS__WORKMAIL__SECRET_ACCESS_KEY": CODE,
    }
    made = configuration(path, environ)
    assert made.sources[0].asks.map.fields == {"device_key": "id", "compliance": "ok"}
    assert made.sources[0].asks.paging.kind == "link"
    assert made.workmail.secret_access_key == CODE


def test_mistakes_in_variables(write):
    environ = {
        "GATEPOST_MDM__SOURCES__OTHER__PASSWORD": CODE,
        "GATEPOST_MDM__SOURCES__OUR_UEM": CODE,
        "GATEPOST_MDM__SOURCES__OUR_UEM__WEBHOOK_CREDENTIALS__1__PASSWORD": CODE,
        "GATEPOST_MDM__SOURCES__OUR_UEM__COLOUR": "green",
        "GATEPOST_MDM__SOURCES__OUR_UEM__RATE": "often",
        "GATEPOST_MDM__TARGETS__WORKMAIL__RATE": "1",
    }
    found = mistakes(write(), environ)
    unknown = "unknown variable, expected GATEPOST_MDM__SOURCES__NAME__KEY or GATEPOST_MDM__TARGETS__KIND__KEY"
    assert found[:4] == [
        "GATEPOST_MDM__SOURCES__OTHER__PASSWORD: there is no table [[mdm.sources]] with this name in the configuration file",
        f"GATEPOST_MDM__SOURCES__OUR_UEM: {unknown}",
        f"GATEPOST_MDM__SOURCES__OUR_UEM__WEBHOOK_CREDENTIALS__1__PASSWORD: {unknown}",
        "GATEPOST_MDM__TARGETS__WORKMAIL__RATE: there is no table [[mdm.targets]] with this kind in the configuration file",
    ]
    assert found[4].startswith("mdm.sources[0] (our-uem).colour: unknown key, expected one of burst, ca_file, ")
    assert found[5:] == ["mdm.sources[0] (our-uem).rate: expected a number of requests a second above 0, got `often`"]


@pytest.mark.parametrize(
    ("name", "content"), [("missing", None), ("empty", b""), ("newline", b"\n"), ("binary", b"\xff\xfe")]
)
def test_a_file_of_a_secret_that_does_not_hold_one(write, tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    path = write(SOURCE.replace("secrets/password", name, 1))
    expected = "expected the path of a readable file with the secret in it"
    assert mistakes(path) == [f"mdm.sources[0] (our-uem).password_file: {expected}, got `{name}`"]


def test_a_file_of_a_webhook_credential_is_told_with_its_number(write):
    path = write(SOURCE.replace('secrets/password"\n', 'nowhere"\n').replace("nowhere", "secrets/password", 1))
    (mistake,) = mistakes(path)
    assert mistake.startswith("mdm.sources[0] (our-uem).webhook_credentials[0].password_file: expected the path")


def test_a_secret_is_given_once(write):
    path = write(SOURCE.replace('user = "api"', f'user = "api"\npassword = "{PASSWORD}"'))
    assert mistakes(path) == ["mdm.sources[0] (our-uem).password: give it itself, or `password_file`, not both"]


@pytest.mark.parametrize("text", ["mdm = 1", "[mdm]\nsources = 1", "[mdm]\nsources = [1]", "[mdm.sources]\nname = 'a'"])
def test_arrays_that_are_none(write, text):
    assert all(one.startswith("mdm") for one in mistakes(write(text)))

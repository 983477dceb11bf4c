"""What is told of mistakes in tables; that all are told at once is in test_reading."""

import pytest
from tests.support import secrets

from gatepost.settings import SettingsError, load

PASSWORD = secrets.password("a password that is a mistake")


def mistakes(tmp_path, text: str) -> list[str]:
    path = tmp_path / "gatepost.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    secrets.record("settings", "a mistake", str(caught.value))
    return list(caught.value.mistakes)


def test_a_table_is_named_by_its_number_and_its_name(tmp_path):
    found = mistakes(
        tmp_path,
        """
        [[mdm.sources]]
        name = "first"
        kind = "workspace-one"
        url = "http://mdm.example.com"
        user = "api"
        password = "p"
        tenant_code = "t"
        group_id = "all"
        colour = "green"
        [[mdm.sources]]
        name = "second"
        kind = "generic"
        url = "https://mdm.example.com"
        list_path = "/devices"
        fields = { device_key = 1 }
        match = ["imei", "name"]
        paging = { kind = "books", sizes = 1 }
        [[mdm.sources.webhook_credentials]]
        kind = "basic"
        user = "a:b"
        [[mdm.sources]]
        kind = "jamf"
        [[mdm.sources]]
        name = "nothing"
        [[mdm.targets]]
        kind = "workmail"
        """,
    )
    url = "https://HOST, a path allowed; http only for this machine"
    assert [line.split(", expected one of")[0] for line in found] == [
        "mdm.sources[0] (first).colour: unknown key",
        "mdm.sources[0] (first).group_id: expected the number of an organization group, got `all`",
        f"mdm.sources[0] (first).url: expected {url}, got `http://mdm.example.com`",
        "mdm.sources[1] (second).fields: expected a table of JMESPath expressions, one for device_key among them, got `1`",
        "mdm.sources[1] (second).match: expected a list of imei and serial, got `name`",
        "mdm.sources[1] (second).paging.kind: expected none, link, cursor, page or offset, got `books`",
        "mdm.sources[1] (second).paging.sizes: unknown key",
        "mdm.sources[1] (second).webhook_credentials[0].user: expected a user name without a colon, got `a:b`",
        "mdm.sources[2].kind: expected generic or workspace-one, got `jamf`",
        "mdm.sources[3] (nothing).kind: expected generic or workspace-one, got nothing",
        "mdm.targets[0] (workmail).organization_id: expected m- and 32 hexadecimal digits, as AWS shows it, got nothing",
        "mdm.targets[0] (workmail).region: expected the name of an AWS region, such as eu-west-1, got nothing",
    ]


def test_what_lies_in_several_keys_is_told_of_their_table(tmp_path):
    found = mistakes(
        tmp_path,
        """
        [[mdm.sources]]
        name = "uem"
        kind = "workspace-one"
        url = "https://mdm.example.com"
        tenant_code = "t"
        [[mdm.sources.webhook_credentials]]
        kind = "hmac"
        header = "X-Signature"
        """,
    )
    assert found == ["mdm.sources[0] (uem).webhook_credentials[0]: the kind `hmac` needs `secret`"]


def test_what_may_be_secret_is_not_shown(tmp_path):
    found = mistakes(
        tmp_path,
        f"""
        [[mdm.sources]]
        name = "uem"
        kind = "workspace-one"
        url = "https://api:{PASSWORD}@mdm.example.com"
        user = "api"
        password = ["{PASSWORD}"]
        tenant_code = {{ code = "{PASSWORD}" }}
        proxy = "http://me:{PASSWORD}@pr oxy"
        [[mdm.sources.webhook_credentials]]
        kind = "standard-webhooks"
        secret = "{PASSWORD}"
        """,
    )
    assert not any(PASSWORD[:8] in line for line in found)
    url = "https://HOST, a path allowed; http only for this machine"
    assert found == [
        "mdm.sources[0] (uem).password: expected a password, got something else",
        "mdm.sources[0] (uem).proxy: expected http://HOST:PORT of an HTTP proxy, got `http://me:…@pr oxy`",
        "mdm.sources[0] (uem).tenant_code: expected the API key, aw-tenant-code, got something else",
        f"mdm.sources[0] (uem).url: expected {url}, got `https://api:…@mdm.example.com`",
        "mdm.sources[0] (uem).webhook_credentials[0]: a key of Standard Webhooks is whsec_ and 24 to 64 bytes in base64",
    ]


def test_what_is_no_array_of_tables(tmp_path):
    assert mistakes(tmp_path, f"mdm = {{ sources = {{ password = '{PASSWORD}' }} }}") == [
        "mdm.sources: expected an array of tables, [[mdm.sources]], got a table"
    ]
    assert mistakes(tmp_path, f"mdm = [{{ password = '{PASSWORD}' }}]") == [
        "mdm: expected a table, [mdm], got an array of tables"
    ]

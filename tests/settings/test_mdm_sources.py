import pytest
from pydantic import SecretStr, ValidationError
from tests.support import secrets

from gatepost.mdm.sources.authorization import BasicLogin, BearerToken, ClientCredentials, StaticHeader
from gatepost.mdm.sources.paging import Paging, PagingKind
from gatepost.settings.mdm_sources import (
    GenericSettings,
    WebhookCredentialSettings,
    WorkspaceOneSettings,
    revealed,
)
from gatepost.wire.webhook import (
    BasicCredential,
    HeaderCredential,
    SignatureCredential,
    StandardWebhooksCredential,
)

PASSWORD = secrets.password("a source's password")
CODE = secrets.password("a tenant code")
CLIENT = {"token_url": "https://id.example.com/token", "client_id": "c", "client_secret": PASSWORD}
USER = {"user": "api", "password": PASSWORD}
SIGNING_KEY = secrets.password("a Standard Webhooks key in base64")


def workspace_one(**changed):
    given = {"name": "uem", "kind": "workspace-one", "url": "https://as1.awmdm.com/", "tenant_code": CODE, **USER}
    return made(WorkspaceOneSettings, given | changed)


def generic(**changed):
    given = {
        "name": "any",
        "kind": "generic",
        "url": "https://mdm.example.com/v1",
        "fields": {"device_key": "id"},
        "list_path": "/devices",
    }
    return made(GenericSettings, given | changed)


def made(section, given):
    """The configuration; None in `given` takes a key out."""
    return section.model_validate({key: value for key, value in given.items() if value is not None}).configuration()


def reason(make, **given) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**given)
    (mistake,) = caught.value.errors()
    return mistake["msg"] if mistake["type"] == "combination" else f"{mistake['loc'][-1]}: {mistake['type']}"


def test_a_workspace_one_with_everything():
    made = workspace_one(
        organization_id="m-" + "a" * 32,
        group_id=570,
        page_size=100,
        timeout=5,
        connections=2,
        rate=3,
        burst=4,
        sweep_hours=1,
        match="imei, serial",
        ciphers="ECDHE+AESGCM",
        proxy="http://proxy:3128",
        webhook_credentials=[{"kind": "basic", **USER}, {"kind": "basic", "user": "api", "password": CODE}],
    )
    access = made.asks.access
    assert (made.name, made.organization_id, made.sweep_hours) == ("uem", "m-" + "a" * 32, 1)
    assert made.match == {"imei", "serial"}
    assert made.credentials == (BasicCredential("api", PASSWORD), BasicCredential("api", CODE))
    assert (made.asks.tenant_code, made.asks.group_id, made.asks.page_size) == (CODE, 570, 100)
    assert (access.login, access.rate, access.burst) == (BasicLogin("api", PASSWORD), 3, 4)
    connection = access.connection
    assert (connection.url, connection.timeout, connection.connections) == ("https://as1.awmdm.com", 5, 2)
    assert (connection.ciphers, connection.proxy) == ("ECDHE+AESGCM", "http://proxy:3128")
    assert not any(secret in repr(made) for secret in (PASSWORD, CODE))


def test_a_workspace_one_by_oauth():
    login = workspace_one(user=None, password=None, scope="s", client_in_header=True, **CLIENT).asks.access.login
    assert login == ClientCredentials("https://id.example.com/token", "c", PASSWORD, "s", in_header=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"user": None, "password": None},
            "give `user` and `password`, or `token_url`, `client_id` and `client_secret`",
        ),
        ({"password": None}, "`user` need `password`"),
        (CLIENT, "give either `user` and `password`, or `token_url`, `client_id` and `client_secret`"),
        (
            {"user": None, "password": None, **CLIENT, "client_id": None},
            "`token_url` and `client_secret` need `client_id`",
        ),
        ({"tenant_code": None}, "tenant_code: missing"),
        ({"url": "http://as1.awmdm.com"}, "url: value_error"),
        ({"url": "https://u:p@as1.awmdm.com"}, "url: value_error"),
        ({"user": "a:b"}, "user: string_pattern_mismatch"),
        ({"name": "UEM"}, "name: string_pattern_mismatch"),
        ({"name": "sweep:a"}, "name: string_pattern_mismatch"),
        ({"rate": 0}, "rate: greater_than"),
        ({"fields": {}}, "fields: extra_forbidden"),
        ({"ca_file": "missing.pem"}, "ca_file: value_error"),
    ],
)
def test_a_workspace_one_that_cannot_be_meant(given, said):
    assert reason(workspace_one, **given) == said


def test_ciphers_that_do_not_exist():
    assert "cipher" in reason(workspace_one, ciphers="NONSENSE").lower()


def test_a_generic_source_with_everything():
    given = {
        "compliance_values": {"OK": "compliant"},
        "managed_values": {"enrolled": "yes"},
        "compromised_values": {"rooted": True},
        "notification_key": "data.id",
        "key_pattern": "[0-9]+",
        "fetch_path": "/devices/{device_key}",
        "fetch_item": "data",
        "gone": "missing",
        "also": {"status": "/devices/{device_key}/status"},
        "list_items": "data",
        "list_key": "id",
        "find_paths": {"serial": "/devices?serial={serial}"},
        "find_items": "found",
        "headers": {"Api-Version": "2"},
        "listing_seconds": 5,
    }
    asks = generic(paging={"kind": "cursor", "next": "next", "parameter": "after"}, **given).asks
    for name in given.keys() - {"compliance_values", "managed_values", "compromised_values"}:
        assert getattr(asks, name) == given[name], name
    assert asks.map.fields == {"device_key": "id"}
    assert asks.map.compliance_values == {"OK": "compliant"}
    assert asks.map.managed_values == {"enrolled": "yes"}
    assert asks.map.compromised_values == {"rooted": True}
    assert asks.paging == Paging(PagingKind.CURSOR, "next", "after")


@pytest.mark.parametrize(
    ("given", "login"),
    [
        ({}, None),
        (USER, BasicLogin("api", PASSWORD)),
        (CLIENT, ClientCredentials("https://id.example.com/token", "c", PASSWORD)),
        ({"token": PASSWORD}, BearerToken(PASSWORD)),
        ({"header": "X-Key", "header_value": PASSWORD}, StaticHeader("X-Key", PASSWORD)),
    ],
)
def test_the_logins_of_a_generic_source(given, login):
    assert generic(**given).asks.access.login == login


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"token": PASSWORD, **USER}, "give one login: a user, a client, a token or a header"),
        ({"header": "X-Key"}, "`header` need `header_value`"),
        ({"header": "X Key", "header_value": "a"}, "header: string_pattern_mismatch"),
        ({"token": "a b"}, "a bearer token is printable ASCII without spaces"),
        ({"list_path": None}, "a generic source needs `fetch_path`, or `list_path`, or both"),
        ({"fields": {"device_key": "["}}, "is not a JMESPath expression"),
        ({"fields": {"colour": "a", "device_key": "id"}}, "there is no field `colour`"),
        ({"compliance_values": {"OK": "fine"}}, "`fine` is none of"),
        ({"paging": {"kind": "page"}}, "paging by page needs the query `parameter`"),
        ({"paging": {"kind": "books"}}, "kind: enum"),
        ({"key_pattern": "("}, "`key_pattern` is not a regular expression"),
        ({"webhook_credentials": [{"kind": "basic", **USER}]}, "`webhook_credentials` need `notification_key`"),
    ],
)
def test_a_generic_source_that_cannot_be_meant(given, said):
    assert said in reason(generic, **given)


@pytest.mark.parametrize(
    ("given", "credential"),
    [
        ({"kind": "basic", **USER}, BasicCredential("api", PASSWORD)),
        ({"kind": "header", "header": "X-Key", "value": f" {PASSWORD}"}, HeaderCredential("X-Key", PASSWORD)),
        ({"kind": "hmac", "header": "X-Sig", "secret": PASSWORD}, SignatureCredential("X-Sig", PASSWORD.encode())),
        (
            {
                "kind": "hmac",
                "header": "X-Sig",
                "secret": PASSWORD,
                "algorithm": "sha512",
                "prefix": "v0=",
                "timestamp_header": "X-Time",
                "signed": "v0:{timestamp}:{body}",
            },
            SignatureCredential("X-Sig", PASSWORD.encode(), "sha512", "v0=", "X-Time", "v0:{timestamp}:{body}"),
        ),
    ],
)
def test_a_webhook_credential_of_each_kind(given, credential):
    assert WebhookCredentialSettings.model_validate(given).credential() == credential


def test_standard_webhooks():
    key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the specification's own tests
    made = WebhookCredentialSettings.model_validate(
        {"kind": "standard-webhooks", "secret": f"whsec_{key}"}
    ).credential()
    assert isinstance(made, StandardWebhooksCredential)
    assert len(made.key) == 24


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "basic", "user": "a"}, "the kind `basic` needs `password`"),
        ({"kind": "header", "header": "X"}, "the kind `header` needs `value`"),
        ({"kind": "hmac", "header": "X"}, "the kind `hmac` needs `secret`"),
        ({"kind": "standard-webhooks"}, "the kind `standard-webhooks` needs `secret`"),
        ({"kind": "basic", "user": "a", "password": "b", "prefix": "c"}, "the kind `basic` has no `prefix`"),
        ({"kind": "standard-webhooks", "secret": PASSWORD}, "24 to 64 bytes"),
        (
            {"kind": "hmac", "header": "X", "secret": "a", "signed": "{body}{timestamp}"},
            "signed: string_pattern_mismatch",
        ),
        ({"kind": "digest"}, "kind: literal_error"),
    ],
)
def test_a_webhook_credential_that_cannot_be_meant(given, said):
    found = reason(WebhookCredentialSettings.model_validate, obj=given)
    assert said in found
    assert PASSWORD not in found


def test_secrets_do_not_show_by_themselves():
    settings = WebhookCredentialSettings.model_validate({"kind": "basic", **USER})
    assert PASSWORD not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert (revealed(settings.password), revealed(None), revealed(SecretStr("x"))) == (PASSWORD, "", "x")

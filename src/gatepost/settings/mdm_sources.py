"""The tables [[mdm.sources]]: one MDM each, how it is asked and how it proves what it sends."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from gatepost.mdm.configuration import SourceConfiguration
from gatepost.mdm.sources.authorization import BasicLogin, BearerToken, ClientCredentials, Login, StaticHeader
from gatepost.mdm.sources.build import build_source
from gatepost.mdm.sources.generic import KEY_PATTERN, GenericConfiguration
from gatepost.mdm.sources.http import Access
from gatepost.mdm.sources.mapping import MapConfiguration
from gatepost.mdm.sources.paging import Paging, PagingKind
from gatepost.mdm.sources.transport import Connection, check_url
from gatepost.mdm.sources.workspace_one import WorkspaceOneConfiguration
from gatepost.settings.section import Section
from gatepost.settings.values import ExistingFile, OrganizationId, listed
from gatepost.wire.webhook import (
    BasicCredential,
    Credential,
    HeaderCredential,
    SignatureCredential,
    standard_webhooks,
)

_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
_HEADER = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$"
_HEADER_NAME = "the name of a header"
_EXPRESSION = "a JMESPath expression"
_TABLE = "a table of texts"
_URL = "https://HOST, a path allowed; http only for this machine"


def _url(value: object) -> str:
    if not isinstance(value, str) or value != value.strip():
        raise ValueError
    check_url(value)
    return value.rstrip("/")


SourceUrl: TypeAlias = Annotated[str, BeforeValidator(_url)]
User: TypeAlias = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^:\x00-\x1f\x7f]+$")]
Secret: TypeAlias = Annotated[SecretStr, Field(min_length=1, max_length=16_384)]
Texts: TypeAlias = dict[str, str]


class WebhookCredentialSettings(Section):
    """What proves a notification; any one of a source's credentials will do."""

    kind: Literal["basic", "header", "hmac", "standard-webhooks"] = Field(
        description="basic, header, hmac or standard-webhooks"
    )
    user: User | None = Field(default=None, description="a user name without a colon")
    password: Secret | None = Field(default=None, description="a password")
    header: str | None = Field(default=None, pattern=_HEADER, description=_HEADER_NAME)
    value: Secret | None = Field(default=None, description="the header's value")
    secret: Secret | None = Field(default=None, description="the key that notifications are signed with")
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(default="sha256", description="sha1, sha256 or sha512")
    prefix: str | None = Field(default=None, min_length=1, max_length=64, description="a text of at most 64 characters")
    timestamp_header: str | None = Field(default=None, pattern=_HEADER, description=_HEADER_NAME)
    signed: str = Field(
        default="{timestamp}.{body}",
        pattern=r"^[^{}]*\{timestamp\}[^{}]*\{body\}[^{}]*$",
        description="a text with {timestamp} and, after it, {body}",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> WebhookCredentialSettings:
        needed = {"basic": {"user", "password"}, "header": {"header", "value"}, "hmac": {"header", "secret"}}
        allowed = {"hmac": {"algorithm", "prefix", "timestamp_header", "signed"}}
        wanted = needed.get(self.kind, {"secret"})
        _check_keys(self, f"the kind `{self.kind}`", wanted, allowed.get(self.kind, set()) | {"kind"})
        try:
            self.credential()
        except ValueError as error:
            raise _combination(str(error)) from error
        return self

    def credential(self) -> Credential:
        """What it is checked with. Raises ValueError for a key that is none."""
        if self.kind == "basic":
            return BasicCredential(self.user or "", revealed(self.password))
        if self.kind == "header":
            return HeaderCredential(self.header or "", revealed(self.value).strip())
        if self.kind == "standard-webhooks":
            return standard_webhooks(revealed(self.secret))
        return SignatureCredential(
            header=self.header or "",
            secret=revealed(self.secret).encode(),
            algorithm=self.algorithm,
            prefix=self.prefix,
            timestamp_header=self.timestamp_header,
            signed=self.signed,
        )


class _SourceSettings(Section):
    """What all kinds have."""

    kind: str = Field(description="workspace-one or generic")
    name: str = Field(pattern=_NAME, description="up to 32 small letters, digits and hyphens")
    organization_id: OrganizationId | None = Field(default=None, description="m- and 32 lower-case letters and digits")
    url: SourceUrl = Field(description=_URL)
    user: User | None = Field(default=None, description="a user name without a colon")
    password: Secret | None = Field(default=None, description="a password")
    token_url: SourceUrl | None = Field(default=None, description=_URL)
    client_id: str | None = Field(default=None, min_length=1, max_length=1_024, description="a client id")
    client_secret: Secret | None = Field(default=None, description="a client secret")
    scope: str | None = Field(default=None, min_length=1, max_length=1_024, description="a scope")
    client_in_header: bool = Field(default=False, description="true or false")
    ca_file: ExistingFile | None = Field(
        default=None, description="the path of an existing file with certificates in PEM form"
    )
    ciphers: str | None = Field(default=None, min_length=1, description="a list of ciphers as OpenSSL writes it")
    proxy: str | None = Field(
        default=None, pattern=r"^https?://[^\s/]+/?$", repr=False, description="http://HOST:PORT of an HTTP proxy"
    )
    timeout: float = Field(default=10.0, gt=0, le=60, description="a number of seconds above 0, 60 at most")
    connections: int = Field(default=8, ge=1, le=100, description="a whole number, 1 to 100")
    rate: float = Field(default=20.0, gt=0, le=10_000, description="a number of requests a second above 0")
    burst: int = Field(default=40, ge=1, le=10_000, description="a whole number, 1 to 10000")
    sweep_hours: float = Field(default=6.0, gt=0, le=168, description="a number of hours above 0, 168 at most")
    match: Annotated[frozenset[Literal["imei", "serial"]], BeforeValidator(listed)] = Field(
        default=frozenset(), description="a list of imei and serial"
    )
    webhook_credentials: tuple[WebhookCredentialSettings, ...] = Field(
        default=(), description="an array of tables, [[mdm.sources.webhook_credentials]]"
    )

    def _source(self, asks: WorkspaceOneConfiguration | GenericConfiguration) -> SourceConfiguration:
        return SourceConfiguration(
            asks=asks,
            credentials=tuple(one.credential() for one in self.webhook_credentials),
            organization_id=self.organization_id,
            sweep_hours=self.sweep_hours,
            match=frozenset(self.match),
        )

    def _access(self, login: Login | None) -> Access:
        connection = Connection(self.url, self.ca_file, self.ciphers, self.proxy, self.timeout, self.connections)
        return Access(connection, login, self.rate, self.burst)

    def _login(self) -> Login | None:
        """By user or by client. Raises ValueError where that is not clear."""
        by_user = _together(self, "user", "password")
        by_client = _together(self, "token_url", "client_id", "client_secret")
        if by_user and by_client:
            raise ValueError("give either `user` and `password`, or `token_url`, `client_id` and `client_secret`")
        if by_user:
            return BasicLogin(self.user or "", revealed(self.password))
        if not by_client:
            return None
        return ClientCredentials(
            token_url=self.token_url or "",
            client_id=self.client_id or "",
            client_secret=revealed(self.client_secret),
            scope=self.scope,
            in_header=self.client_in_header,
        )


class WorkspaceOneSettings(_SourceSettings):
    """Omnissa Workspace ONE UEM."""

    kind: Literal["workspace-one"] = Field(description="workspace-one or generic")
    tenant_code: Secret = Field(description="the API key, aw-tenant-code")
    group_id: int | None = Field(default=None, ge=1, description="the number of an organization group")
    page_size: int = Field(default=500, ge=1, le=500, description="a whole number, 1 to 500")

    @model_validator(mode="after")
    def _can_be_asked(self) -> WorkspaceOneSettings:
        _try_out(self)
        return self

    def configuration(self) -> SourceConfiguration:
        """The source as the bridge wants it. Raises ValueError where it cannot be meant."""
        login = self._login()
        if login is None:
            raise ValueError("give `user` and `password`, or `token_url`, `client_id` and `client_secret`")
        tenant_code = revealed(self.tenant_code)
        return self._source(
            WorkspaceOneConfiguration(self.name, self._access(login), tenant_code, self.group_id, self.page_size)
        )


class PagingSettings(Section):
    """How a generic source gives a long list."""

    kind: PagingKind = Field(default=PagingKind.NONE, description="none, link, cursor, page or offset")
    next: str | None = Field(default=None, description=_EXPRESSION)
    parameter: str | None = Field(default=None, min_length=1, description="the name of a query parameter")
    first: int = Field(default=0, ge=0, description="a whole number")
    size_parameter: str | None = Field(default=None, min_length=1, description="the name of a query parameter")
    size: int | None = Field(default=None, ge=1, le=10_000, description="a whole number, 1 to 10000")
    total: str | None = Field(default=None, description=_EXPRESSION)


class GenericSettings(_SourceSettings):
    """Any MDM with a REST API in JSON."""

    kind: Literal["generic"] = Field(description="workspace-one or generic")
    token: Secret | None = Field(default=None, description="a token for `Authorization: Bearer`")
    header: str | None = Field(default=None, pattern=_HEADER, description=_HEADER_NAME)
    header_value: Secret | None = Field(default=None, description="the header's value")
    headers: Texts = Field(default={}, description=_TABLE)
    fields: Texts = Field(description="a table of JMESPath expressions, one for device_key among them")
    compliance_values: Texts = Field(default={}, description=_TABLE)
    managed_values: Texts = Field(default={}, description=_TABLE)
    compromised_values: dict[str, bool] = Field(default={}, description="a table of true and false")
    notification_key: str | None = Field(default=None, description=_EXPRESSION)
    key_pattern: str = Field(default=KEY_PATTERN, description="a regular expression")
    fetch_path: str | None = Field(default=None, description="a path with {device_key}")
    fetch_item: str = Field(default="@", description=_EXPRESSION)
    gone: str | None = Field(default=None, description=_EXPRESSION)
    also: Texts = Field(default={}, description="a table of paths with {device_key}")
    list_path: str | None = Field(default=None, description="a path")
    list_items: str = Field(default="@", description=_EXPRESSION)
    list_key: str | None = Field(default=None, description=_EXPRESSION)
    paging: PagingSettings = Field(default=PagingSettings(), description="a table, [mdm.sources.paging]")
    find_paths: Texts = Field(default={}, description="a table of paths, for device_id, imei or serial")
    find_items: str = Field(default="@", description=_EXPRESSION)
    listing_seconds: float = Field(default=60.0, gt=0, le=86_400, description="a number of seconds above 0")

    @model_validator(mode="after")
    def _can_be_asked(self) -> GenericSettings:
        _try_out(self)
        if self.webhook_credentials and self.notification_key is None:
            raise _combination(
                "`webhook_credentials` need `notification_key`, which finds the device in a notification"
            )
        return self

    def configuration(self) -> SourceConfiguration:
        """The source as the bridge wants it. Raises ValueError where it cannot be meant."""
        values = (self.compliance_values, self.managed_values, self.compromised_values)
        return self._source(
            GenericConfiguration(
                name=self.name,
                access=self._access(self._login()),
                map=MapConfiguration(self.fields, *values),
                notification_key=self.notification_key,
                key_pattern=self.key_pattern,
                fetch_path=self.fetch_path,
                fetch_item=self.fetch_item,
                gone=self.gone,
                also=self.also,
                list_path=self.list_path,
                list_items=self.list_items,
                list_key=self.list_key,
                paging=Paging(**self.paging.model_dump()),
                find_paths=self.find_paths,
                find_items=self.find_items,
                headers=self.headers,
                listing_seconds=self.listing_seconds,
            )
        )

    def _login(self) -> Login | None:
        login = super()._login()
        found: list[Login] = [] if login is None else [login]
        if self.token is not None:
            found.append(BearerToken(revealed(self.token)))
        if _together(self, "header", "header_value"):
            found.append(StaticHeader(self.header or "", revealed(self.header_value)))
        if len(found) > 1:
            raise ValueError("give one login: a user, a client, a token or a header")
        return found[0] if found else None


def revealed(secret: SecretStr | None) -> str:
    """The secret itself; an empty text for none."""
    return "" if secret is None else secret.get_secret_value()


def _try_out(source: WorkspaceOneSettings | GenericSettings) -> None:
    """Make the source once, which asks nothing yet: expressions, files and ciphers are read where they are used."""
    try:
        build_source(source.configuration())
    except (ValueError, OSError) as error:  # an SSLError is an OSError
        raise _combination(str(error)) from error


def _together(section: Section, *keys: str) -> bool:
    """Whether they are given. Raises ValueError where only some of them are."""
    missing = [key for key in keys if getattr(section, key) is None]
    if not missing or len(missing) == len(keys):
        return not missing
    raise ValueError(f"{' and '.join(f'`{key}`' for key in keys if key not in missing)} need `{missing[0]}`")


def _check_keys(section: Section, what: str, needed: set[str], allowed: set[str]) -> None:
    given = section.model_fields_set
    missing, foreign = sorted(needed - given), sorted(given - needed - allowed)
    if missing:
        raise _combination(f"{what} needs `{missing[0]}`")
    if foreign:
        raise _combination(f"{what} has no `{foreign[0]}`")


def _combination(reason: str) -> PydanticCustomError:
    """A mistake that lies in several keys, told as it is: what was given is not shown."""
    return PydanticCustomError("combination", "{reason}", {"reason": reason})

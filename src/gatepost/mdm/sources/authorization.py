"""How Gatepost proves to a source who asks: Basic, a bearer token, a header, or OAuth 2.0 client credentials."""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from gatepost.mdm.sources.base import SourceRefused, SourceUnavailable
from gatepost.mdm.sources.pacing import told
from gatepost.mdm.sources.reading import Unreadable, read_json
from gatepost.mdm.sources.transport import check_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from gatepost.mdm.sources.transport import Answer, Transport

_RENEW_EARLY = 300.0  # seconds: longer than any question takes, and than clocks differ
_DEFAULT_LIFETIME = 3600.0
_SENDABLE = re.compile(r"[\x21-\x7e]{1,16384}")  # an access token, RFC 6749 A.12
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")  # RFC 6749 5.2
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,8192}")


@dataclass(frozen=True, slots=True)
class BasicLogin:
    """HTTP Basic, in UTF-8 (RFC 7617)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token that does not change, in `Authorization: Bearer`."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StaticHeader:
    """A header of the source's own with a key in it."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749 4.4). `in_header`: the client names itself by Basic, not in the form."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    in_header: bool = False

    def __post_init__(self) -> None:
        """Check the URL."""
        check_url(self.token_url)


class LoginRefused(SourceRefused):
    """The source, or its token endpoint, does not accept what is configured: asking again can lock an account."""


Login = BasicLogin | BearerToken | StaticHeader | ClientCredentials


class Authorization(Protocol):
    """What proves who asks."""

    async def headers(self) -> Mapping[str, str]:
        """For the next request. Raises SourceUnavailable and SourceRefused."""

    def rejected(self, used: Mapping[str, str]) -> bool:
        """The source answered 401 to these headers. True where there are, or may be, better ones to try once."""


def authorization(login: Login | None, transport: Transport, now: Callable[[], datetime]) -> Authorization:
    """What that login amounts to. Raises ValueError where it cannot be sent."""
    if isinstance(login, ClientCredentials):
        return Tokens(login, transport, now)
    return Fixed(_fixed(login))


def _fixed(login: BasicLogin | BearerToken | StaticHeader | None) -> dict[str, str]:
    if login is None:
        return {}
    if isinstance(login, BasicLogin):
        if ":" in login.user:
            raise ValueError("a user name for HTTP Basic has no colon")
        return {"authorization": _basic(login.user, login.password)}
    if isinstance(login, BearerToken):
        if not _SENDABLE.fullmatch(login.token):
            raise ValueError("a bearer token is printable ASCII without spaces")
        return {"authorization": f"Bearer {login.token}"}
    if not _HEADER_NAME.fullmatch(login.name) or not _HEADER_VALUE.fullmatch(login.value):
        raise ValueError("a header's name is a token and its value printable ASCII")
    return {login.name.lower(): login.value}


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Fixed:
    """Headers that are always the same."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        """Those headers."""
        return self._headers

    def rejected(self, used: Mapping[str, str]) -> bool:  # noqa: ARG002 - the Protocol's signature
        """There are no others."""
        return False


class Tokens:
    """A token from the token endpoint: kept, renewed five minutes early by one request at a time, and after a 401.

    A token that lives for less than ten minutes is renewed at half its life. While the token endpoint does not answer,
    a token that is still good goes on being used.
    """

    def __init__(self, client: ClientCredentials, transport: Transport, now: Callable[[], datetime]) -> None:
        self._client = client
        self._transport = transport
        self._now = now
        self._lock = asyncio.Lock()
        self._headers: Mapping[str, str] | None = None
        self._renew_at = self._ends_at = now()

    async def headers(self) -> Mapping[str, str]:
        """Authorization with a token that is good for some minutes."""
        async with self._lock:
            if self._headers is None or self._now() >= self._renew_at:
                try:
                    self._headers = await self._renewed()
                except SourceUnavailable:
                    if self._headers is None or self._now() >= self._ends_at:
                        raise
            return self._headers

    def rejected(self, used: Mapping[str, str]) -> bool:
        """Forget the token, unless it has been renewed since."""
        if self._headers is used:
            self._headers = None
        return True

    async def _renewed(self) -> Mapping[str, str]:
        client = self._client
        form = {"grant_type": "client_credentials"}
        headers = {"accept": "application/json"}
        if client.scope is not None:
            form["scope"] = client.scope
        if client.in_header:
            headers["authorization"] = _basic(client.client_id, client.client_secret)
        else:
            form |= {"client_id": client.client_id, "client_secret": client.client_secret}
        answer = await self._transport.ask("POST", client.token_url, headers, form)
        found = self._granted(answer)
        lifetime = _lifetime(found.get("expires_in"))
        self._renew_at = self._now() + timedelta(seconds=max(lifetime - _RENEW_EARLY, lifetime / 2))
        self._ends_at = self._now() + timedelta(seconds=lifetime)
        return {"authorization": f"Bearer {found['access_token']}"}

    def _granted(self, answer: Answer) -> dict[str, Any]:
        try:
            found = read_json(answer.body)
        except Unreadable:
            found = None
        found = found if isinstance(found, dict) else {}
        if answer.status in (400, 401, 403):
            code = found.get("error")
            known = code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else f"status {answer.status}"
            raise LoginRefused(f"its token endpoint refuses the configured client (`{known}`)")
        if answer.status != 200:
            wait = told(answer.status, answer.headers, self._now()).wait
            raise SourceUnavailable(f"its token endpoint answered {answer.status}", wait)
        granted = found.get("access_token")
        kind = found.get("token_type", "bearer")
        if not isinstance(granted, str) or not _SENDABLE.fullmatch(granted) or str(kind).lower() != "bearer":
            raise SourceUnavailable("its token endpoint answered without a bearer token")
        return found


def _lifetime(value: object) -> float:
    """Seconds, also as a string; an hour where it is not said."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else _DEFAULT_LIFETIME
    except (ValueError, OverflowError):
        return _DEFAULT_LIFETIME
    return min(max(seconds, 1.0), 86400.0) if seconds == seconds else _DEFAULT_LIFETIME  # noqa: PLR0124 - not NaN

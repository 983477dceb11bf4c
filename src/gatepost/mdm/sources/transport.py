"""One bounded HTTP exchange with an MDM: no redirects, ten seconds, four mebibytes, and TLS as the operator set it up.

Where it goes is only ever the configured URL, or another path there; answers are not compressed, so that what is counted
is what arrives.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from gatepost.mdm.sources.base import SourceRefused, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes: a page of 500 devices with all they have is about two million."""

_PROXY = re.compile(r"https?://(?:[^\s/@]+@)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?/?")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

# Their lines on "info" are one for each request with its whole URL, in which EAS device ids are looked up.
for _noisy in ("httpx", "httpcore"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a source is and how it is reached. Raises ValueError where that cannot be meant.

    `url` is https (http only on loopback), without user, query and fragment. `ca_file` holds the certificates that are
    trusted instead of the machine's; `ciphers` is OpenSSL's cipher list, for servers with keys that OpenSSL finds too
    small; `proxy` is the URL of an HTTP proxy. `timeout` is for a whole exchange, in seconds.
    """

    url: str
    ca_file: Path | None = None
    ciphers: str | None = None
    proxy: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    connections: int = 8

    def __post_init__(self) -> None:
        """Check the URLs."""
        check_url(self.url)
        if self.proxy is not None and not _PROXY.fullmatch(self.proxy):
            raise ValueError("`proxy` is `http://host:port` or `https://host:port`, with or without `user:password@`")


def check_url(url: str) -> None:
    """Raise ValueError, without quoting more than the host, unless `url` may be given a source's credentials."""
    parts = urlsplit(url)
    try:
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        port_is_one = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
        raise ValueError("the URL of a source is `https://host` or `https://host/path`")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(f"the URL of a source has no user, query or fragment (`{parts.hostname}`)")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError(f"a source is asked over https, `{parts.hostname}` is not this machine")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case, of two alike the last."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_page(self) -> bool:
        """True for HTML or XML: a load balancer speaks, or another application, and not the API that was asked."""
        return self.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


class Transport:
    """A pool of connections to one source. Raises ValueError for certificates and ciphers that cannot be used."""

    def __init__(self, connection: Connection) -> None:
        self._timeout = connection.timeout
        # Whoever waits for one of the connections is not being kept waiting by the source.
        self._free = asyncio.Semaphore(connection.connections)
        self._client = httpx.AsyncClient(
            verify=_tls(connection),
            follow_redirects=False,
            trust_env=False,
            proxy=connection.proxy,
            timeout=connection.timeout,
            limits=httpx.Limits(
                max_connections=connection.connections, max_keepalive_connections=connection.connections
            ),
            headers={"accept-encoding": "identity", "user-agent": "gatepost"},
        )

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer, whatever its status. Raises SourceUnavailable where none came, SourceRefused for too long a one."""
        try:
            async with (
                self._free,
                asyncio.timeout(self._timeout),
                self._client.stream(method, url, headers=dict(headers), data=dict(form) if form else None) as response,
            ):
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise SourceRefused("it answered compressed, though it was asked not to")
                body = bytearray()
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > BODY_LIMIT:
                        raise SourceRefused(f"it answered more than {BODY_LIMIT} bytes; ask for smaller pages")
                return Answer(response.status_code, dict(response.headers), bytes(body))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise SourceUnavailable(f"it did not answer within {self._timeout:g} seconds") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise SourceUnavailable(f"it cannot be reached ({_why(error)})") from error

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()


def _why(error: BaseException) -> str:
    """What the innermost error says that says anything."""
    said = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        said = f"{type(cause).__name__}: {str(cause)[:200]}" if str(cause) else said
        cause = cause.__cause__ or cause.__context__
    return said


def _tls(connection: Connection) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
    except OSError as error:  # an ssl.SSLError is one
        raise ValueError(f"`ca_file` `{connection.ca_file}` cannot be read as certificates in PEM form") from error
    if connection.ciphers is not None:
        try:
            context.set_ciphers(connection.ciphers)
        except ssl.SSLError as error:
            raise ValueError(f"OpenSSL knows none of the ciphers `{connection.ciphers}`") from error
    return context

"""What a gateway is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatepost.gateway.limits import Limits

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network
    from ssl import SSLContext

EAS_PATH = "/Microsoft-Server-ActiveSync"


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """Where the mail server is: host and port to connect to, the path ActiveSync is mounted at, the Host to name."""

    host: str
    port: int
    tls: bool
    path: bytes
    authority: bytes


@dataclass(frozen=True, slots=True)
class GatewayConfiguration:
    """A gateway's settings as values; `max_replica_age` in seconds, `ssl_context` for an https upstream."""

    host: str
    port: int
    upstream: UpstreamAddress
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    max_replica_age: float = 3600.0
    organization_id: str | None = None
    ssl_context: SSLContext | None = None
    proxy_protocol: bool = False
    public_url: str | None = None
    autodiscover: bool = True
    redirect_hosts: tuple[str, ...] = ()
    protocol_versions: tuple[str, ...] = ()
    refused_commands: tuple[str, ...] = ()
    bridge_deny_wins: bool = False
    limits: Limits = field(default_factory=Limits)


def upstream_address(url: str) -> UpstreamAddress:
    """Read a base URL, or the full ActiveSync URL where a server mounts it elsewhere; ValueError says what is wrong."""
    if not url.isascii() or " " in url:
        raise ValueError(f"expected a URL with everything but ASCII percent-encoded, got `{url}`")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"expected http://host[:port][/path] or https://…, got `{url}`")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"expected a URL without credentials, query or fragment, got `{url}`")
    path = parts.path.rstrip("/")
    if not path.lower().endswith(EAS_PATH.lower()):
        path += EAS_PATH
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    host = parts.hostname
    name = f"[{host}]" if ":" in host else host
    authority = name if port == (443 if tls else 80) else f"{name}:{port}"
    return UpstreamAddress(host, port, tls, path.encode("ascii"), authority.encode("ascii"))

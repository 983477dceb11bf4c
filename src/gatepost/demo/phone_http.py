"""HTTP/1.1 for the phone: one connection that is opened when it is needed and kept while the server keeps it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

LINE_LIMIT = 64 * 1024
"""Bytes of one header line; asyncio's own limit, said here."""


class HttpError(Exception):
    """An answer that is not HTTP, or that ends too early."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer with its whole body; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Sends requests to the server of `url`, one at a time, over one connection, or a new one where that was closed.

    Servers close kept connections whenever they like, some after each answer. A request that meets such a close is sent
    again over a new connection if that is harmless; one that must not arrive twice gets a new connection at once.
    """

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"`{url}` is not an address of a server; use http://host:port or https://host:port")
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, *, repeatable: bool
    ) -> HttpAnswer:
        """One request and its answer; raises HttpError and OSError. Cancelled, it closes the connection."""
        if not repeatable:
            await self.close()
        reused = self._reader is not None
        try:
            return await self._request(method, target, headers, body)
        except (ConnectionError, HttpError):
            if not reused:
                raise
        return await self._request(method, target, headers, body)

    async def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> HttpAnswer:
        reader, writer = await self._connection()
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        keep = False
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
            await writer.drain()
            answer, keep = await _read_answer(reader)
        except (asyncio.IncompleteReadError, ValueError) as error:
            raise HttpError(f"the answer is not HTTP, or ends too early: {error}") from error
        finally:
            if not keep:
                await self.close()
        return answer

    async def close(self) -> None:
        """Close the connection, if there is one."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The open connection, or a new one where there is none or the server has closed it meanwhile."""
        if self._reader is not None and self._writer is not None:
            if not self._reader.at_eof() and not self._writer.is_closing():
                return self._reader, self._writer
            await self.close()
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._tls, limit=LINE_LIMIT
        )
        return self._reader, self._writer


async def _read_answer(reader: asyncio.StreamReader) -> tuple[HttpAnswer, bool]:
    """An answer, and whether the connection may be used again; interim answers (1xx) are skipped."""
    version, status, headers = "", 100, dict[str, str]()
    while 100 <= status < 200:
        version, _, rest = (await _line(reader)).partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ValueError(f"status line `{version} {rest}`")
        status, headers = int(rest[:3]), dict[str, str]()
        while line := await _line(reader):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
    keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = await _chunks(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif status in (204, 304):
        body = b""
    else:
        body, keep = await reader.read(), False
    return HttpAnswer(status, headers, body), keep


async def _line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\n")).decode("latin-1").rstrip("\r\n")


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await _line(reader)).partition(";")[0], 16):
        body += await reader.readexactly(size)
        await _line(reader)
    while await _line(reader):
        pass
    return bytes(body)

"""The query of an ActiveSync request, plain or base64, read once and written anew (MS-ASHTTP 2.2.1.1.1).

Theory of operation. Servers read the same query in different ways: the first or the last of two `DeviceId`, the part
after the first or the last `?`, names in one case or in any. Whoever decides in front of them must not read it in a
third way. So a query has one meaning here or it is malformed, and what goes on to the server is never the bytes that
came, but a query rendered from the values that were decided on.
"""

from __future__ import annotations

from dataclasses import replace

from gatepost.wire.eas.base64_query import parse_base64, render_base64
from gatepost.wire.eas.plain_query import parse_plain, render_plain
from gatepost.wire.eas.query import QUERY_LIMIT, EasRequest, MalformedRequest, QueryForm, UnknownCommand, user_of

__all__ = [
    "OPTIONS",
    "EasRequest",
    "MalformedRequest",
    "QueryForm",
    "UnknownCommand",
    "claiming",
    "parse_options_query",
    "parse_query",
    "render_headers",
    "render_query",
]

OPTIONS = "OPTIONS"
"""Stands where a command would in what `parse_options_query` answers; no POST can have it."""

_ALLOWED = bytes(sorted(set(range(0x21, 0x100)) - set(b"?#\x7f")))


def parse_query(query: bytes, protocol_version: bytes | None, policy_key: bytes | None) -> EasRequest:
    """The request that `query` (the raw bytes after the `?`) and two headers describe; raises MalformedRequest.

    `protocol_version` is the header MS-ASProtocolVersion, `policy_key` the header X-MS-PolicyKey. A base64 query has
    both inside, and then the headers do not count (MS-ASHTTP 2.2.1.1.2.4): they may differ, and are replaced.
    """
    if len(query) > QUERY_LIMIT:
        raise MalformedRequest(f"the query has {len(query)} bytes, more than {QUERY_LIMIT}")
    if query.translate(None, _ALLOWED):
        raise MalformedRequest("the query has a second `?`, a `#`, a blank or a control character in it")
    if not query:
        raise MalformedRequest("the request has no query")
    if b"&" in query:
        return parse_plain(query, protocol_version, policy_key)
    return parse_base64(query)


def parse_options_query(query: bytes) -> EasRequest | None:
    """What the query of an OPTIONS request says about the device, None where it says nothing that can be relied on.

    OPTIONS needs no query (MS-ASHTTP 2.2.1.1) and names no command, so nothing here is an error. `command` of the
    answer is `OPTIONS` and `protocol_version` is empty: OPTIONS is asked before a version is chosen.
    """
    if b"&" in query:
        others = [part for part in query.split(b"&") if part.partition(b"=")[0].lower() != b"cmd"]
        query = b"&".join((b"Cmd=Ping", *others))
    try:
        request = parse_query(query, b"2.5", None)
    except MalformedRequest:
        return None
    return replace(request, command=OPTIONS, protocol_version="", policy_key=None, parameters=())


def claiming(request: EasRequest, login: str) -> EasRequest:
    """`request` with no other claim than who logs in: its `User` is `login`, if it has one.

    Some servers open the mailbox that `User` names (Z-Push, for whoever may), and all write it into their logs. A claim
    that differs in case only stays as it was sent. Raises MalformedRequest for a login that cannot be a `User`.
    """
    if request.user is None or request.user.lower() == login.lower():
        return request
    claim = login.encode()
    if len(claim) > 0xFF:  # what the length in the base64 form can say
        raise MalformedRequest("`User` is not who logs in, and the login has more than 255 bytes")
    return replace(request, user=user_of(claim))


def render_query(request: EasRequest) -> bytes:
    """The query for `request`, in its own form: with the headers below, `parse_query` reads the same request from it.

    OPTIONS goes on without a query, which it does not need.
    """
    if request.command == OPTIONS:
        return b""
    return render_plain(request) if request.form is QueryForm.PLAIN else render_base64(request)


def render_headers(request: EasRequest) -> tuple[tuple[str, str], ...]:
    """The headers that go with `render_query`: the protocol version and, where there is one, the policy key.

    They replace what the phone sent, so that a server that reads headers and one that reads the base64 query see the
    same.
    """
    if request.command == OPTIONS:
        return ()
    version = ("MS-ASProtocolVersion", request.protocol_version)
    if request.policy_key is None:
        return (version,)
    return (version, ("X-MS-PolicyKey", str(request.policy_key)))

"""Who asks: Basic, a bearer token, a header, and tokens that are renewed in time."""

import asyncio

import pytest
from tests.support import secrets
from tests.support.clock import Clock
from tests.support.loop import in_loop
from tests.support.rest_api import answer, rest_api

from gatepost.mdm.sources.authorization import (
    BasicLogin,
    BearerToken,
    ClientCredentials,
    LoginRefused,
    StaticHeader,
    Tokens,
    authorization,
)
from gatepost.mdm.sources.base import SourceUnavailable
from gatepost.mdm.sources.transport import Connection, Transport
from gatepost.wire.basic_auth import parse

SECRET = secrets.password("a source's login")


async def headers_of(login):
    transport = Transport(Connection("https://mdm.example.com"))
    try:
        made = authorization(login, transport, Clock().now)
        headers = await made.headers()
        assert made.rejected(headers) is False
        return headers
    finally:
        await transport.close()


@in_loop
async def test_headers_that_are_always_the_same():
    assert await headers_of(None) == {}
    basic = parse((await headers_of(BasicLogin("bridgé", SECRET)))["authorization"].encode())
    assert (basic.login, basic.password) == ("bridgé", SECRET)
    assert await headers_of(BearerToken(SECRET)) == {"authorization": f"Bearer {SECRET}"}
    assert await headers_of(StaticHeader("X-Api-Key", SECRET)) == {"x-api-key": SECRET}


@pytest.mark.parametrize(
    "login",
    [BasicLogin("a:b", SECRET), BearerToken(SECRET + "\r\nx: y"), BearerToken(""), StaticHeader("X Key", SECRET), StaticHeader("X-Key", SECRET + "\n"), StaticHeader("", SECRET)],
    ids=["colon", "newline in a token", "no token", "space in a name", "newline in a value", "no name"],
)  # fmt: skip
@in_loop
async def test_what_cannot_be_sent_is_refused_without_showing_it(login):
    with pytest.raises(ValueError, match=r"\w") as caught:
        await headers_of(login)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("login", [BasicLogin("u", SECRET), BearerToken(SECRET), StaticHeader("X", SECRET), ClientCredentials("https://x", "c", SECRET)])  # fmt: skip
def test_no_login_shows_its_secret(login):
    assert SECRET not in repr(login)


def test_a_token_endpoint_is_asked_over_https():
    with pytest.raises(ValueError, match="https"):
        ClientCredentials("http://mdm.example.com/token", "c", SECRET)


class Endpoint:
    """A token endpoint that counts; its tokens are `t1`, `t2`, …"""

    def __init__(self, **more):
        self.given = 0
        self.more = {"expires_in": 3600, "token_type": "Bearer"} | more
        self.instead = None

    def __call__(self, _request):
        if self.instead is not None:
            return self.instead
        self.given += 1
        return answer({"access_token": f"t{self.given}", **self.more})


def endpoint_and_tokens(endpoint, clock, **options):
    """The tokens that a client gets from there; an asynchronous context manager."""

    class Both:
        async def __aenter__(self):
            self.serving = rest_api(endpoint)
            api = await self.serving.__aenter__()
            self.transport = Transport(Connection(api.url))
            return api, Tokens(
                ClientCredentials(api.url + "/token", "gate", SECRET, **options), self.transport, clock.now
            )

        async def __aexit__(self, *error):
            await self.transport.close()
            await self.serving.__aexit__(*error)

    return Both()


@in_loop
async def test_a_token_is_asked_for_once_and_renewed_five_minutes_early():
    clock, endpoint = Clock(), Endpoint(expires_in="3600")
    async with endpoint_and_tokens(endpoint, clock) as (api, tokens):
        found = await asyncio.gather(*(tokens.headers() for _ in range(20)))
        assert {one["authorization"] for one in found} == {"Bearer t1"}
        clock.advance(3299)
        assert (await tokens.headers())["authorization"] == "Bearer t1"
        clock.advance(1)
        assert (await tokens.headers())["authorization"] == "Bearer t2"
        form = api.requests[0].body.decode()
        assert form == f"grant_type=client_credentials&client_id=gate&client_secret={SECRET}"
        assert api.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


@in_loop
async def test_a_client_may_name_itself_in_the_header_and_ask_for_a_scope():
    async with endpoint_and_tokens(Endpoint(), Clock(), in_header=True, scope="devices:read") as (api, tokens):
        await tokens.headers()
        assert api.requests[0].body == b"grant_type=client_credentials&scope=devices%3Aread"
        assert parse(api.requests[0].headers["authorization"].encode()).password == SECRET


@pytest.mark.parametrize(("said", "renewed"), [(60, 30), (400, 200), ("700", 400), (None, 3300), ("soon", 3300), (-5, 0.5), (10**9, 86100)])  # fmt: skip
@in_loop
async def test_lifetimes_short_and_strange(said, renewed):
    clock, endpoint = Clock(), Endpoint(expires_in=said)
    async with endpoint_and_tokens(endpoint, clock) as (_, tokens):
        await tokens.headers()
        clock.advance(renewed - 0.1)
        await tokens.headers()
        assert endpoint.given == 1
        clock.advance(0.2)
        await tokens.headers()
        assert endpoint.given == 2


@in_loop
async def test_a_rejected_token_is_renewed_once_however_many_saw_it_rejected():
    endpoint = Endpoint()
    async with endpoint_and_tokens(endpoint, Clock()) as (_, tokens):
        old = await tokens.headers()
        assert tokens.rejected(old)
        new = await tokens.headers()
        assert tokens.rejected(old)
        assert await tokens.headers() is new
        assert endpoint.given == 2


@in_loop
async def test_a_token_that_is_still_good_survives_an_outage_of_its_endpoint():
    clock, endpoint = Clock(), Endpoint()
    async with endpoint_and_tokens(endpoint, clock) as (_, tokens):
        await tokens.headers()
        endpoint.instead = answer(body=b"<html>", status=503, headers={"Retry-After": "9"})
        clock.advance(3400)
        assert (await tokens.headers())["authorization"] == "Bearer t1"
        clock.advance(201)
        with pytest.raises(SourceUnavailable, match="503") as caught:
            await tokens.headers()
        assert caught.value.retry_after == 9


@pytest.mark.parametrize(
    ("instead", "error", "why"),
    [
        (
            answer({"error": "invalid_client", "error_description": "secret x"}, 400),
            LoginRefused,
            r"\(`invalid_client`\)$",
        ),
        (answer({"error": "<script>"}, 401), LoginRefused, r"\(`status 401`\)$"),
        (answer(body=b"<html>", status=403), LoginRefused, r"\(`status 403`\)$"),
        (answer({}, 302), SourceUnavailable, "302"),
        (answer({}), SourceUnavailable, "without a bearer token"),
        (answer(body=b""), SourceUnavailable, "without a bearer token"),
        (answer(["x"]), SourceUnavailable, "without a bearer token"),
        (answer({"access_token": "a\r\nb"}), SourceUnavailable, "without a bearer token"),
        (answer({"access_token": "a", "token_type": "mac"}), SourceUnavailable, "without a bearer token"),
    ],
    ids=["refused", "strange code", "page", "redirection", "empty", "no body", "list", "unsendable", "kind"],
)
@in_loop
async def test_an_endpoint_that_gives_no_token(instead, error, why):
    endpoint = Endpoint()
    endpoint.instead = instead
    async with endpoint_and_tokens(endpoint, Clock()) as (_, tokens):
        with pytest.raises(error, match=why) as caught:
            await tokens.headers()
        assert SECRET not in str(caught.value)

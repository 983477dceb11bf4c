"""A thousand strangers in waves: nothing that the gateway keeps grows with them, no row is made, few lines are logged."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import importlib
import pkgutil
import random
from collections import deque

from structlog.testing import capture_logs
from tests.support.gateway import FOLDER_SYNC, rig, run

import gatepost.gateway
from gatepost.gateway.limits import Limits
from gatepost.store import feed
from gatepost.telemetry import new_registry, render

BOUND = 64
BYTES = ("BYTES", "HEAD", "HELD", "BATCH", "HOPS")
WAVE, WAVES = 250, 4
PATH = "/Microsoft-Server-ActiveSync"


def bounds_made_small(monkeypatch):
    """Every "at most so many" of the gateway's modules becomes `BOUND`; their names."""
    found = []
    for module in pkgutil.iter_modules(gatepost.gateway.__path__, "gatepost.gateway."):
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            if "_MOST" in name and isinstance(value, int) and value >= BOUND and not name.endswith(BYTES):
                monkeypatch.setattr(loaded, name, BOUND)
                found.append(f"{module.name}.{name}")
    return found


def sizes(root):
    """How much is in each container that is reachable from a gateway through its own objects, by the way to it."""
    found, seen, stack = {}, set(), [("gateway", root)]
    while stack:
        way, one = stack.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict | list | set | deque):
            found[way] = found.get(way, 0) + len(one)
            inside = [*one, *one.values()] if isinstance(one, dict) else list(one)
            stack += [(way, value) for value in inside]
        elif isinstance(one, tuple):
            stack += [(way, value) for value in one]
        elif callable(getattr(one, "cache_info", None)):
            found[way] = one.cache_info().currsize
        elif type(one).__module__.startswith("gatepost.") and not type(one).__module__.startswith("gatepost.store"):
            names = {name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())}
            names |= set(getattr(one, "__dict__", ()))
            stack += [(f"{way}.{name}", getattr(one, name)) for name in names if hasattr(one, name)]
    return found


def nonsense(source, length=12):
    return "".join(source.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


def stranger(source):
    """What one sends; each time something nobody has sent before."""
    made, secret = nonsense(source), nonsense(source)
    credentials = base64.b64encode(f"{made}@example.com:{secret}".encode()).decode()
    query = f"Cmd=FolderSync&User={made}&DeviceId={nonsense(source, 20)}&DeviceType={made}"

    def post(target, *lines, body=b""):
        head = [
            f"POST {target} HTTP/1.1",
            "Host: x",
            f"Authorization: Basic {credentials}",
            "MS-ASProtocolVersion: 14.1",
            *lines,
        ]
        return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body

    wbxml = "Content-Type: application/vnd.ms-sync.wbxml"
    return source.choice(
        [
            post(f"{PATH}?{query}", wbxml, f"User-Agent: {made}", body=FOLDER_SYNC),
            post(f"{PATH}?{query}", wbxml, f"X-Forwarded-For: 203.0.113.{source.randrange(256)}", body=FOLDER_SYNC),
            post(f"{PATH}?{query}", wbxml, f"Forwarded: for=203.0.113.{source.randrange(256)};by={made}", body=FOLDER_SYNC),
            post(f"{PATH}?{query}", wbxml, f"Cookie: {made}={secret}", body=FOLDER_SYNC)[:-3],
            post(f"{PATH}?{query.replace('FolderSync', made)}", wbxml, body=FOLDER_SYNC),
            post(f"{PATH}?{base64.b64encode(made.encode()).decode()}", wbxml, body=FOLDER_SYNC),
            post(f"/{made}?{secret}"),
            post("/autodiscover/autodiscover.xml", body=made.encode()),
            post(PATH).replace(b"POST", b"OPTIONS"),
            post(f"{PATH}?{query}", "Content-Type: message/rfc822").replace(b"Length: 0", b"Length: 900000") + b"x" * 20_000,
            f"POST {PATH}?{query} HTTP/1.1\r\nHost: {made}.example.com\r\nX-{made}: {secret}".encode(),
            f"{made} {secret}\r\n\r\n".encode(),
            made.encode(),
        ]
    )  # fmt: skip


async def wave(address, source):
    """They come, say something, wait for what there is to hear for a moment, and go."""

    async def one():
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(stranger(source))
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(1), 0.3)
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(WAVE)))


def test_nothing_grows_with_a_flood(tmp_path, monkeypatch):
    bounds = bounds_made_small(monkeypatch)
    assert len(bounds) >= 8, bounds

    async def story():
        limits = Limits(failed_logins=1)
        async with rig(tmp_path, limits=limits) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync")).status == 200
            await asyncio.sleep(1.2)  # the good phone is written down
            nouns = len(feed.load(r.store).nouns)
            source = random.Random(1)
            with capture_logs() as logged:
                for _ in range(WAVES):
                    await wave(r.gateway.address, source)
            await r.until(lambda: len(r.gateway._workings.downstreams) == 1)
            await asyncio.sleep(1.2)  # what there was to write down is written, what there was to sweep is swept
            gc.collect()

            held = sizes(r.gateway)
            assert held["gateway._workings.failed_logins._until"] > 0, "no stranger came so far"
            too_many = {way: size for way, size in held.items() if size > BOUND + 16 and "cache" not in way}
            assert {way: size for way, size in too_many.items() if way not in CACHES} == {}
            assert all(held[way] <= CACHES[way] for way in too_many)
            assert len(feed.load(r.store).nouns) == nouns, "no row was made"
            assert len(r.mail.received) < WAVE * WAVES
            assert len(logged) < 10 * 10 * WAVES, "ten lines a second of each event"
            assert len(render(new_registry(r.gateway.metrics))[0]) < 20_000, "no label is made of what strangers say"
            assert (await phone.post("FolderSync")).status == 200

    run(story())


# Bounded by functools, which cannot be made smaller from outside: by what.
CACHES = {"gateway._workings.forwarding.prepare": 1024}

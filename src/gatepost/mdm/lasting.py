"""A part of the bridge that is to run as long as the bridge does, whatever happens to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0


async def lasting(part: str, run: Callable[[], Awaitable[object]]) -> None:
    """Run it again whenever it ends, be it by an error that nobody expected; until cancelled."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("mdm.part_failed", part=part)
        await asyncio.sleep(AGAIN_SECONDS)

"""Tests that are coroutines, without a plugin."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run the coroutine `test` in a loop of its own, at most 30 seconds."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        async def limited() -> None:
            async with asyncio.timeout(30):
                await test(*arguments, **named)

        asyncio.run(limited())

    return run

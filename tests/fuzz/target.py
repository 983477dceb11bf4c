"""What is fuzzed, as the loop sees it: a parser behind one function that takes bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Broken(AssertionError):
    """A promise that a parser did not keep."""


@dataclass(frozen=True)
class Target:
    """`check` reads one input and says whether it was accepted; whatever it raises is a finding.

    `pieces` cuts an input where its format does, `tokens` are bytes that mean something there, `watched` are the modules
    in which a line that was not reached before makes an input worth keeping. `weight`: its share of a run's inputs.
    """

    name: str
    check: Callable[[bytes], bool]
    seeds: tuple[bytes, ...]
    pieces: Callable[[bytes], list[bytes]]
    tokens: tuple[bytes, ...]
    watched: tuple[str, ...]
    weight: int = 10
    longest: int = 4096


def promise(kept: object, what: str) -> None:
    """Raise Broken unless `kept`."""
    if not kept:
        raise Broken(what)


def now_and_then(data: bytes, often: int) -> bool:
    """True for one of `often` inputs; which, depends on nothing but the input, so that it can be looked at again."""
    return crc32(data) % often == 0


def cut_at(pattern: bytes) -> Callable[[bytes], list[bytes]]:
    """Pieces between the matches of `pattern`, and those themselves."""
    found = re.compile(b"(" + pattern + b")").split
    return lambda data: [piece for piece in found(data) if piece]


def beginnings(data: bytes) -> Iterator[bytes]:
    """What has come of `data` byte by byte; of long ones some 64 of it, others for other data."""
    step = 1 + len(data) // 64
    return (data[:end] for end in range(crc32(data) % step, len(data), step))

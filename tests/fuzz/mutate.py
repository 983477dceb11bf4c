"""New inputs from old ones: bytes changed, and the pieces of a format left out, doubled, moved and exchanged.

Plain random bytes end at the first check of a parser. What finds something is nearly right: a real request in which one
length lies, one element is missing or one parameter comes twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.fuzz.target import Target

_NUMBERS = re.compile(rb"[0-9]+")
_LIES = (
    b"0", b"-1", b"1", b"00", b"007", b"+5", b"1e9", b"0x10", b"65535", b"65536", b"2147483648", b"4294967295",
    b"4294967296", b"18446744073709551616", b"9" * 40, b"1" * 5000, b"\xd9\xa3", b"",
)  # fmt: skip
_BYTES = b'\x00\x01\x03\n\r "%&,;?@\x7f\x80\x81\xc3\xfe\xff'
_INTEGERS = (
    b"\x00\x00", b"\x00\x01", b"\x01\x00", b"\x00\x7f", b"\x7f\x00", b"\x00\x80", b"\x80\x00", b"\xff\xff", b"\x7f\xff",
    b"\x00\x00\x00\x00", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff",
    b"\x80\x00\x00\x00", b"\x8f\xff\xff\xff\x7f", b"\x90\x80\x80\x80\x00", b"\x80\x80\x80\x80\x00", b"\x81\x00",
)  # fmt: skip


class Mutator:
    """Makes inputs for `target` from `corpus`, which may grow meanwhile; the same `random` makes the same inputs."""

    def __init__(self, target: Target, corpus: list[bytes], random: Random) -> None:
        self._target = target
        self._corpus = corpus
        self._random = random.random
        self._operations: tuple[Callable[[bytes], bytes], ...] = (
            self._flip,
            self._set,
            self._insert,
            self._delete,
            self._double,
            self._truncate,
            self._splice,
            self._lie_in_digits,
            self._lie_in_bytes,
            self._change_case,
            self._put_token,
            self._drop_piece,
            self._double_piece,
            self._swap_pieces,
            self._repeat_piece,
            self._foreign_piece,
            self._foreign_piece,
            self._put_token_between,
            self._put_token_between,
        )

    def make(self) -> bytes:
        """One input."""
        data, longest = self._any(self._corpus), self._target.longest
        operations = self._operations
        while True:
            data = operations[int(self._random() * len(operations))](data)[:longest]
            if self._random() < 0.45:
                return data

    def below(self, limit: int) -> int:
        """A number from 0 on, less than `limit`."""
        return int(self._random() * limit)

    def _any(self, choices):
        return choices[int(self._random() * len(choices))]

    def _range(self, data: bytes) -> tuple[int, int]:
        start = self.below(len(data) + 1)
        return start, min(len(data), start + 1 + self.below(1 << self.below(6)))

    # -- bytes

    def _flip(self, data: bytes) -> bytes:
        at = self.below(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self.below(8),)) + data[at + 1 :] if data else data

    def _set(self, data: bytes) -> bytes:
        at = self.below(len(data))
        byte = self._any(_BYTES) if self._random() < 0.6 else self.below(256)
        return data[:at] + bytes((byte,)) + data[at + 1 :]

    def _insert(self, data: bytes) -> bytes:
        at = self.below(len(data) + 1)
        return data[:at] + bytes((self._any(_BYTES),)) * (1 << self.below(5)) + data[at:]

    def _delete(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + data[end:]

    def _double(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:end] + data[start:]

    def _truncate(self, data: bytes) -> bytes:
        return data[: self.below(len(data) + 1)]

    def _splice(self, data: bytes) -> bytes:
        other = self._any(self._corpus)
        return data[: self.below(len(data) + 1)] + other[self.below(len(other) + 1) :]

    def _lie_in_digits(self, data: bytes) -> bytes:
        numbers = [found.span() for found in _NUMBERS.finditer(data)]
        if not numbers:
            return data
        start, end = self._any(numbers)
        return data[:start] + self._any(_LIES) + data[end:]

    def _lie_in_bytes(self, data: bytes) -> bytes:
        at = self.below(len(data) + 1)
        lie = self._any(_INTEGERS)
        return data[:at] + lie + data[at + (len(lie) if self._random() < 0.7 else 1) :]

    def _change_case(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + data[start:end].swapcase() + data[end:]

    def _put_token(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + self._any(self._target.tokens) + data[end if self._random() < 0.5 else start :]

    # -- pieces

    def _drop_piece(self, data: bytes) -> bytes:
        pieces = self._target.pieces(data)
        if pieces:
            del pieces[self.below(len(pieces))]
        return b"".join(pieces)

    def _double_piece(self, data: bytes) -> bytes:
        pieces = self._target.pieces(data)
        if pieces:
            pieces.insert(self.below(len(pieces) + 1), self._any(pieces))
        return b"".join(pieces)

    def _swap_pieces(self, data: bytes) -> bytes:
        pieces = self._target.pieces(data)
        if pieces:
            one, other = self.below(len(pieces)), self.below(len(pieces))
            pieces[one], pieces[other] = pieces[other], pieces[one]
        return b"".join(pieces)

    def _repeat_piece(self, data: bytes) -> bytes:
        pieces = self._target.pieces(data)
        if pieces:
            at = self.below(len(pieces))
            end = min(len(pieces), at + 1 + self.below(3))
            pieces[at:end] = pieces[at:end] * (1 << self.below(7))
        return b"".join(pieces)

    def _foreign_piece(self, data: bytes) -> bytes:
        pieces, others = self._target.pieces(data), self._target.pieces(self._any(self._corpus))
        if pieces and others:
            at, start = self.below(len(pieces)), self.below(len(others))
            taken = others[start : start + 1 + self.below(3)]
            pieces[at : at + self.below(3)] = taken
        return b"".join(pieces)

    def _put_token_between(self, data: bytes) -> bytes:
        pieces = self._target.pieces(data)
        at = self.below(len(pieces) + 1)
        pieces[at : at + self.below(2)] = [self._any(self._target.tokens)]
        return b"".join(pieces)

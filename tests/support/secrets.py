"""Every secret of a test run, and the search for them in whatever the product left behind.

A secret is registered by whoever makes it: a mailbox's password (`password`), an access key's secret and the sealing key
(`tests.support.verdict` sees those that are made in this process, `tests.support.evidence` those that a command prints).
What the product wrote, said or stored is evidence: recorded as text, or searched in its file just before that is removed.
A secret is found in any form in which programs spill one: as it is, quoted for a URL, as hex, as base64 by itself or in the
middle of something longer (`login:password`), whole or cut off: twelve characters in a row are enough.

Passwords are random-looking, at least twelve characters, so that nothing is found that is none and nothing is overlooked
because it looks like a word. They are the same in every process of a run: tests are named after their parameters.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatepost.demo import story

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH = 12  # characters in a row: 70 bits of a random text
HEX_LENGTH = 16  # 64 bits; a run has millions of characters of hex that are ids and hashes
_WORD = re.compile(rb"[A-Za-z0-9+/=_%.~-]{12,}")
_NOTHING = re.compile(rb"\0{8,}")
_SHOWN = 160  # characters of a line


@dataclass(frozen=True)
class Finding:
    """A secret where none may be: which one, where, and the line, in which it is blotted out again."""

    label: str
    place: str
    line: str

    def __str__(self) -> str:
        return f"{self.label}: in {self.place}, {self.line}"


class Ledger:
    """The secrets that are known, the evidence that waits, and how much of which kind was looked at."""

    def __init__(self) -> None:
        self._secrets: dict[bytes, str] = {}
        self._pieces: dict[bytes, str] = {}
        self._raw: dict[bytes, str] = {}
        self._waiting: list[tuple[str, str, bytes]] = []
        self.found: list[Finding] = []
        self.searched: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many secrets there are."""
        return len(self._secrets)

    def __contains__(self, secret: str | bytes) -> bool:
        """True when it is registered."""
        return _bytes(secret) in self._secrets

    def register(self, label: str, secret: str | bytes) -> None:
        """From now on it must not be found; `label` names it in a finding. Raises ValueError where it is too short."""
        plain = _bytes(secret)
        if plain in self._secrets:
            return
        if len(plain) < LENGTH or len(set(plain)) < LENGTH // 2:
            raise ValueError(f"{label}: a search for so short a secret would find what is none; use secrets.password()")
        self._secrets[plain] = label
        for form in forms(plain):
            length = HEX_LENGTH if re.fullmatch(rb"[0-9a-f]+|[0-9A-F]+", form) else LENGTH
            for start in range(len(form) - length + 1):
                self._pieces.setdefault(form[start : start + length], label)
        if not plain.isascii():
            self._raw[plain] = label

    def password(self, label: str) -> str:
        """A password that is like no other text, registered; the same one for the same label."""
        digest = hashlib.sha256(f"a secret of Gatepost's tests: {label}".encode()).digest()
        made = base64.b32encode(digest).decode()[:24].lower()
        self.register(label, made)
        return made

    # -- evidence

    def record(self, kind: str, place: str, text: str | bytes) -> None:
        """Evidence that is looked at by the next `settle`, when all secrets in it are known."""
        self._waiting.append((kind, place, _bytes(text)))

    def search(self, kind: str, place: str, data: bytes) -> list[Finding]:
        """Look at it now; what was found is kept for `settle` as well."""
        self.searched[kind] += 1
        found = [
            Finding(label, place, where) for label, where in dict(self._hits(data, lines=kind != "database")).items()
        ]
        self.found += found
        return found

    def settle(self) -> list[Finding]:
        """Look at all evidence that waits; every finding since the last time, each once."""
        waiting, self._waiting = self._waiting, []
        for kind, place, text in waiting:
            self.search(kind, place, text)
        found, self.found = self.found, []
        return list(dict.fromkeys(found))

    def _hits(self, data: bytes, *, lines: bool) -> Iterator[tuple[str, str]]:
        pieces = self._pieces
        for word in _WORD.finditer(data):
            text = word[0]
            for length in (LENGTH, HEX_LENGTH):
                for start in range(len(text) - length + 1):
                    label = pieces.get(text[start : start + length])
                    if label is not None:
                        yield label, _where(data, word.start() + start, length, lines=lines)
                        break
        if self._raw:
            dense = _NOTHING.sub(b"\0", data)
            for raw, label in self._raw.items():
                at = dense.find(raw)
                if at >= 0:
                    yield label, f"byte {data.find(raw)}: as raw bytes"


def forms(secret: bytes) -> set[bytes]:
    """The spellings in which a program spills a secret."""
    made = {secret.hex().encode(), secret.hex().upper().encode()}
    for before in range(3):  # base64 writes three bytes as four characters, wherever the secret begins in them
        bits = 8 * (before + len(secret))
        whole = base64.b64encode(bytes(before) + secret)[-(-8 * before // 6) : bits // 6]
        made |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_")), quote(whole, safe="").encode()}
    if secret.isascii():
        made |= {secret, quote(secret, safe="").encode()}
    return {form for form in made if len(form) >= LENGTH}


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)


def _where(data: bytes, start: int, length: int, *, lines: bool) -> str:
    """`line 3: …` or, in a file of pages, `byte 4711: …`; the secret and its neighbours in the same word are blotted out."""
    begin, end = start, start + length
    while begin > 0 and data[begin - 1 : begin].isalnum():
        begin -= 1
    while end < len(data) and data[end : end + 1].isalnum():
        end += 1
    first = data.rfind(b"\n", 0, begin) + 1
    last = data.find(b"\n", end)
    left = data[max(first, begin - _SHOWN) : begin]
    right = data[end : min(last if last >= 0 else len(data), end + _SHOWN // 2)]
    shown = re.sub(rb"[^\x20-\x7e]+", b" ", left + b"[here]" + right).decode("ascii")
    number = data.count(b"\n", 0, start) + 1
    return f"line {number}: {shown}" if lines else f"byte {start}: {shown}"


RUN = Ledger()
"""Of this process's part of the run."""

RUN.register("the password of the demo's mailbox", story.PASSWORD)
password = RUN.password
register = RUN.register
record = RUN.record

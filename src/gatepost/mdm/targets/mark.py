"""The bridge's mark in the Description of an override in Amazon WorkMail, which has no owner. Pure.

    gatepost1 o=<bridge> s=<source> d=<device key> e=<effect> r=<reason> t=<unix time> c=<checksum> | <text for people>

The checksum covers the rest, the effect and the text included: an intact mark with the override's own effect says that
this bridge wrote exactly this, whatever its database says; one that is not intact says that somebody edited it. It keeps
apart, it does not keep out: whoever may write overrides can write a mark.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from gatepost.mdm.targets.base import DESCRIPTION_CHARACTERS
from gatepost.model import Effect

if TYPE_CHECKING:
    from datetime import datetime

    from gatepost.engine.posture import Verdict

_MARK = re.compile(
    r"gatepost1 o=(?P<o>\S+) s=(?P<s>\S+) d=(?P<d>\S+) e=(?P<e>ALLOW|DENY) r=(?P<r>\S+) t=(?P<t>\d+) c=(?P<c>[0-9a-f]{12})"
    r" \| (?P<text>.*)",
    re.ASCII | re.DOTALL,
)
_LONGEST_KEY = 80


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose an override is, and for the sake of which device: one that was too long to be written has only its `digest`."""

    instance: str
    source: str
    device_key: str | None
    digest: str | None
    effect: Effect
    intact: bool


def write_mark(instance: str, verdict: Verdict, effect: Effect, now: datetime) -> str:
    """The description of an override that this bridge writes: ASCII, at most 256 characters."""
    key = quote(verdict.device_key, safe="")
    if len(key) > _LONGEST_KEY or key.startswith("~"):
        key = f"~{digest_of(verdict.device_key)}"
    head = " ".join(
        (
            f"gatepost1 o={quote(instance, safe='')[:40]}",
            f"s={quote(verdict.source, safe='')[:40]}",
            f"d={key}",
            f"e={effect.value}",
            f"r={verdict.reason.value}",
            f"t={int(now.timestamp())}",
        )
    )
    text = f"written by Gatepost for {verdict.source}"
    text = text.encode("ascii", "replace").decode()[: DESCRIPTION_CHARACTERS - len(head) - len(" c=") - 12 - len(" | ")]
    return f"{head} c={_checksum(head, text)} | {text}"


def read_mark(description: str | None) -> Mark | None:
    """The mark of any bridge; None where there is none."""
    found = _MARK.fullmatch(description or "")
    if found is None:
        return None
    head = found.string[: found.start("c") - len(" c=")]
    is_digest = found["d"].startswith("~")
    key, digest = (None, found["d"][1:]) if is_digest else (unquote(found["d"]), None)
    intact = found["c"] == _checksum(head, found["text"])
    return Mark(unquote(found["o"]), unquote(found["s"]), key, digest, Effect(found["e"]), intact)


def digest_of(device_key: str) -> str:
    """What stands in a mark for a key that is too long for it."""
    return hashlib.sha256(device_key.encode()).hexdigest()[:32]


def _checksum(head: str, text: str) -> str:
    return hashlib.sha256(f"{head}\n{text}".encode()).hexdigest()[:12]

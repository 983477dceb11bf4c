"""JSON of MDMs, read strictly where it is a document and leniently where it is a field.

A document is JSON or `Unreadable`. A field that is not what it should be counts as missing: nothing that a store could not
keep (NUL, half a surrogate pair) and nothing without an end gets past here.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from gatepost.model import canonical_device_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

TEXT_LIMIT = 256
"""Characters of a field; longer than any address (RFC 5321) or name that an MDM takes."""

LIST_LIMIT = 100
"""Addresses, or EAS device ids, of one device; a device has a handful."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_DEVICE_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)  # MS-ASHTTP 2.2.1.1.1.1.2, and WorkMail's pattern
_PUNCTUATION = re.compile(r"[\W_]+")

_TRUE = {"true", "yes", "1", "compromised", "jailbroken", "rooted"}
_FALSE = {"false", "no", "0", "notcompromised", "uncompromised", "ok", "notjailbroken", "notrooted"}
_NOT_SAID = {"", "unknown", "notapplicable", "notavailable", "na", "none", "null"}


class Unreadable(Exception):  # noqa: N818 - it is what the document is
    """A body that is not a JSON document; `str()` says why, without quoting it."""


def read_json(body: bytes) -> Any:
    """The document. Raises Unreadable; also for NaN, a key that is there twice, and nesting without end."""
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not JSON ({error.msg.lower()} at character {error.pos})") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except ValueError as error:  # of ours, and of integers with thousands of digits
        raise Unreadable(f"it is not JSON that two programs read alike ({_said(error)})") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"it has the number {name}")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _said(error: ValueError) -> str:
    return str(error) if len(str(error)) < 50 else "a number has too many digits"


def word(value: object) -> str:
    """`value` as what a table of words is asked for: small letters and digits, without punctuation; "" for none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return _PUNCTUATION.sub("", str(value)).casefold()[:TEXT_LIMIT]
    return ""


def text(value: object) -> str | None:
    """A field for people or for comparing: a string of at most 256 printable characters, or a whole number; else None."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**20:
        return str(value)
    if not isinstance(value, str) or _UNPRINTABLE.search(value):
        return None
    stripped = value.strip()
    return stripped if stripped and len(stripped) <= TEXT_LIMIT else None


def flag(value: object) -> bool | None:
    """Compromised or not; None where it is not said. A word that is none of those known counts as compromised."""
    said = word(value)
    if said in _NOT_SAID:
        return None
    return said not in _FALSE if said in _TRUE | _FALSE else True


def texts(value: object) -> Iterable[str]:
    """The texts in a string, or in a list of strings, lists and `{"Value": …}`, at most three levels deep."""
    return _texts(value, 3)


def _texts(value: object, depth: int) -> Iterable[str]:
    if isinstance(value, list | tuple) and depth:
        for one in value:
            yield from _texts(one, depth - 1)
    elif isinstance(value, dict) and depth:
        yield from _texts(value.get("Value", value.get("value")), depth - 1)
    else:
        found = text(value)
        if found is not None:
            yield found


def addresses(value: object) -> tuple[str, ...]:
    """The mail addresses in a string or list, each once whatever its letters' case, in their order."""
    found: dict[str, str] = {}
    for one in texts(value):
        if _ADDRESS.fullmatch(one):
            found.setdefault(one.casefold(), one)
    return tuple(found.values())[:LIST_LIMIT]


def device_ids(value: object) -> tuple[str, ...]:
    """The EAS device ids in a string or list, canonical, each once; what no phone can send is left out."""
    found = (canonical_device_id(one) for one in texts(value) if _DEVICE_ID.fullmatch(one))
    return tuple(dict.fromkeys(found))[:LIST_LIMIT]


def not_after(moment: datetime | None, now: datetime) -> datetime | None:
    """`moment`, or `now` where that lies in the future: a clock that is ahead makes nothing valid for longer."""
    return min(moment, now) if moment is not None else None


def plain_keys(item: Mapping[str, Any]) -> dict[str, Any]:
    """`item` with its keys as `word`s, the first of those that are alike: `EasIds`, `eas_ids` and `easIds` are one."""
    found: dict[str, Any] = {}
    for key, value in item.items():
        found.setdefault(_plain(key), value)
    return found


@lru_cache(maxsize=1024)
def _plain(key: str) -> str:
    """A source has the same few dozen keys in every device."""
    return word(key)

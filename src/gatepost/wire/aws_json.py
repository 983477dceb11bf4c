"""AWS JSON 1.1, the bytes: target header, request body, answer and error bodies. Which operation wants what is not known here."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTENT_TYPE = "application/x-amz-json-1.1"
DEPTH_LIMIT = 64
"""Objects and lists in each other. The deepest input of WorkMail has four; more would only try our stack, and a value that
was read could not be written."""


class AwsJsonError(ValueError):
    """The bytes are no JSON 1.1 request; the message says what is wrong with them."""


def operation_of(target: str | None, prefix: str) -> str | None:
    """The operation that an `X-Amz-Target` header names (`<prefix>.<Operation>`), or None where it names none of `prefix`."""
    service, dot, operation = (target or "").partition(".")
    return operation if dot and service == prefix and operation else None


def decode(body: bytes) -> dict[str, Any]:
    """The request body as a JSON object; an empty body is an empty object. Raises `AwsJsonError` and nothing else."""
    if not body:
        return {}
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except AwsJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise AwsJsonError("Could not parse request body into json") from error
    if not isinstance(value, dict):
        raise AwsJsonError("Start of structure or map expected at the top of the request body")
    if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT:
        _refuse_depth(value)
    # Only an escape can bring half a surrogate pair into a string; nothing behind us could store or answer it.
    if b"\\u" in body:
        _refuse_surrogates(value)
    return value


def encode(value: dict[str, Any]) -> bytes:
    """An answer body: members that are None are left out at every depth, dates become epoch seconds with milliseconds."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False).encode()


def encode_error(name: str, message: str) -> bytes:
    """An error body: `{"__type": name, "Message": message}`."""
    return encode({"__type": name, "Message": message})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    return value


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [member for one in level if isinstance(one, (dict, list)) for member in _members(one)]
    if any(isinstance(one, (dict, list)) for one in level):
        raise AwsJsonError(f"Could not parse request body into json: more than {DEPTH_LIMIT} levels")


def _members(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _refuse_constant(name: str) -> None:
    raise AwsJsonError(f"`{name}` is not JSON")


def _finite(digits: str) -> float:
    # `1e999` is a number in JSON and none in IEEE 754: it would become an infinity, which JSON cannot say again.
    number = float(digits)
    if not math.isfinite(number):
        raise AwsJsonError("Could not parse request body into json: a number is too large")
    return number


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise AwsJsonError("Could not parse request body into json: a string is not Unicode") from error

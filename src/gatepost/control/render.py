"""Answers as AWS JSON 1.1 bytes on HTTP: a result, or an exception with its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from gatepost.control.failures import RequestError, internal, serialization, store_unavailable
from gatepost.control.parameters import SerializationException
from gatepost.operations.errors import WorkMailError
from gatepost.store.errors import StoreUnavailable
from gatepost.wire.aws_json import CONTENT_TYPE, AwsJsonError, encode, encode_error

if TYPE_CHECKING:
    from collections.abc import Mapping


class Failure(NamedTuple):
    """An error as the client sees it."""

    name: str
    status: int
    message: str


def failure_of(error: Exception) -> Failure:
    """What the client is told of `error`: the one place where exceptions of ours become AWS errors."""
    if isinstance(error, WorkMailError):
        return Failure(type(error).__name__, 400, str(error))
    if isinstance(error, AwsJsonError | SerializationException):
        error = serialization(str(error))
    elif isinstance(error, StoreUnavailable):
        error = store_unavailable()
    elif not isinstance(error, RequestError):
        error = internal()
    return Failure(error.name, error.status, str(error))


def result(request_id: str, members: Mapping[str, Any]) -> Response:
    """The answer of an operation."""
    return _response(200, encode(dict(members)), {"x-amzn-RequestId": request_id})


def failed(request_id: str, failure: Failure) -> Response:
    """An error answer; one that came before the body was read ends the connection, since the rest of it may still come."""
    headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": failure.name}
    if failure.status in {408, 413}:
        headers["connection"] = "close"
    return _response(failure.status, encode_error(failure.name, failure.message), headers)


def _response(status: int, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, status_code=status, headers=headers, media_type=CONTENT_TYPE)

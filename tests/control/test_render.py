import json

import pytest

from gatepost.control.failures import RequestError, too_large, too_slow, unknown_operation
from gatepost.control.parameters import SerializationException
from gatepost.control.render import Failure, failed, failure_of, result
from gatepost.operations.errors import EntityNotFoundException, LimitExceededException
from gatepost.operations.sealing import SealingError
from gatepost.store.errors import StoreError, StoreUnavailable
from gatepost.wire.aws_json import AwsJsonError


@pytest.mark.parametrize(
    ("error", "name", "status", "message"),
    [
        (EntityNotFoundException(), "EntityNotFoundException", 400, EntityNotFoundException.default_message),
        (LimitExceededException("words"), "LimitExceededException", 400, "words"),
        (SerializationException("words"), "SerializationException", 400, "words"),
        (AwsJsonError("words"), "SerializationException", 400, "words"),
        (RequestError("AnyException", "words", 418), "AnyException", 418, "words"),
        (unknown_operation(), "UnknownOperationException", 400, "The X-Amz-Target header names no operation"),
        (too_large(10), "RequestEntityTooLargeException", 413, "10 bytes"),
        (too_slow(2.5), "RequestTimeoutException", 408, "2.5 seconds"),
        (StoreUnavailable("host db.internal refused"), "ServiceUnavailableException", 503, "Try again"),
        (StoreError("syntax error at column password"), "InternalServiceException", 500, "internal error"),
        (SealingError("key file"), "InternalServiceException", 500, "internal error"),
        (KeyError("secret"), "InternalServiceException", 500, "internal error"),
    ],
)
def test_each_error_has_a_name_a_status_and_words(error, name, status, message):
    failure = failure_of(error)
    assert (failure.name, failure.status) == (name, status)
    assert message in failure.message


@pytest.mark.parametrize("error", [StoreUnavailable("db.internal"), StoreError("column"), KeyError("secret")])
def test_what_is_ours_is_not_told(error):
    assert str(error.args[0]) not in failure_of(error).message


def test_a_result_is_json_1_1():
    response = result("the-id", {"A": 1, "B": None})
    assert (response.status_code, response.body) == (200, b'{"A":1}')
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    assert response.headers["x-amzn-requestid"] == "the-id"


def test_an_error_names_itself_in_body_and_header():
    response = failed("the-id", Failure("AnyException", 400, "words"))
    assert response.status_code == 400
    assert json.loads(response.body) == {"__type": "AnyException", "Message": "words"}
    assert response.headers["x-amzn-errortype"] == "AnyException"
    assert "connection" not in response.headers


@pytest.mark.parametrize("status", [408, 413])
def test_a_request_that_was_not_read_to_its_end_ends_the_connection(status):
    assert failed("the-id", Failure("AnyException", status, "words")).headers["connection"] == "close"

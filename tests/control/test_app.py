"""The endpoint as a whole, by bytes: limits, errors, retries, what is counted."""

import contextlib
import json
import socket
import time

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from gatepost.control.app import MAX_BODY_BYTES, MAX_DROPPED_BYTES
from gatepost.operations import access_keys
from gatepost.store.errors import StoreUnavailable


def test_an_answer_has_a_request_id_and_the_content_type(server):
    status, headers, body = server.post(b"{}")
    assert status == 200
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert len(headers["x-amzn-requestid"]) == 36
    assert "OrganizationSummaries" in body


def test_an_empty_body_is_an_empty_object(server):
    assert server.post(b"")[0] == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 1000])
def test_a_body_that_is_no_object_is_refused(server, body):
    status, headers, answer = server.post(body)
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert headers["x-amzn-errortype"] == "SerializationException"


def test_a_wrong_type_is_refused(server):
    status, _, answer = server.post(b'{"MaxResults": "10"}')
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_unknown_and_unsupported_operations(server):
    status, _, answer = server.post(target="WorkMailService.Nonsense")
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    status, _, answer = server.post(target="WorkMailService.CreateResource")
    assert (status, answer["__type"]) == (400, "UnsupportedOperationException")
    assert answer["Message"].startswith("CreateResource is an operation of Amazon WorkMail that Gatepost does not have")


def test_signatures_come_first(server):
    """Who has no key learns nothing, not even which operations there are."""
    headers = {"Host": f"127.0.0.1:{server.port}", "X-Amz-Target": "WorkMailService.Nonsense"}
    status, answered, answer = server.post(b"{", headers)
    assert (status, answer) == (
        400,
        {"__type": "MissingAuthenticationTokenException", "Message": "Missing Authentication Token"},
    )
    assert answered["x-amzn-requestid"]


def test_wrong_secrets_and_unknown_keys_as_boto3_sees_them(server):
    for client, code in (
        (server.client(secret="x" * 40), "InvalidSignatureException"),
        (server.client(access_key_id="AKIAUNKNOWNUNKNOWN12"), "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as refused:
            client.list_organizations()
        assert refused.value.response["Error"]["Code"] == code


def test_a_revoked_key_is_refused_at_once(server):
    key, secret = access_keys.create(server.context, server.sealing_key)
    client = server.client(key.access_key_id, secret)
    client.list_organizations()
    access_keys.revoke(server.context, key.access_key_id)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client.list_organizations()


def test_a_changed_body_does_not_fit_its_signature(server):
    headers = server.signed_headers(b'{"MaxResults":1}')
    status, _, answer = server.post(b'{"MaxResults":2}', headers)
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


def test_other_methods_and_paths_are_not_the_api(server):
    assert httpx.get(server.url).status_code == 405
    assert httpx.post(server.url + "/other").status_code == 404


def test_a_body_has_at_most_a_mebibyte(server):
    assert server.post(b" " * (MAX_BODY_BYTES - 2) + b"{}")[0] == 200
    body = b" " * MAX_BODY_BYTES + b"{}"
    status, headers, answer = server.post(body)
    assert (status, answer["__type"]) == (413, "RequestEntityTooLargeException")
    assert headers["connection"] == "close"


def exchange(server, *parts, pause=0.0):
    """Send these bytes and read to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"


def test_a_body_in_chunks_is_measured_too(server):
    answer = exchange(server, CHUNKED, CHUNK * 17, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"RequestEntityTooLargeException" in answer


def test_a_body_without_an_end_is_cut(server):
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(CHUNKED)
        with contextlib.suppress(ConnectionError):
            while sent < 2 * MAX_DROPPED_BYTES:
                connection.sendall(CHUNK)
                sent += len(CHUNK)
    assert sent < 2 * MAX_DROPPED_BYTES


def test_a_body_that_does_not_come_is_not_waited_for(own_server):
    server = own_server(body_seconds=0.2)
    answer = exchange(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"RequestTimeoutException" in answer


def test_a_client_that_goes_away_harms_nobody(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    assert server.post()[0] == 200


def test_a_store_that_does_not_answer_is_a_503_that_sdks_try_again(own_server, monkeypatch):
    server = own_server()
    begin, failures = server.store.begin, [2]

    def flaky():
        if failures[0]:
            failures[0] -= 1
            raise StoreUnavailable("the database does not answer: host db.internal")
        return begin()

    monkeypatch.setattr(server.store, "begin", flaky)
    once = server.client()
    with pytest.raises(ClientError) as refused:
        once.create_organization(Alias="acme")
    assert refused.value.response["Error"] == {
        "Code": "ServiceUnavailableException",
        "Message": "The store does not answer at the moment. Try again.",
    }
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    patient = server.client(retries={"mode": "standard", "total_max_attempts": 3})
    answer = patient.create_organization(Alias="acme")
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1


def test_a_mistake_of_ours_is_a_500_without_details(own_server, monkeypatch):
    server = own_server()
    monkeypatch.setattr(server.store, "read", lambda: 1 / 0)
    # the signature is checked first, and needs the store
    status, headers, answer = server.post()
    assert status == 500
    assert answer == {"__type": "InternalServiceException", "Message": "An internal error occurred."}
    assert headers["x-amzn-requestid"]


def test_requests_are_counted_by_operation_and_error(own_server):
    server = own_server()
    client = server.client()
    client.list_organizations()
    with pytest.raises(ClientError):
        client.describe_organization(OrganizationId="m-" + "0" * 32)
    server.post(target="WorkMailService.Nonsense")

    def count(operation, error):
        labels = {"operation": operation, "error": error}
        return server.registry.get_sample_value("gatepost_control_requests_total", labels)

    assert count("ListOrganizations", "") == 1
    assert count("DescribeOrganization", "OrganizationNotFoundException") == 1
    assert count("unknown", "UnknownOperationException") == 1
    seconds = server.registry.get_sample_value(
        "gatepost_control_request_seconds_count", {"operation": "ListOrganizations"}
    )
    assert seconds == 1
    assert (
        'gatepost_control_requests_total{error="",operation="ListOrganizations"} 1.0'
        in httpx.get(server.url + "/metrics").text
    )


def test_boto3_with_its_own_checks_and_retries(server):
    """As most programs use it: nothing configured but the endpoint."""
    client = boto3.client(
        "workmail",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret,
    )
    assert "OrganizationSummaries" in client.list_organizations()


def test_error_bodies_are_json_whatever_is_in_them(server):
    body = json.dumps({"NextToken": "\N{SNOWMAN}\"'\\"}).encode()
    status, _, answer = server.post(body)
    assert (status, answer["__type"]) == (400, "InvalidParameterException")

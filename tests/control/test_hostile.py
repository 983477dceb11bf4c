"""Whole requests as bytes on a real connection: what a client library would not send, and what a stranger learns."""

import json
import logging
import socket
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.signing import presigned, signed

from gatepost.control import app
from gatepost.operations import access_keys


def exchange(server, *parts):
    """Send these bytes and read to the end of the connection: (status, headers, body)."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(line.lower().split(": ", 1)) for line in lines]
    return int(status.split()[1]), headers, body


def raw(request, *, target=None, body=None, headers=None, extra=()):
    """The request's bytes; `extra` are header lines that come last."""
    target = target or (b"/?" + request.query if request.query else b"/")
    lines = [b"POST " + target + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in (request.headers if headers is None else headers)]
    lines += [*extra, b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (request.body if body is None else body)


def length(request):
    return b"Content-Length: %d" % len(request.body)


@pytest.fixture
def signing(server):
    """Arguments with which a signature is this server's, and of now."""
    return {
        "at": datetime.now(UTC),
        "host": f"127.0.0.1:{server.port}",
        "target": "WorkMailService.ListOrganizations",
        "key": server.access_key_id,
        "secret": server.secret,
        "body": b'{"MaxResults":1}',
    }


def test_both_forms_arrive(server, signing):
    for request in (signed(**signing), presigned(**signing)):
        status, _, body = exchange(server, raw(request, extra=[length(request)]))
        assert (status, next(iter(json.loads(body)))) == (200, "OrganizationSummaries")


def test_how_a_body_was_cut_up_makes_no_difference(server, signing):
    request = signed(**signing)
    for size in (1, 5, 100):
        pieces = [request.body[at : at + size] for at in range(0, len(request.body), size)]
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        status, _, body = exchange(server, raw(request, body=chunked, extra=[b"Transfer-Encoding: chunked"]))
        assert (status, next(iter(json.loads(body)))) == (200, "OrganizationSummaries")
    other = b"2\r\n{}\r\n0\r\n\r\n"
    status, _, body = exchange(server, raw(request, body=other, extra=[b"Transfer-Encoding: chunked"]))
    assert (status, json.loads(body)["__type"]) == (400, "InvalidSignatureException")


def test_a_chunked_signature_is_refused_clearly(server, signing):
    """As the S3 clients send it: the signature of a chunk stands before the chunk."""
    chunk = (
        b"10;chunk-signature="
        + b"0" * 64
        + b"\r\n"
        + signing["body"]
        + b"\r\n0;chunk-signature="
        + b"0" * 64
        + b"\r\n\r\n"
    )
    headers = [
        ("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("X-Amz-Decoded-Content-Length", "16"),
        ("Content-Encoding", "aws-chunked"),
    ]
    request = signed(**{**signing, "body": chunk}, headers=headers)
    _, _, body = exchange(server, raw(request, extra=[length(request)]))
    assert json.loads(body)["__type"] == "InvalidSignatureException"
    assert "sign the hash of the whole body" in json.loads(body)["Message"]


@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Date", "X-Amz-Target", "Host", "x-amz-target"])
@pytest.mark.parametrize("first", [True, False])
def test_two_of_what_there_is_one_of(server, signing, name, first):
    request = signed(**signing)
    line = (name.encode(), request.header(name.lower()).encode())
    headers = [line, *request.headers] if first else [*request.headers, line]
    status, _, body = exchange(server, raw(request, headers=headers, extra=[length(request)]))
    assert status == 400
    assert b"OrganizationSummaries" not in body


@pytest.mark.parametrize(
    "target",
    [
        b"//",
        b"/.",
        b"/%2e",
        b"/%2F",
        b"/;a",
        b"/x/..",
        b"*",
        b"http://127.0.0.1/",
        b"http://evil.example/",
        b"//evil.example/",
    ],
)
def test_another_path_is_not_the_api(server, signing, target):
    request = signed(**signing)
    status, _, body = exchange(server, raw(request, target=target, extra=[length(request)]))
    assert status in {400, 404}
    assert b"OrganizationSummaries" not in body


def test_a_head_without_an_end_is_ended(server):
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        try:
            while sent < 16 * 1024 * 1024:
                sent += connection.send(b"X-Filler: " + b"x" * 65536 + b"\r\n")
        except ConnectionError:
            pass
    assert sent < 16 * 1024 * 1024


def test_what_is_no_http_leaves_no_line_in_the_log(server, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        for bytes_ in (
            b"nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ):
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                    connection.sendall(bytes_)
                    assert connection.recv(100)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert capfd.readouterr().err == ""


def answers_to(server, key, secret):
    """What a stranger gets who names this key, in every way to be refused: all but the request's id."""
    wrong = {
        "host": f"127.0.0.1:{server.port}",
        "target": "WorkMailService.ListOrganizations",
        "key": key,
        "secret": secret,
    }
    now = datetime.now(UTC)
    found = []
    for request in (
        signed(at=now, **wrong),
        presigned(at=now, **wrong),
        signed(at=now - timedelta(days=1), **wrong),
        presigned(at=now + timedelta(days=1), **wrong),
        signed(at=now, headers=[("X-Amz-Security-Token", "FwoGZX")], **wrong),
        signed(at=now, headers=[("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")], **wrong),
        signed(at=now, service="s3", **wrong),
        signed(at=now, unsigned=("x-amz-target",), **wrong),
    ):
        status, headers, body = exchange(server, raw(request, extra=[length(request)]))
        kept = [(name, value) for name, value in headers if name not in {"x-amzn-requestid", "date"}]
        found.append((status, kept, body))
    return found


def test_a_key_that_never_was_and_a_revoked_one_are_told_the_same(server):
    revoked, secret = access_keys.create(server.context, server.sealing_key)
    access_keys.revoke(server.context, revoked.access_key_id)
    missing = answers_to(server, "AKIA" + "A" * 16, "x" * 40)
    assert answers_to(server, revoked.access_key_id, "x" * 40) == missing
    assert answers_to(server, revoked.access_key_id, secret) == missing  # nor does the secret that it had tell more
    names = [json.loads(body)["__type"] for _, _, body in missing]
    assert names == ["UnrecognizedClientException"] * 5 + ["InvalidSignatureException"] * 3


def test_a_long_body_of_nobody_is_not_kept(server, signing, monkeypatch):
    kept = []
    monkeypatch.setattr("gatepost.control.app._signed", watching(kept))
    large = b'{"x":"' + b"a" * 500_000 + b'"}'
    unsigned = [(b"Host", b"x"), (b"X-Amz-Target", b"WorkMailService.ListOrganizations")]
    strangers = signed(**signing | {"key": "AKIA" + "X" * 16, "body": large})
    answers = [
        exchange(server, raw(strangers, headers=unsigned, extra=[length(strangers)])),
        exchange(server, raw(strangers, extra=[length(strangers)])),
    ]
    assert [status for status, _, _ in answers] == [400, 400]
    assert [json.loads(body)["__type"] for _, _, body in answers] == [
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    ]
    assert kept == [0, 0], "nobody's body got as far as an operation"
    ours = signed(**signing | {"body": large})
    assert exchange(server, raw(ours, extra=[length(ours)]))[0] == 200
    assert kept == [0, 0, 0, len(large)]


def watching(kept):
    signed_request = app._signed

    def watched(request, body):
        kept.append(len(body))
        return signed_request(request, body)

    return watched

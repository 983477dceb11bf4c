"""The control API's front: SigV4 in the header and in the query, what is signed, JSON 1.1."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from tests.fuzz.target import Target, cut_at, promise

from gatepost.wire import aws_json, sigv4, sigv4_canonical

_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _check(authorization: sigv4.Authorization) -> None:
    parts = (authorization.access_key_id, authorization.date, authorization.region, authorization.service)
    promise(all(parts) and authorization.terminator and authorization.signature, "an empty part")
    promise(authorization.scope.count("/") == 3, "a slash in a part of the scope")
    names = authorization.signed_headers
    promise(names and list(names) == sorted(set(names)) and all(name == name.lower() for name in names), "the headers")


def _sign(authorization: sigv4.Authorization, path: bytes, query: sigv4.Pairs) -> None:
    headers = [(name.encode(), b" a  b ") for name in authorization.signed_headers]
    canonical = sigv4_canonical.canonical_request(
        method="POST",
        path=path,
        query=query,
        headers=headers,
        signed_headers=authorization.signed_headers,
        payload_hash=_HASH,
    )
    # the method, the path, the query, a line for each header, an empty one, the names, the hash
    promise(canonical.count(b"\n") == 5 + len(headers), "a line too many in what is signed")
    to_sign = sigv4_canonical.string_to_sign(_MOMENT, authorization.scope, canonical)
    promise(to_sign.count(b"\n") == 3, "a line too many in what is signed")
    promise(len(sigv4_canonical.signature("secret", authorization, to_sign)) == 64, "a signature")


def check_sigv4_header(data: bytes) -> bool:
    header, _, date = data.partition(b"\n")
    accepted = False
    try:
        authorization = sigv4.parse_authorization(header.decode("latin-1"))
    except sigv4.IncompleteSignatureError as error:
        promise(len(str(error)) < 400, "an error longer than a sentence")
    else:
        accepted = True
        _check(authorization)
        _sign(authorization, b"/", ())
    try:
        moment = sigv4.parse_timestamp(date.decode("latin-1"))
    except sigv4.IncompleteSignatureError:
        return False
    promise(sigv4.format_timestamp(moment) == date.decode("latin-1").strip(), "a moment is written otherwise")
    return accepted


def check_sigv4_query(data: bytes) -> bool:
    path, _, query = data.partition(b"?")
    pairs = sigv4.parse_query(query)
    canonical = sigv4_canonical.canonical_query(pairs)
    promise(
        sigv4_canonical.canonical_query(sigv4.parse_query(canonical)) == canonical, "the one form is not the one form"
    )
    promise(not canonical.translate(None, _UNRESERVED), "a byte that is not encoded")
    normal = sigv4_canonical.canonical_path(path)
    promise(normal.startswith(b"/") and not normal.translate(None, _UNRESERVED), "a path")
    promise(
        not {b"", b".", b".."} & set(normal.strip(b"/").split(b"/")) or normal == b"/", "a segment that leads elsewhere"
    )
    try:
        presigned = sigv4.parse_presigned(pairs)
    except sigv4.IncompleteSignatureError as error:
        promise(len(str(error)) < 400, "an error longer than a sentence")
        return False
    promise(sigv4.is_signed(pairs), "a signature in a query that has none")
    promise(0 < presigned.lifetime.total_seconds() <= 604_800, "a lifetime")
    _check(presigned.authorization)
    _sign(presigned.authorization, path, pairs)
    return True


_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%&=/"

_CREDENTIAL = b"AKIDEXAMPLE/20150830/us-east-1/workmail/aws4_request"
_SIGNATURE = b"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"

SIGV4_HEADER = Target(
    "sigv4-header",
    check_sigv4_header,
    (
        b"AWS4-HMAC-SHA256 Credential=" + _CREDENTIAL + b", SignedHeaders=content-type;host;x-amz-date, Signature="
        + _SIGNATURE + b"\n20150830T123600Z",
        b"AWS4-HMAC-SHA256 Signature=" + _SIGNATURE + b",SignedHeaders=Host,Credential=" + _CREDENTIAL
        + b"\n20160229T235959Z",
        b"AWS3-HTTPS x\n2015-08-30T12:36:00Z",
    ),
    cut_at(rb"[,;=/ \nTZ]"),
    (
        b",", b", ", b"=", b"/", b";", b";;", b" ", b"\t", b"Credential=", b"Signature=", b"SignedHeaders=", b"host", b"HOST;host",
        b"AWS4-HMAC-SHA256", b"AWS4-ECDSA-P256-SHA256", b"\x00", b"\xff", b"\xb2", b"x" * 2000, b"\n20150230T000000Z",
        b"\n99991231T235960Z", b"\n00000101T000000Z", b"\n20150830T240000Z", b"a\x85b", b"\xc4\xb0",
    ),
    ("gatepost.wire.sigv4",),
    weight=7,
)  # fmt: skip

SIGV4_QUERY = Target(
    "sigv4-query",
    check_sigv4_query,
    (
        b"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + _CREDENTIAL.replace(b"/", b"%2F")
        + b"&X-Amz-Date=20150830T123600Z&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=" + _SIGNATURE,
        b"/a/./b/../%41//c/?a=b&a=%C3%A9&c&=d&A+B=~",
    ),
    cut_at(rb"[&=?/]|%.."),
    (
        b"&", b"=", b"?", b"/", b"/..", b"/.", b"%2e%2e", b"%", b"%0a", b"%00", b"%ff", b"%25", b"+", b"&x-amz-signature=x",
        b"&X-Amz-Signature=x", b"&X-Amz-Expires=604801", b"&X-Amz-Expires=0", b"&X-Amz-Date=20150830T123600Z", b"&X-Amz-Security-Token=t",
        b"X-Amz-Algorithm", b"X-%41mz-Date=", b"&&", b"=&=", b"\xff", b"\x00", b"\n",
    ),
    ("gatepost.wire.sigv4", "gatepost.wire.sigv4_canonical"),
    weight=7,
)  # fmt: skip


def check_aws_json(data: bytes) -> bool:
    target, _, body = data.partition(b"\n")
    operation = aws_json.operation_of(target.decode("latin-1"), "WorkMailService")
    promise(operation is None or operation, "an operation without a name")
    try:
        read = aws_json.decode(body)
    except aws_json.AwsJsonError:
        return False
    promise(isinstance(read, dict), "a body that is no object")
    _check_value(read)
    written = aws_json.encode(read)
    promise(aws_json.encode(aws_json.decode(written)) == written, "written and read again it is something else")
    return operation is not None


def _check_value(top: object) -> None:
    left = [top]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
            left += value
        elif isinstance(value, list):
            left += value
        elif isinstance(value, float):
            promise(math.isfinite(value), "a number that JSON does not have")
        elif isinstance(value, str):
            value.encode()
        else:
            promise(value is None or isinstance(value, bool | int), "a value that JSON does not have")


AWS_JSON = Target(
    "aws-json",
    check_aws_json,
    (
        b'WorkMailService.CreateUser\n{"OrganizationId": "m-1234", "Name": "alice", "Password": "x", "HiddenFromGlobalAddressList": false}',
        b'WorkMailService.PutAccessControlRule\n{"Name":"a","IpRanges":["10.0.0.0/8",null],"MaxResults":1.5e3,"x":{"y":[{}]}}',
        b'WorkMailService.ListUsers\n{"NextToken":"\\u00e9\\ud83d\\ude00\\"\\\\\\/\\b","MaxResults":100}',
        b"WorkMailService.ListOrganizations\n",
    ),
    cut_at(rb"[{}\[\]:,\n\"]|\\u....|\\."),
    (
        b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"NaN", b"Infinity",
        b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"-0", b"0.1", b"01", b"1" * 4400, b"9" * 30, b"null", b"true", b"nul", b"\xff", b"\x00", b"\xef\xbb\xbf",
        b"[" * 500, b"[" * 1200, b'{"a":' * 400, b'{"a":' * 300 + b"1" + b"}" * 300, b"[" * 900 + b"]" * 900, b'"a":1,"a":2', b"\xc3\xa9", b"\xed\xa0\x80", b"/**/", b"'",
    ),
    ("gatepost.wire.aws_json",),
    weight=10,
    longest=8192,
)  # fmt: skip

"""The published vectors of AWS's Signature Version 4 test suite, stage by stage, and botocore as the second judge.

The vectors are those of the suite for services that are not S3, in both forms: 31 of the present edition (of `-normalized`
and `-unnormalized` pairs the normalised one: only S3 takes paths as they are), and five that only the first edition has. Paths
are given as they are on the wire, before the encoding that every service but S3 adds.
"""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.sigv4 import Authorization, is_signed, parse_presigned, parse_query, parse_timestamp
from gatepost.wire.sigv4_canonical import canonical_path, canonical_query, canonical_request, signature, string_to_sign

SUITE = json.loads((Path(__file__).parent / "sigv4_vectors.json").read_text(encoding="utf-8"))
VECTORS = SUITE["vectors"]
SIGNED_AT = parse_timestamp(SUITE["timestamp"])


def stages(vector):
    """The authorization that the vector's request has, and its three stages."""
    path, _, query = vector["target"].encode().partition(b"?")
    pairs = parse_query(query)
    headers = [(name.lower().encode(), value.encode()) for name, value in vector["headers"]]
    if is_signed(pairs):
        signed_headers = parse_presigned([*pairs, (b"X-Amz-Signature", b"?")]).authorization.signed_headers
    else:
        headers.append((b"x-amz-date", SUITE["timestamp"].encode()))
        signed_headers = tuple(sorted({name.decode() for name, _ in headers}))
    date, region, service, terminator = SUITE["scope"].split("/")
    authorization = Authorization(SUITE["access_key_id"], date, region, service, terminator, signed_headers, "")
    canonical = canonical_request(
        method=vector["method"],
        path=path,
        query=pairs,
        headers=headers,
        signed_headers=signed_headers,
        payload_hash=sha256(vector["body"].encode()).hexdigest(),
    )
    to_sign = string_to_sign(SIGNED_AT, authorization.scope, canonical)
    return canonical, to_sign, signature(SUITE["secret"], authorization, to_sign)


@pytest.mark.parametrize("vector", [pytest.param(one, id=one["name"]) for one in VECTORS])
def test_each_stage_of_a_published_vector(vector):
    canonical, to_sign, signed = stages(vector)
    assert canonical.decode().split("\n") == vector["canonical_request"]
    expected = ["AWS4-HMAC-SHA256", SUITE["timestamp"], SUITE["scope"], vector["canonical_hash"]]
    assert to_sign.decode().split("\n") == expected
    assert signed == vector["signature"]


def test_the_suite_is_whole():
    names = {one["name"] for one in VECTORS}
    assert len(VECTORS) == len(names) == 31 + 31 + 5
    assert {"get-vanilla", "get-utf8", "post-sts-header-before", "get-header-value-multiline, presigned"} <= names


def test_the_signature_itself_is_no_part_of_what_is_signed():
    assert canonical_query(parse_query(b"X-Amz-Signature=1&a=2")) == b"a=2"
    assert canonical_query(parse_query(b"x-amz-signature=1&a=2")) == b"a=2&x-amz-signature=1"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        (b"", b"/"),
        (b"/", b"/"),
        (b"/..", b"/"),
        (b"/../../a", b"/a"),
        (b"/a/./b/../c", b"/a/c"),
        (b"/%E1%88%B4", b"/%25E1%2588%25B4"),  # encoded on the wire, and once more
        (b"/a;b=1", b"/a%3Bb%3D1"),
    ],
)
def test_a_path_has_one_canonical_form(path, canonical):
    assert canonical_path(path) == canonical


@given(st.binary())
def test_every_path_and_every_query_has_a_canonical_form(some):
    assert canonical_path(some).startswith(b"/")
    once = canonical_query(parse_query(some))
    assert canonical_query(parse_query(once)) == once


_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
_VALUE = st.lists(_TEXT, max_size=3).map("   ".join)
_NAME = st.from_regex(r"x-amz-[a-z][a-z-]{0,10}", fullmatch=True).filter(
    lambda name: name not in {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
)


@given(
    headers=st.dictionaries(_NAME, _VALUE, max_size=4),
    parameters=st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=4),
    body=st.binary(max_size=32),
    region=st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True),
)
def test_botocore_signs_the_same(headers, parameters, body, region):
    """Another implementation, on any request that it would send."""
    query = canonical_query([(name.encode(), value.encode()) for name, value in parameters.items()])
    request = AWSRequest("POST", f"https://host.example/?{query.decode()}", data=body)
    for name, value in {"Host": "host.example", **headers}.items():
        request.headers[name] = value
    signer = SigV4Auth(Credentials(SUITE["access_key_id"], SUITE["secret"]), "workmail", region)
    signer.add_auth(request)
    authorization = Authorization(
        access_key_id=SUITE["access_key_id"],
        date=request.context["timestamp"][:8],
        region=region,
        service="workmail",
        terminator="aws4_request",
        signed_headers=tuple(sorted({"host", "x-amz-date", *headers})),
        signature="",
    )
    canonical = canonical_request(
        method="POST",
        path=b"/",
        query=parse_query(query),
        headers=[(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
        signed_headers=authorization.signed_headers,
        payload_hash=sha256(body).hexdigest(),
    )
    to_sign = string_to_sign(parse_timestamp(request.context["timestamp"]), authorization.scope, canonical)
    assert request.headers["Authorization"].endswith("Signature=" + signature(SUITE["secret"], authorization, to_sign))

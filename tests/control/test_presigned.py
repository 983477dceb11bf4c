"""SigV4 in the query: what this form has beyond the header form, and nothing of both at once."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from tests.support.signing import (
    ACCESS_KEY,
    MISMATCH,
    NOW,
    PARAMETERS,
    STAMP,
    changed,
    check,
    presigned,
    refused,
    signed,
    with_body,
    with_query,
)

from gatepost.control.authenticate import CLOCK_SKEW


def test_a_presigned_request_is_its_keys():
    request = presigned(query="?other=1&A=%E1%88%B4")
    assert request.header("authorization") is None
    assert check(request) is ACCESS_KEY


def test_a_presigned_request_has_the_body_that_was_signed():
    assert refused(with_body(presigned(), b"{}"))[1].startswith(MISMATCH[1])


def test_a_presigned_target_is_signed():
    request = presigned()
    assert b"x-amz-target" in request.query
    assert refused(changed(request, x_amz_target="WorkMailService.DeleteOrganization"))[1].startswith(MISMATCH[1])
    assert refused(presigned(unsigned=("x-amz-target",)))[1].startswith("'x-amz-target' must be a 'SignedHeader'")


def test_a_presigned_request_holds_as_long_as_it_says():
    request = presigned(expires=300)
    assert check(request, NOW + timedelta(seconds=300)) is ACCESS_KEY
    assert refused(request, NOW + timedelta(seconds=301)) == (
        "InvalidSignatureException",
        "Signature expired: 20261122T120000Z is now earlier than 20261122T120001Z (20261122T120501Z - 300 sec.)",
    )
    assert check(presigned(expires=604800), NOW + timedelta(days=7)) is ACCESS_KEY
    assert refused(presigned(), NOW - CLOCK_SKEW - timedelta(seconds=1))[1].startswith("Signature not yet current")


def test_the_last_moment_of_all_does_no_harm():
    request = presigned()
    last = request.query.replace(STAMP.encode(), b"99991231T235959Z").replace(b"20261122", b"99991231")
    assert refused(with_query(request, last))[1].startswith("Signature not yet current")


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "9999999", "300.5", "1e3", "", "x", "٣"])
def test_another_lifetime_is_refused(expires):
    request = presigned(expires=300)
    query = request.query.replace(b"X-Amz-Expires=300", b"X-Amz-Expires=" + quote(expires).encode())
    assert refused(with_query(request, query))[0] == "IncompleteSignatureException"


def test_a_longer_lifetime_is_not_what_was_signed():
    request = presigned(expires=300)
    query = request.query.replace(b"X-Amz-Expires=300", b"X-Amz-Expires=600")
    assert refused(with_query(request, query))[1].startswith(MISMATCH[1])


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_of_the_query_form_is_there_once(name):
    request = presigned()
    pieces = request.query.decode().split("&")
    (piece,) = (one for one in pieces if one.startswith(f"{name}="))
    others = [one for one in pieces if one != piece]
    lower = piece.replace(name, name.lower())
    for twice in (
        [piece, *pieces],
        [*pieces, f"{name}=other"],
        [lower, *pieces],
        [piece.replace("X", "%58", 1), *pieces],
    ):
        assert refused(with_query(request, "&".join(twice).encode())) == (
            "IncompleteSignatureException",
            f"AWS query-string parameter '{name}' must not be repeated.",
        )
    for missing in (others, [*others, f"{name}="], [*others, lower], [*others, name]):
        assert refused(with_query(request, "&".join(missing).encode())) == (
            "IncompleteSignatureException",
            f"AWS query-string parameters must include '{name}'. Re-examine the query-string parameters.",
        )
    assert check(with_query(request, "&".join(reversed(pieces)).encode())) is ACCESS_KEY  # the order is nobody's


@pytest.mark.parametrize("name", [*PARAMETERS, "X-Amz-Security-Token", "x-amz-signature", "X-AMZ-DATE", "X%2dAmz-Date"])
def test_both_forms_at_once_are_refused(name):
    expected = ("IncompleteSignatureException", True)
    refusal = refused(signed(query=f"?{name}=1"))
    assert (refusal[0], refusal[1].startswith("Only one auth mechanism allowed")) == expected
    both = changed(presigned(), authorization=signed().header("authorization"))
    assert refused(both) == refusal
    assert refused(changed(presigned(), authorization="Basic YTpi")) == refusal
    assert refused(presigned(headers=[("X-Amz-Date", STAMP)])) == refusal


def test_the_older_signatures_of_aws_are_none():
    assert refused(with_query(changed(signed(), authorization=None), b"AWSAccessKeyId=a&Signature=b&Expires=1"))[0] == (
        "MissingAuthenticationTokenException"
    )

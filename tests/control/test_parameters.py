import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.control.contract import input_shape
from gatepost.control.dispatch import OPERATIONS
from gatepost.control.parameters import SerializationException, check
from gatepost.operations.errors import InvalidParameterException

ORGANIZATION = {"OrganizationId": "m-a123b4c5de678fg9h0ij1k2lm234no56"}


def refused(operation, body):
    with pytest.raises(InvalidParameterException) as error:
        check(operation, body)
    return str(error.value)


def test_what_the_operation_knows_is_kept_and_the_rest_left_out():
    body = {**ORGANIZATION, "UserId": "alice", "Unknown": {"a": 1}}
    assert check("DescribeUser", body) == {**ORGANIZATION, "UserId": "alice"}


def test_null_is_absent():
    body = {**ORGANIZATION, "UserId": None, "Filters": None, "MaxResults": None}
    assert check("ListUsers", body) == ORGANIZATION


@pytest.mark.parametrize(
    ("organization_id", "fits"),
    [
        ("m-a123b4c5de678fg9h0ij1k2lm234no56", True),
        ("m-d281d0a2fd824be5b6cd3d3ce909fd27", True),
        ("m-" + "z" * 32, True),
        ("m-" + "z" * 31, False),
        ("m-" + "z" * 33, False),
        ("m-" + "Z" * 32, False),
        ("m-" + "z" * 32 + "\n", False),
        ("m-" + "z" * 31 + "é", False),
        ("x-" + "z" * 32, False),
        ("", False),
    ],
)
def test_organization_ids_are_any_32_lower_case_characters(organization_id, fits):
    if fits:
        check("DescribeOrganization", {"OrganizationId": organization_id})
    else:
        assert "at 'organizationId' failed to satisfy constraint" in refused(
            "DescribeOrganization", {"OrganizationId": organization_id}
        )


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        (
            "DescribeUser",
            {"UserId": "alice"},
            (
                "1 validation error detected: Value null at 'organizationId' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
        (
            "ListUsers",
            {**ORGANIZATION, "MaxResults": 101},
            (
                "1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: "
                "Member must have value less than or equal to 100"
            ),
        ),
        (
            "ListUsers",
            {**ORGANIZATION, "MaxResults": 0},
            (
                "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1"
            ),
        ),
        (
            "ListUsers",
            {**ORGANIZATION, "Filters": {"State": "SLEEPING"}},
            (
                "1 validation error detected: Value 'SLEEPING' at 'filters.state' failed to satisfy constraint: "
                "Member must satisfy enum value set: [ENABLED, DISABLED, DELETED]"
            ),
        ),
        (
            "DeleteAccessControlRule",
            {**ORGANIZATION, "Name": "my rule"},
            (
                "1 validation error detected: Value 'my rule' at 'name' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"
            ),
        ),
        (
            "DeleteAccessControlRule",
            {**ORGANIZATION, "Name": "x" * 65},
            (
                f"1 validation error detected: Value '{'x' * 65}' at 'name' failed to satisfy constraint: "
                "Member must have length less than or equal to 64"
            ),
        ),
        (
            "CreateMobileDeviceAccessRule",
            {**ORGANIZATION, "Name": "n", "Effect": "DENY", "DeviceTypes": []},
            (
                "1 validation error detected: Value '[]' at 'deviceTypes' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
        (
            "CreateMobileDeviceAccessRule",
            {**ORGANIZATION, "Name": "n", "Effect": "DENY", "DeviceTypes": ["ok", ""]},
            (
                "1 validation error detected: Value '[ok, ]' at 'deviceTypes' failed to satisfy constraint: "
                "Member must satisfy constraint: [Member must have length less than or equal to 256, "
                "Member must have length greater than or equal to 1, "
                r"Member must satisfy regular expression pattern: [\u0020-\u00FF]+]"
            ),
        ),
        (
            "CreateOrganization",
            {"Alias": "a", "Domains": [{"DomainName": "ok.example"}, {}]},
            (
                "1 validation error detected: Value null at 'domains.2.member.domainName' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
        (
            "DescribeUser",
            {},
            (
                "2 validation errors detected: Value null at 'organizationId' failed to satisfy constraint: Member must not "
                "be null; Value null at 'userId' failed to satisfy constraint: Member must not be null"
            ),
        ),
    ],
)
def test_violations_are_worded_as_aws_words_them(operation, body, message):
    assert refused(operation, body) == message


def test_eleven_values_are_too_many():
    rule = {**ORGANIZATION, "Name": "n", "Effect": "DENY"}
    check("CreateMobileDeviceAccessRule", {**rule, "DeviceModels": ["x"] * 10})
    assert "at 'deviceModels'" in refused("CreateMobileDeviceAccessRule", {**rule, "DeviceModels": ["x"] * 11})


def test_the_values_of_sensitive_members_are_not_repeated():
    message = refused(
        "CreateUser", {**ORGANIZATION, "Name": "n", "DisplayName": "secret" * 50, "Password": "pass\u0100word"}
    )
    assert "secret" not in message
    assert "pass" not in message.replace("'password'", "")
    assert "Value at 'password' failed to satisfy constraint" in message


def test_what_is_quoted_back_is_short():
    body = {**ORGANIZATION, "MobileDeviceAccessRuleId": "x" * 500_000}
    assert len(refused("DeleteMobileDeviceAccessRule", body)) < 2048


def test_ipv6_is_wider_than_workmail():
    rule = {**ORGANIZATION, "Name": "n", "Effect": "DENY", "Description": "d"}
    check("PutAccessControlRule", {**rule, "IpRanges": ["2001:0db8:0000:0000:0000:ffff:192.168.100.100/128"]})
    ask = {**ORGANIZATION, "Action": "IMAP", "UserId": "x" * 12}
    check("GetAccessControlEffect", {**ask, "IpAddress": "2001:0db8:0000:0000:0000:ffff:192.168.100.100"})


@pytest.mark.parametrize("name", ["alic\u00e9", "a\u0663", "alice\n", "a b", "a@b"])
def test_words_and_digits_are_ascii_and_patterns_match_as_a_whole(name):
    user = {**ORGANIZATION, "DisplayName": "Alic\u00e9"}
    check("CreateUser", {**user, "Name": "al-ice_1.x@example.com"})
    assert "at 'name' failed to satisfy constraint" in refused("CreateUser", {**user, "Name": name})


def test_no_text_holds_a_nul():
    rule = {**ORGANIZATION, "Effect": "DENY"}
    assert "at 'name'" in refused("CreateMobileDeviceAccessRule", {**rule, "Name": "a\0b"})
    assert "at 'displayNamePrefix'" in refused(
        "ListUsers", {**ORGANIZATION, "Filters": {"DisplayNamePrefix": "\0"}}
    ).replace("filters.", "")


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("DescribeUser", {"UserId": 7}, "NUMBER_VALUE can not be converted to a String"),
        ("DescribeUser", {"UserId": True}, "TRUE_VALUE can not be converted to a String"),
        ("DescribeUser", {"UserId": 1.5}, "DECIMAL_VALUE can not be converted to a String"),
        ("DescribeUser", {"UserId": ["alice"]}, "Start of list found where not expected."),
        ("DescribeUser", {"UserId": {"a": 1}}, "Start of structure or map found where not expected."),
        ("ListUsers", {"MaxResults": "10"}, "STRING_VALUE can not be converted to an Integer"),
        ("ListUsers", {"MaxResults": 10.0}, "DECIMAL_VALUE can not be converted to an Integer"),
        ("ListUsers", {"MaxResults": False}, "FALSE_VALUE can not be converted to an Integer"),
        ("ListUsers", {"Filters": "a"}, "Unexpected token STRING_VALUE: a structure is expected."),
        ("DeleteOrganization", {"DeleteDirectory": "true"}, "STRING_VALUE can not be converted to a Boolean"),
        ("CreateOrganization", {"Domains": {}}, "Start of structure or map found where not expected."),
        ("CreateOrganization", {"Domains": ["a"]}, "Unexpected token STRING_VALUE: a structure is expected."),
    ],
)
def test_another_type_never_reaches_the_constraints(operation, body, message):
    with pytest.raises(SerializationException) as error:
        check(operation, body)
    assert str(error.value) == message


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.data(), st.sampled_from(sorted(OPERATIONS)))
def test_parameters_are_checked_or_refused_and_nothing_else(data, operation):
    names = st.sampled_from(sorted(input_shape(operation).members)) | st.text()
    body = data.draw(st.dictionaries(names, _ANY, max_size=6))
    with contextlib.suppress(InvalidParameterException, SerializationException):
        found = check(operation, body)
        assert json.dumps(found)
        assert set(found) <= set(input_shape(operation).members)

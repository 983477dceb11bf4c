"""The commands of Amazon WorkMail's administrator guide, verbatim, with nothing but --endpoint-url added.

From the pages "Managing mobile device access rules" and "Managing mobile device access overrides"
(awsdocs/amazon-workmail-administration-guide, doc_source/manage-mobile-access.md and mobile-overrides.md): its organization
id, which is not hexadecimal, and its user, whom nobody has created.
"""

import json
import shlex

import pytest

from gatepost.operations import mobile_device_access_rules, organizations

pytestmark = pytest.mark.e2e

ORGANIZATION_ID = "m-a123b4c5de678fg9h0ij1k2lm234no56"

LIST_RULES = "aws workmail list-mobile-device-access-rules --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56"
BLOCK_ALL_ANDROID = (
    "aws workmail create-mobile-device-access-rule --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    '--name BlockAllAndroid --effect DENY --device-types "android"'
)
ALLOW_LATEST_IOS = (
    "aws workmail create-mobile-device-access-rule --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    '--name AllowLatestiOS --effect ALLOW --device-operating-systems "iOS 14.3"'
)
UPDATE = (
    "aws workmail create-mobile-device-access-rule --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    "--mobile-device-access-rule-id 1a2b3c4d --name AllowLatestiOS --effect ALLOW "
    '--device-operating-systems "iOS 14.4"'
)
DELETE_RULE = (
    "aws workmail delete-mobile-device-access-rule --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    "--mobile-device-access-rule-id 1a2b3c4d"
)
TEST_RULES = (
    "aws workmail get-mobile-device-access-effect --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    '--device-type "iPhone" --device-model "iPhone10C1" --device-operating-system "iOS 14.2.1 16F203" '
    '--device-user-agent "iOS/14.2 (18B92) exchangesyncd/1.0"'
)
LIST_OVERRIDES = "aws workmail list-mobile-device-access-overrides --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56"
DENY = (
    "aws workmail put-mobile-device-access-override --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    "--user-id user1@domain.com --device-id 6APMEKPHCP2ND42VIJ4BR8ECDO --effect DENY"
)
ALLOW = (
    "aws workmail put-mobile-device-access-override --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    "--user-id user1@domain.com --device-id 6APMEKPHCP2ND42VIJ4BR8ECDO --effect ALLOW"
)
DELETE_OVERRIDE = (
    "aws workmail delete-mobile-device-access-override --organization-id m-a123b4c5de678fg9h0ij1k2lm234no56 "
    "--user-id user1@domain.com --device-id 6APMEKPHCP2ND42VIJ4BR8ECDO"
)


@pytest.fixture
def typed(own_server):
    """Run a command of the guide against an organization that has the guide's id."""
    server = own_server()
    organizations.create(server.context, alias="guide", domains=["domain.com"], organization_id=ORGANIZATION_ID)

    def run(command, code=0):
        program, *words = shlex.split(command)
        assert program == "aws"
        ran = server.aws(*words, "--endpoint-url", server.url)
        assert (ran.code == 0) == (code == 0), ran.errors
        return json.loads(ran.output) if ran.output.strip() else ran.errors

    run.context = server.context
    return run


def test_mobile_device_access_rules(typed):
    (default,) = typed(LIST_RULES)["Rules"]
    assert default["Effect"] == "ALLOW"
    typed(BLOCK_ALL_ANDROID)
    typed(ALLOW_LATEST_IOS)
    assert [rule["Name"] for rule in typed(LIST_RULES)["Rules"]] == ["Default", "BlockAllAndroid", "AllowLatestiOS"]
    answer = typed(TEST_RULES)
    assert (answer["Effect"], [rule["Name"] for rule in answer["MatchedRules"]]) == ("ALLOW", ["Default"])
    typed(DELETE_RULE)  # no rule has this id: a success


def test_the_guides_update_is_misprinted(typed):
    """It says create where it means update: the `aws` command itself refuses it, before any request is made."""
    assert "Unknown options: --mobile-device-access-rule-id" in typed(UPDATE, code=1)
    rule_id = typed(ALLOW_LATEST_IOS)["MobileDeviceAccessRuleId"]
    meant = UPDATE.replace("create-mobile", "update-mobile")
    assert "EntityNotFoundException" in typed(meant, code=1)
    typed(meant.replace("1a2b3c4d", rule_id))
    rules = mobile_device_access_rules.list(typed.context, organization_id=ORGANIZATION_ID)
    assert rules[1].conditions.device_operating_systems == ("iOS 14.4",)


def test_mobile_device_access_overrides(typed):
    assert typed(LIST_OVERRIDES)["Overrides"] == []
    typed(DENY)
    (denied,) = typed(LIST_OVERRIDES)["Overrides"]
    assert (denied["DeviceId"], denied["Effect"]) == ("6APMEKPHCP2ND42VIJ4BR8ECDO", "DENY")
    typed(ALLOW)
    (allowed,) = typed(LIST_OVERRIDES)["Overrides"]
    assert allowed == {**denied, "Effect": "ALLOW", "DateModified": allowed["DateModified"]}
    typed(DELETE_OVERRIDE)
    assert typed(LIST_OVERRIDES)["Overrides"] == []

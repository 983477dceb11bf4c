"""Every operation through the real `aws` command, as an administrator types it."""

import json
import re
from pathlib import Path

import pytest
from tests.support.secrets import password

from gatepost.control.dispatch import OPERATIONS

# Half a second for each call, for Python to start and botocore to load: not for every few minutes.
pytestmark = pytest.mark.e2e


@pytest.fixture
def aws(server, organization_id):
    """Run `aws workmail <command>` in the organization and answer what it printed."""

    def run(command, *words, organization=True):
        where = ["--organization-id", organization_id] if organization else []
        return server.aws("workmail", command, *where, *words, "--endpoint-url", server.url).answer

    return run


def test_organizations(aws, server):
    alias = server.alias()
    created = aws(
        "create-organization",
        *("--alias", alias, "--domains", f"DomainName={alias}.example", f"DomainName={alias}.example.net"),
        organization=False,
    )
    where = ("--organization-id", created["OrganizationId"])
    described = aws("describe-organization", *where, organization=False)
    assert (described["State"], described["DefaultMailDomain"]) == ("Active", f"{alias}.example")
    listed = aws("list-organizations", "--page-size", "1", organization=False)["OrganizationSummaries"]
    assert created["OrganizationId"] in {one["OrganizationId"] for one in listed}
    deleted = aws("delete-organization", *where, "--delete-directory", "--force-delete", organization=False)
    assert deleted["State"] == "Deleted"


def test_mail_domains(aws, domain):
    second = f"second.{domain}"
    aws("register-mail-domain", "--domain-name", second)
    aws("update-default-mail-domain", "--domain-name", second)
    assert aws("list-mail-domains", "--max-results", "1") == {
        "MailDomains": [{"DomainName": domain, "DefaultDomain": False}],
        "NextToken": aws("list-mail-domains", "--max-results", "1")["NextToken"],
    }
    described = aws("get-mail-domain", "--domain-name", second)
    assert (described["IsDefault"], described["OwnershipVerificationStatus"]) == (True, "VERIFIED")
    aws("deregister-mail-domain", "--domain-name", domain)
    assert [one["DomainName"] for one in aws("list-mail-domains")["MailDomains"]] == [second]


def test_tags(aws):
    where = ("--resource-arn", aws("describe-organization")["ARN"])
    aws("tag-resource", *where, "--tags", "Key=priority,Value=1", "Key=site,Value=", organization=False)
    aws("untag-resource", *where, "--tag-keys", "priority", "never", organization=False)
    assert aws("list-tags-for-resource", *where, organization=False) == {"Tags": [{"Key": "site", "Value": ""}]}


def test_users_and_aliases(aws, domain):
    user_id = aws("create-user", "--name", "bob", "--display-name", "Bob", "--password", password("bob's, typed"))[
        "UserId"
    ]
    aws("register-to-work-mail", "--entity-id", "bob", "--email", f"bob@{domain}")
    aws("update-user", "--user-id", "bob", "--job-title", "Postman", "--no-hidden-from-global-address-list")
    described = aws("describe-user", "--user-id", f"bob@{domain}")
    assert (described["UserId"], described["JobTitle"], described["State"]) == (user_id, "Postman", "ENABLED")
    assert [user["Name"] for user in aws("list-users", "--filters", "State=ENABLED")["Users"]] == ["bob"]
    aws("create-alias", "--entity-id", user_id, "--alias", f"rob@{domain}")
    assert aws("list-aliases", "--entity-id", user_id)["Aliases"] == [f"rob@{domain}"]
    aws("delete-alias", "--entity-id", user_id, "--alias", f"rob@{domain}")
    aws("deregister-from-work-mail", "--entity-id", user_id)
    aws("delete-user", "--user-id", user_id)
    assert aws("describe-user", "--user-id", user_id)["State"] == "DELETED"


def test_groups_and_entities(aws, domain, alice):
    group_id = aws("create-group", "--name", "sales team", "--no-hidden-from-global-address-list")["GroupId"]
    aws("register-to-work-mail", "--entity-id", group_id, "--email", f"sales@{domain}")
    aws("update-group", "--group-id", group_id, "--hidden-from-global-address-list")
    described = aws("describe-group", "--group-id", f"sales@{domain}")
    assert (described["Name"], described["State"]) == ("sales team", "ENABLED")
    assert described["HiddenFromGlobalAddressList"] is True
    assert [group["Id"] for group in aws("list-groups", "--filters", "NamePrefix=sales")["Groups"]] == [group_id]
    aws("associate-member-to-group", "--group-id", group_id, "--member-id", "alice")
    assert [member["Id"] for member in aws("list-group-members", "--group-id", group_id)["Members"]] == [alice]
    groups = aws("list-groups-for-entity", "--entity-id", "alice", "--filters", "GroupNamePrefix=s")["Groups"]
    assert groups == [{"GroupId": group_id, "GroupName": "sales team"}]
    aws("disassociate-member-from-group", "--group-id", group_id, "--member-id", alice)
    aws("update-primary-email-address", "--entity-id", "alice", "--email", f"alicia@{domain}")
    assert aws("describe-entity", "--email", f"alice@{domain}") == {"EntityId": alice, "Name": "alice", "Type": "USER"}
    aws("deregister-from-work-mail", "--entity-id", group_id)
    aws("delete-group", "--group-id", group_id)
    assert aws("describe-group", "--group-id", group_id)["State"] == "DELETED"


def test_mobile_device_access_rules(aws):
    rule_id = aws(
        "create-mobile-device-access-rule",
        *("--name", "BlockAllAndroid", "--effect", "DENY", "--device-types", "android", "samsung"),
    )["MobileDeviceAccessRuleId"]
    aws(
        "update-mobile-device-access-rule",
        *(
            "--mobile-device-access-rule-id",
            rule_id,
            "--name",
            "Renamed",
            "--effect",
            "DENY",
            "--device-types",
            "android",
        ),
    )
    rules = aws("list-mobile-device-access-rules")["Rules"]
    assert [(rule["Name"], rule.get("DeviceTypes")) for rule in rules] == [("Default", None), ("Renamed", ["android"])]
    answer = aws("get-mobile-device-access-effect", "--device-type", "Android", "--device-model", "$NONE")
    assert answer == {"Effect": "DENY", "MatchedRules": [{"MobileDeviceAccessRuleId": rule_id, "Name": "Renamed"}]}
    aws("delete-mobile-device-access-rule", "--mobile-device-access-rule-id", rule_id)


def test_mobile_device_access_overrides(aws, domain):
    pair = ("--user-id", f"carol@{domain}", "--device-id", "applc39abcdef")
    aws("put-mobile-device-access-override", *pair, "--effect", "ALLOW", "--description", "checked by hand")
    found = aws("get-mobile-device-access-override", *pair)
    assert (found["DeviceId"], found["Effect"], found["Description"]) == ("APPLC39ABCDEF", "ALLOW", "checked by hand")
    assert aws("list-mobile-device-access-overrides", "--device-id", "APPLC39ABCDEF")["Overrides"] == [found]
    aws("delete-mobile-device-access-override", *pair)


def test_access_control_rules(aws, alice):
    aws(
        "put-access-control-rule",
        *("--name", "myRule", "--effect", "DENY", "--description", "my rule", "--user-ids", alice),
        *("--actions", "ActiveSync", "--not-ip-ranges", "192.0.2.0/24", "2001:db8::/32"),
    )
    assert {rule["Name"] for rule in aws("list-access-control-rules")["Rules"]} == {"default", "myRule"}
    answer = aws(
        "get-access-control-effect", "--ip-address", "198.51.100.7", "--action", "ActiveSync", "--user-id", alice
    )
    assert answer == {"Effect": "DENY", "MatchedRules": ["myRule"]}
    aws("delete-access-control-rule", "--name", "myRule")


def test_impersonation_roles(aws, alice):
    rules = json.dumps([{"ImpersonationRuleId": "a1", "Name": "Alice", "Effect": "ALLOW", "TargetUsers": ["alice"]}])
    named = ("--name", "Mail mover", "--rules", rules)
    short = ("--name", "Everybody", "--rules", "ImpersonationRuleId=all,Effect=ALLOW,NotTargetUsers=alice")
    role_id = aws("create-impersonation-role", *short, "--type", "READ_ONLY")["ImpersonationRoleId"]
    where = ("--impersonation-role-id", role_id)
    aws("update-impersonation-role", *where, *named, "--type", "FULL_ACCESS", "--description", "moves mail")
    found = aws("get-impersonation-role", *where)
    assert (found["Type"], found["Description"], found["Rules"][0]["TargetUsers"]) == (
        "FULL_ACCESS",
        "moves mail",
        [alice],
    )
    assert [role["Name"] for role in aws("list-impersonation-roles")["Roles"]] == ["Mail mover"]
    assert aws("get-impersonation-role-effect", *where, "--target-user", "alice") == {
        "Type": "FULL_ACCESS",
        "Effect": "ALLOW",
        "MatchedRules": [{"ImpersonationRuleId": "a1", "Name": "Alice"}],
    }
    aws("delete-impersonation-role", *where)


def test_an_error_is_shown_as_workmails(server, organization_id):
    ran = server.aws(
        "workmail",
        "describe-user",
        *("--organization-id", organization_id, "--user-id", "nobody", "--endpoint-url", server.url),
    )
    assert ran.code != 0
    assert (
        "An error occurred (EntityNotFoundException) when calling the DescribeUser operation: The identifier"
        in ran.errors
    )


def test_the_endpoint_can_come_from_the_environment(server, organization_id):
    ran = server.aws(
        "workmail",
        "list-mobile-device-access-rules",
        *("--organization-id", organization_id, "--query", "Rules[].Name", "--output", "json"),
        AWS_ENDPOINT_URL_WORKMAIL=server.url,
    )
    assert ran.answer == ["Default"]


def test_every_operation_is_run_above():
    """Not one operation is known through boto3 only."""
    run = re.findall(r'\baws\(\s*"([a-z-]+)"', Path(__file__).read_text(encoding="utf-8"))
    assert {command.replace("-", "") for command in run} - {"workmail"} == {name.lower() for name in OPERATIONS}

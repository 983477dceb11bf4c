"""The vendor's client is the judge: every operation through boto3, which checks our answers against its model."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.secrets import password

from gatepost.control.contract import operation_names, output_shape
from gatepost.control.dispatch import OPERATIONS


def recent(moment):
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


def test_organizations(own_server):
    client = own_server().client()
    created = client.create_organization(Alias="acme", Domains=[{"DomainName": "acme.example"}])["OrganizationId"]
    described = client.describe_organization(OrganizationId=created)
    assert recent(described["CompletedDate"])
    assert {name: described[name] for name in ("Alias", "State", "DefaultMailDomain", "DirectoryType", "ARN")} == {
        "Alias": "acme",
        "State": "Active",
        "DefaultMailDomain": "acme.example",
        "DirectoryType": "open",
        "ARN": f"arn:aws:workmail:gatepost:000000000000:organization/{created}",
    }
    assert client.list_organizations()["OrganizationSummaries"] == [
        {"OrganizationId": created, "Alias": "acme", "DefaultMailDomain": "acme.example", "State": "Active"}
    ]
    assert client.list_organizations(MaxResults=1).get("NextToken") is None
    deleted = client.delete_organization(OrganizationId=created, DeleteDirectory=True)
    assert (deleted["OrganizationId"], deleted["State"]) == (created, "Deleted")
    assert client.describe_organization(OrganizationId=created)["State"] == "Deleted"


def test_mail_domains(client, organization_id, domain):
    where = {"OrganizationId": organization_id}
    second = f"second.{domain}"
    client.register_mail_domain(**where, DomainName=second.upper())
    assert client.list_mail_domains(**where)["MailDomains"] == [
        {"DomainName": domain, "DefaultDomain": True},
        {"DomainName": second, "DefaultDomain": False},
    ]
    client.update_default_mail_domain(**where, DomainName=second)
    assert client.describe_organization(**where)["DefaultMailDomain"] == second
    described = client.get_mail_domain(**where, DomainName=second)
    del described["ResponseMetadata"]
    assert described == {
        "Records": [],
        "IsTestDomain": False,
        "IsDefault": True,
        "OwnershipVerificationStatus": "VERIFIED",
        "DkimVerificationStatus": "PENDING",
    }
    client.update_default_mail_domain(**where, DomainName=domain)
    client.deregister_mail_domain(**where, DomainName=second)
    assert [one["DomainName"] for one in client.list_mail_domains(**where)["MailDomains"]] == [domain]


def test_a_bare_name_follows_the_default_mail_domain(client, organization_id, domain, alice):
    where = {"OrganizationId": organization_id}
    second = f"second.{domain}"
    client.register_mail_domain(**where, DomainName=second)
    other = client.create_user(**where, Name="other", DisplayName="Other")["UserId"]
    client.register_to_work_mail(**where, EntityId=other, Email=f"ally@{second}")
    client.create_alias(**where, EntityId=alice, Alias=f"ally@{domain}")
    assert client.describe_user(**where, UserId="ally")["UserId"] == alice
    client.update_default_mail_domain(**where, DomainName=second)
    assert client.describe_user(**where, UserId="ally")["UserId"] == other


def test_tags(client, organization_id):
    arn = client.describe_organization(OrganizationId=organization_id)["ARN"]
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "priority", "Value": "1"}, {"Key": "Ort", "Value": "Köln"}])
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "priority", "Value": ""}])
    elsewhere = arn.replace(":gatepost:000000000000:", ":us-west-2:111122223333:")
    assert client.list_tags_for_resource(ResourceARN=elsewhere)["Tags"] == [
        {"Key": "Ort", "Value": "Köln"},
        {"Key": "priority", "Value": ""},
    ]
    client.untag_resource(ResourceARN=arn, TagKeys=["priority", "Ort", "never"])
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == []


def test_users(client, organization_id, domain):
    where = {"OrganizationId": organization_id}
    user_id = client.create_user(
        **where,
        Name="bob",
        DisplayName="Bob",
        Password=password("a new user's"),
        FirstName="Robert",
        HiddenFromGlobalAddressList=True,
    )["UserId"]
    client.register_to_work_mail(**where, EntityId=user_id, Email=f"bob@{domain}")
    client.update_user(**where, UserId="bob", City="Lisbon", Role="REMOTE_USER")
    described = client.describe_user(**where, UserId=f"bob@{domain}")
    assert recent(described.pop("EnabledDate"))
    del described["ResponseMetadata"]
    assert described == {
        "UserId": user_id,
        "Name": "bob",
        "Email": f"bob@{domain}",
        "DisplayName": "Bob",
        "State": "ENABLED",
        "UserRole": "REMOTE_USER",
        "FirstName": "Robert",
        "City": "Lisbon",
        "HiddenFromGlobalAddressList": True,
    }
    (listed,) = client.list_users(**where, Filters={"UsernamePrefix": "b"})["Users"]
    assert (listed["Id"], listed["Email"], listed["DisplayName"]) == (user_id, f"bob@{domain}", "Bob")
    client.deregister_from_work_mail(**where, EntityId=user_id)
    assert recent(client.describe_user(**where, UserId=user_id)["DisabledDate"])
    client.delete_user(**where, UserId=user_id)
    assert client.describe_user(**where, UserId=user_id)["State"] == "DELETED"


def test_aliases(client, organization_id, domain, alice):
    entity = {"OrganizationId": organization_id, "EntityId": alice}
    client.create_alias(**entity, Alias=f"ally@{domain}")
    assert client.list_aliases(**entity)["Aliases"] == [f"ally@{domain}"]
    client.delete_alias(**entity, Alias=f"ally@{domain}")
    assert client.list_aliases(**entity)["Aliases"] == []


def test_groups(client, organization_id, domain, alice):
    where = {"OrganizationId": organization_id}
    group_id = client.create_group(**where, Name="Sales & Söhne", HiddenFromGlobalAddressList=True)["GroupId"]
    described = client.describe_group(**where, GroupId=group_id)
    del described["ResponseMetadata"]
    assert described == {
        "GroupId": group_id,
        "Name": "Sales & Söhne",
        "State": "DISABLED",
        "HiddenFromGlobalAddressList": True,
    }
    client.register_to_work_mail(**where, EntityId=group_id, Email=f"sales@{domain}")
    client.update_group(**where, GroupId=f"sales@{domain}", HiddenFromGlobalAddressList=False)
    described = client.describe_group(**where, GroupId=f"SALES@{domain}")
    assert recent(described["EnabledDate"])
    assert (described["State"], described["HiddenFromGlobalAddressList"]) == ("ENABLED", False)
    (listed,) = client.list_groups(**where, Filters={"NamePrefix": "sales"})["Groups"]
    assert recent(listed.pop("EnabledDate"))
    assert listed == {"Id": group_id, "Name": "Sales & Söhne", "Email": f"sales@{domain}", "State": "ENABLED"}
    client.create_alias(**where, EntityId=group_id, Alias=f"team@{domain}")
    assert client.list_aliases(**where, EntityId=group_id)["Aliases"] == [f"team@{domain}"]
    client.deregister_from_work_mail(**where, EntityId=group_id)
    assert recent(client.describe_group(**where, GroupId=group_id)["DisabledDate"])
    client.delete_group(**where, GroupId=group_id)
    assert client.describe_group(**where, GroupId=group_id)["State"] == "DELETED"
    assert client.list_groups(**where, Filters={"State": "DELETED"})["Groups"][0]["Id"] == group_id
    assert client.list_groups(**where, Filters={"State": "ENABLED"})["Groups"] == []


def test_group_members(client, organization_id, domain, alice):
    where = {"OrganizationId": organization_id}
    everybody, board = (client.create_group(**where, Name=name)["GroupId"] for name in ("everybody", "board"))
    client.associate_member_to_group(**where, GroupId="board", MemberId=f"alice@{domain}")
    client.associate_member_to_group(**where, GroupId="everybody", MemberId="board")
    (member,) = client.list_group_members(**where, GroupId=board)["Members"]
    assert recent(member.pop("EnabledDate"))
    assert member == {"Id": alice, "Name": "alice", "Type": "USER", "State": "ENABLED"}
    assert client.list_group_members(**where, GroupId=everybody)["Members"] == [
        {"Id": board, "Name": "board", "Type": "GROUP", "State": "DISABLED"}
    ]
    assert client.list_groups_for_entity(**where, EntityId="alice")["Groups"] == [
        {"GroupId": board, "GroupName": "board"}
    ]
    filtered = client.list_groups_for_entity(**where, EntityId=board, Filters={"GroupNamePrefix": "every"})
    assert filtered["Groups"] == [{"GroupId": everybody, "GroupName": "everybody"}]
    with pytest.raises(client.exceptions.InvalidParameterException, match="member of itself"):
        client.associate_member_to_group(**where, GroupId=board, MemberId=everybody)
    client.disassociate_member_from_group(**where, GroupId=board, MemberId=alice)
    assert client.list_group_members(**where, GroupId=board)["Members"] == []


def test_entities(client, organization_id, domain, alice):
    where = {"OrganizationId": organization_id}
    client.update_primary_email_address(**where, EntityId=alice, Email=f"alicia@{domain}")
    assert client.describe_user(**where, UserId="alice")["Email"] == f"alicia@{domain}"
    assert client.list_aliases(**where, EntityId=alice)["Aliases"] == [f"alice@{domain}"]
    group_id = client.create_group(**where, Name="everyone")["GroupId"]
    client.register_to_work_mail(**where, EntityId="everyone", Email=f"all@{domain}")
    found = [client.describe_entity(**where, Email=f"{name}@{domain}") for name in ("alice", "alicia", "ALL")]
    for one in found:
        del one["ResponseMetadata"]
    user = {"EntityId": alice, "Name": "alice", "Type": "USER"}
    assert found == [user, user, {"EntityId": group_id, "Name": "everyone", "Type": "GROUP"}]


def test_an_override_does_not_name_a_group(client, organization_id, domain):
    where = {"OrganizationId": organization_id}
    group_id = client.create_group(**where, Name="everyone")["GroupId"]
    client.register_to_work_mail(**where, EntityId=group_id, Email=f"all@{domain}")
    for identity in (group_id, "everyone", f"all@{domain}"):
        with pytest.raises(client.exceptions.EntityNotFoundException):
            client.put_mobile_device_access_override(**where, UserId=identity, DeviceId="A1", Effect="ALLOW")
    assert client.list_users(**where)["Users"] == []


def test_mobile_device_access_rules(client, organization_id):
    where = {"OrganizationId": organization_id}
    lists = {
        "DeviceTypes": ["iphone"],
        "NotDeviceTypes": ["android"],
        "DeviceModels": ["a", "b"],
        "NotDeviceModels": ["c"],
        "DeviceOperatingSystems": ["iOS 18"],
        "NotDeviceOperatingSystems": ["d"],
        "DeviceUserAgents": ["$NONE"],
        "NotDeviceUserAgents": ["e"],
    }
    rule_id = client.create_mobile_device_access_rule(
        **where, Name="every condition", Effect="DENY", Description="all eight", **lists
    )["MobileDeviceAccessRuleId"]
    default, rule = client.list_mobile_device_access_rules(**where)["Rules"]
    assert (default["Name"], default["Effect"]) == ("Default", "ALLOW")
    assert recent(rule.pop("DateCreated"))
    assert recent(rule.pop("DateModified"))
    assert rule == {
        "MobileDeviceAccessRuleId": rule_id,
        "Name": "every condition",
        "Effect": "DENY",
        "Description": "all eight",
        **lists,
    }
    client.update_mobile_device_access_rule(
        **where, MobileDeviceAccessRuleId=rule_id, Name="no iphone", Effect="DENY", DeviceTypes=["iphone"]
    )
    answer = client.get_mobile_device_access_effect(**where, DeviceType="iPhone14C2")
    assert (answer["Effect"], answer["MatchedRules"]) == (
        "DENY",
        [{"MobileDeviceAccessRuleId": rule_id, "Name": "no iphone"}],
    )
    client.delete_mobile_device_access_rule(**where, MobileDeviceAccessRuleId=rule_id)
    assert client.get_mobile_device_access_effect(**where, DeviceType="iPhone14C2")["Effect"] == "ALLOW"


def test_mobile_device_access_overrides(client, organization_id, alice):
    where = {"OrganizationId": organization_id}
    client.put_mobile_device_access_override(
        **where, UserId="alice", DeviceId="abc1", Effect="DENY", Description="lost"
    )
    found = client.get_mobile_device_access_override(**where, UserId=alice, DeviceId="ABC1")
    del found["ResponseMetadata"]
    assert client.list_mobile_device_access_overrides(**where)["Overrides"] == [found]
    assert recent(found.pop("DateCreated"))
    assert recent(found.pop("DateModified"))
    assert found == {"UserId": alice, "DeviceId": "ABC1", "Effect": "DENY", "Description": "lost"}
    client.delete_mobile_device_access_override(**where, UserId="alice", DeviceId="Abc1")
    assert client.list_mobile_device_access_overrides(**where, UserId="alice", DeviceId="abc1")["Overrides"] == []


def test_impersonation_roles(client, organization_id, alice):
    where = {"OrganizationId": organization_id}
    rules = [
        {
            "ImpersonationRuleId": "not-alice",
            "Name": "not Alice",
            "Description": "she\nwould not like it",
            "Effect": "DENY",
            "TargetUsers": [alice],
        },
        {"ImpersonationRuleId": "others", "Effect": "ALLOW", "NotTargetUsers": [alice]},
        {"ImpersonationRuleId": "all", "Effect": "ALLOW"},
    ]
    role_id = client.create_impersonation_role(
        **where, Name="migration", Type="READ_ONLY", Description="moves the mail", Rules=rules
    )["ImpersonationRoleId"]
    role = client.get_impersonation_role(**where, ImpersonationRoleId=role_id)
    del role["ResponseMetadata"]
    dates = {name: role.pop(name) for name in ("DateCreated", "DateModified")}
    assert all(map(recent, dates.values()))
    summary = {"ImpersonationRoleId": role_id, "Name": "migration", "Type": "READ_ONLY"}
    assert role == {**summary, "Description": "moves the mail", "Rules": rules}
    assert client.list_impersonation_roles(**where)["Roles"] == [{**summary, **dates}]
    test = {**where, "ImpersonationRoleId": role_id, "TargetUser": "alice"}
    answer = client.get_impersonation_role_effect(**test)
    del answer["ResponseMetadata"]
    assert answer == {
        "Type": "READ_ONLY",
        "Effect": "DENY",
        "MatchedRules": [{"ImpersonationRuleId": "not-alice", "Name": "not Alice"}],
    }
    client.update_impersonation_role(
        **where, ImpersonationRoleId=role_id, Name="backup", Type="FULL_ACCESS", Rules=rules[2:]
    )
    answer = client.get_impersonation_role_effect(**test)
    assert (answer["Type"], answer["Effect"]) == ("FULL_ACCESS", "ALLOW")
    assert answer["MatchedRules"] == [{"ImpersonationRuleId": "all"}]
    client.delete_impersonation_role(**where, ImpersonationRoleId=role_id)
    assert client.list_impersonation_roles(**where)["Roles"] == []


def test_access_control_rules(client, organization_id, alice):
    where = {"OrganizationId": organization_id}
    role, other = (
        client.create_impersonation_role(**where, Name=name, Type="READ_ONLY", Rules=[])["ImpersonationRoleId"]
        for name in ("role", "other")
    )
    lists = {
        "IpRanges": ["10.0.0.0/8", "2001:db8::/32"],
        "NotIpRanges": ["10.1.0.0/16"],
        "Actions": ["IMAP", "SMTP"],
        "NotActions": ["WebMail"],
        "UserIds": [alice],
        "NotUserIds": [alice],
        "ImpersonationRoleIds": [role],
        "NotImpersonationRoleIds": [other],
    }
    client.put_access_control_rule(**where, Name="every_condition", Effect="DENY", Description="all eight", **lists)
    default, rule = client.list_access_control_rules(**where)["Rules"]
    assert (default["Name"], default["Effect"], default["Description"]) == ("default", "ALLOW", "Default WorkMail Rule")
    assert recent(rule.pop("DateCreated"))
    assert recent(rule.pop("DateModified"))
    assert rule == {"Name": "every_condition", "Effect": "DENY", "Description": "all eight", **lists}
    client.put_access_control_rule(**where, Name="every_condition", Effect="DENY", Description="none", Actions=["IMAP"])
    answer = client.get_access_control_effect(**where, IpAddress="192.0.2.1", Action="IMAP", UserId=alice)
    assert (answer["Effect"], answer["MatchedRules"]) == ("DENY", ["every_condition"])
    client.delete_access_control_rule(**where, Name="every_condition")
    answer = client.get_access_control_effect(**where, IpAddress="192.0.2.1", Action="IMAP", UserId=alice)
    assert (answer["Effect"], answer["MatchedRules"]) == ("ALLOW", ["default"])


def test_deleting_what_is_not_there_is_a_success(client, organization_id, alice):
    where = {"OrganizationId": organization_id}
    group_id = client.create_group(**where, Name="empty")["GroupId"]
    for _ in range(2):
        client.delete_mobile_device_access_rule(**where, MobileDeviceAccessRuleId="none")
        client.delete_mobile_device_access_override(**where, UserId=alice, DeviceId="none")
        client.delete_access_control_rule(**where, Name="default")
        client.delete_impersonation_role(**where, ImpersonationRoleId="none")
        client.deregister_mail_domain(**where, DomainName="none.example")
        client.delete_alias(**where, EntityId=alice, Alias="none@example.com")
        client.delete_user(**where, UserId="none")
        client.delete_group(**where, GroupId="none")
        client.disassociate_member_from_group(**where, GroupId=group_id, MemberId=alice)


def test_a_client_token_makes_one_rule(client, organization_id):
    rule = {"OrganizationId": organization_id, "Name": "one", "Effect": "DENY", "ClientToken": "the-token"}
    first = client.create_mobile_device_access_rule(**rule)["MobileDeviceAccessRuleId"]
    assert client.create_mobile_device_access_rule(**rule)["MobileDeviceAccessRuleId"] == first
    assert len(client.list_mobile_device_access_rules(OrganizationId=organization_id)["Rules"]) == 2
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.create_mobile_device_access_rule(**{**rule, "Name": "two"})


def test_one_organization_does_not_see_the_other(server, client, organization_id, alice):
    other = client.create_organization(Alias=server.alias())["OrganizationId"]
    with pytest.raises(client.exceptions.EntityNotFoundException):
        client.describe_user(OrganizationId=other, UserId=alice)
    assert client.list_users(OrganizationId=other)["Users"] == []


@pytest.mark.parametrize("operation", sorted(operation_names() - set(OPERATIONS)))
def test_the_other_operations_of_workmail_say_that_they_are_not_here(client, operation):
    with pytest.raises(client.exceptions.UnsupportedOperationException, match=f"{operation} is an operation of Amazon"):
        client._make_api_call(operation, {})


# A boto3 client parses an answer by its model and forgets what the model does not know: a misspelt member would go unseen.


def members_unknown_to(shape, value, path=""):
    if value is None:
        return []
    if shape.type_name == "structure":
        return [
            found
            for name, member in value.items()
            for found in (
                members_unknown_to(shape.members[name], member, f"{path}.{name}")
                if name in shape.members
                else [f"{path}.{name}"]
            )
        ]
    if shape.type_name == "list":
        return [found for member in value for found in members_unknown_to(shape.member, member, f"{path}[]")]
    return []


def test_no_answer_has_a_member_that_the_model_does_not_know(server, client, organization_id, alice, monkeypatch):
    seen = {}
    shown = {}
    for name, operation in OPERATIONS.items():

        def show(value, name=name, operation=operation):
            seen[name] = operation.show(value)
            return seen[name]

        shown[name] = operation._replace(show=show)
    for name, operation in shown.items():
        monkeypatch.setitem(OPERATIONS, name, operation)
    where = {"OrganizationId": organization_id}
    test_users(client, organization_id, client.describe_organization(**where)["DefaultMailDomain"])
    test_aliases(client, organization_id, client.describe_organization(**where)["DefaultMailDomain"], alice)
    test_groups(client, organization_id, client.describe_organization(**where)["DefaultMailDomain"], alice)
    test_group_members(client, organization_id, client.describe_organization(**where)["DefaultMailDomain"], alice)
    test_entities(client, organization_id, client.describe_organization(**where)["DefaultMailDomain"], alice)
    test_mobile_device_access_rules(client, organization_id)
    test_mobile_device_access_overrides(client, organization_id, alice)
    test_impersonation_roles(client, organization_id, alice)
    test_access_control_rules(client, organization_id, alice)
    test_mail_domains(client, organization_id, client.describe_organization(**where)["DefaultMailDomain"])
    test_tags(client, organization_id)
    client.list_organizations(MaxResults=1)
    other = client.create_organization(Alias=server.alias())["OrganizationId"]
    client.delete_organization(OrganizationId=other, DeleteDirectory=True)
    assert set(seen) == set(OPERATIONS)
    assert [
        found for name, value in seen.items() for found in members_unknown_to(output_shape(name), value, name)
    ] == []

"""Nouns and answers of the operations, as WorkMail's shapes: which member holds which value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost.operations.entities import id_of, type_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost.model import (
        AccessControlRule,
        Entity,
        Group,
        ImpersonationRole,
        ImpersonationRule,
        MobileDeviceAccessOverride,
        MobileDeviceAccessRule,
        Organization,
        User,
    )
    from gatepost.operations.access_effects import AccessControlEffect, MobileDeviceAccessEffect
    from gatepost.operations.impersonation_roles import ImpersonationRoleEffect
    from gatepost.operations.mail_domains import MailDomain
    from gatepost.operations.organizations import DeletedOrganization
    from gatepost.operations.paging import Page

# WorkMail's own has a Region and an account; there are none here.
_ARN = "arn:aws:workmail:gatepost:000000000000:organization/"


def nothing(_: None) -> dict[str, Any]:
    """The empty answer."""
    return {}


def organization(value: Organization) -> dict[str, Any]:
    """DescribeOrganization; `DirectoryType` says whether the directory is open or closed."""
    return {
        "OrganizationId": value.organization_id,
        "Alias": value.alias,
        "State": value.state.value,
        "DirectoryType": value.directory.value,
        "DefaultMailDomain": value.default_domain,
        "CompletedDate": value.date_created,
        "ARN": _ARN + value.organization_id,
        "InteroperabilityEnabled": False,
    }


def organizations(page: Page[Organization]) -> dict[str, Any]:
    """ListOrganizations."""
    return {
        "OrganizationSummaries": [
            {
                "OrganizationId": value.organization_id,
                "Alias": value.alias,
                "DefaultMailDomain": value.default_domain,
                "State": value.state.value,
            }
            for value in page.items
        ],
        "NextToken": page.next_token,
    }


def deleted_organization(value: DeletedOrganization) -> dict[str, Any]:
    """DeleteOrganization."""
    return {"OrganizationId": value.organization_id, "State": value.state.value}


def mail_domains(page: Page[MailDomain]) -> dict[str, Any]:
    """ListMailDomains."""
    return {
        "MailDomains": [{"DomainName": one.name, "DefaultDomain": one.is_default} for one in page.items],
        "NextToken": page.next_token,
    }


def mail_domain(value: MailDomain) -> dict[str, Any]:
    """GetMailDomain. No DNS is asked: a registered domain is taken to be the organization's own, nothing signs with DKIM."""
    return {
        "Records": [],
        "IsTestDomain": value.is_test_domain,
        "IsDefault": value.is_default,
        "OwnershipVerificationStatus": "VERIFIED",
        "DkimVerificationStatus": "PENDING",
    }


def tags(values: Mapping[str, str]) -> dict[str, Any]:
    """ListTagsForResource."""
    return {"Tags": [{"Key": key, "Value": value} for key, value in values.items()]}


def user(value: User) -> dict[str, Any]:
    """DescribeUser."""
    attributes: dict[str, Any] = dict(value.attributes)
    hidden = attributes.pop("HiddenFromGlobalAddressList", None)
    return {
        "UserId": value.user_id,
        "Name": value.name,
        "Email": value.email,
        "State": value.state.value,
        "UserRole": "USER",
        "EnabledDate": value.date_enabled,
        "DisabledDate": value.date_disabled,
        "HiddenFromGlobalAddressList": hidden == "true",
        **attributes,
    }


def users(page: Page[User]) -> dict[str, Any]:
    """ListUsers."""
    members = (
        "Email",
        "Name",
        "DisplayName",
        "State",
        "UserRole",
        "EnabledDate",
        "DisabledDate",
        "IdentityProviderUserId",
    )
    described = [user(value) for value in page.items]
    return {
        "Users": [{"Id": one["UserId"], **{name: one.get(name) for name in members}} for one in described],
        "NextToken": page.next_token,
    }


def group(value: Group) -> dict[str, Any]:
    """DescribeGroup."""
    return {
        "GroupId": value.group_id,
        "Name": value.name,
        "Email": value.email,
        "State": value.state.value,
        "EnabledDate": value.date_enabled,
        "DisabledDate": value.date_disabled,
        "HiddenFromGlobalAddressList": value.hidden_from_global_address_list,
    }


def groups(page: Page[Group]) -> dict[str, Any]:
    """ListGroups."""
    members = ("Email", "Name", "State", "EnabledDate", "DisabledDate")
    described = [group(value) for value in page.items]
    return {
        "Groups": [{"Id": one["GroupId"], **{name: one[name] for name in members}} for one in described],
        "NextToken": page.next_token,
    }


def group_members(page: Page[Entity]) -> dict[str, Any]:
    """ListGroupMembers."""
    return {
        "Members": [
            {
                "Id": id_of(value),
                "Name": value.name,
                "Type": type_of(value).value,
                "State": value.state.value,
                "EnabledDate": value.date_enabled,
                "DisabledDate": value.date_disabled,
            }
            for value in page.items
        ],
        "NextToken": page.next_token,
    }


def groups_of_an_entity(page: Page[Group]) -> dict[str, Any]:
    """ListGroupsForEntity."""
    return {
        "Groups": [{"GroupId": value.group_id, "GroupName": value.name} for value in page.items],
        "NextToken": page.next_token,
    }


def entity(value: Entity) -> dict[str, Any]:
    """DescribeEntity."""
    return {"EntityId": id_of(value), "Name": value.name, "Type": type_of(value).value}


def aliases(page: Page[str]) -> dict[str, Any]:
    """ListAliases."""
    return {"Aliases": page.items, "NextToken": page.next_token}


def mobile_device_access_rules(rules: tuple[MobileDeviceAccessRule, ...]) -> dict[str, Any]:
    """ListMobileDeviceAccessRules."""
    return {"Rules": [_mobile_device_access_rule(rule) for rule in rules]}


def _mobile_device_access_rule(rule: MobileDeviceAccessRule) -> dict[str, Any]:
    conditions = rule.conditions
    return {
        "MobileDeviceAccessRuleId": rule.rule_id,
        "Name": rule.name,
        "Description": rule.description,
        "Effect": rule.effect.value,
        "DeviceTypes": conditions.device_types or None,
        "NotDeviceTypes": conditions.not_device_types or None,
        "DeviceModels": conditions.device_models or None,
        "NotDeviceModels": conditions.not_device_models or None,
        "DeviceOperatingSystems": conditions.device_operating_systems or None,
        "NotDeviceOperatingSystems": conditions.not_device_operating_systems or None,
        "DeviceUserAgents": conditions.device_user_agents or None,
        "NotDeviceUserAgents": conditions.not_device_user_agents or None,
        "DateCreated": rule.date_created,
        "DateModified": rule.date_modified,
    }


def mobile_device_access_effect(value: MobileDeviceAccessEffect) -> dict[str, Any]:
    """GetMobileDeviceAccessEffect."""
    return {
        "Effect": value.effect.value,
        "MatchedRules": [{"MobileDeviceAccessRuleId": rule.rule_id, "Name": rule.name} for rule in value.matched_rules],
    }


def mobile_device_access_override(value: MobileDeviceAccessOverride) -> dict[str, Any]:
    """GetMobileDeviceAccessOverride."""
    return {
        "UserId": value.user_id,
        "DeviceId": value.device_id,
        "Effect": value.effect.value,
        "Description": value.description,
        "DateCreated": value.date_created,
        "DateModified": value.date_modified,
    }


def mobile_device_access_overrides(page: Page[MobileDeviceAccessOverride]) -> dict[str, Any]:
    """ListMobileDeviceAccessOverrides."""
    return {"Overrides": [mobile_device_access_override(one) for one in page.items], "NextToken": page.next_token}


def access_control_rules(rules: tuple[AccessControlRule, ...]) -> dict[str, Any]:
    """ListAccessControlRules."""
    return {"Rules": [_access_control_rule(rule) for rule in rules]}


def _access_control_rule(rule: AccessControlRule) -> dict[str, Any]:
    return {
        "Name": rule.name,
        "Effect": rule.effect.value,
        "Description": rule.description,
        "IpRanges": rule.ip_ranges or None,
        "NotIpRanges": rule.not_ip_ranges or None,
        "Actions": [action.value for action in rule.actions] or None,
        "NotActions": [action.value for action in rule.not_actions] or None,
        "UserIds": rule.user_ids or None,
        "NotUserIds": rule.not_user_ids or None,
        "ImpersonationRoleIds": rule.impersonation_role_ids or None,
        "NotImpersonationRoleIds": rule.not_impersonation_role_ids or None,
        "DateCreated": rule.date_created,
        "DateModified": rule.date_modified,
    }


def access_control_effect(value: AccessControlEffect) -> dict[str, Any]:
    """GetAccessControlEffect."""
    return {"Effect": value.effect.value, "MatchedRules": value.matched_rules}


def impersonation_role(value: ImpersonationRole) -> dict[str, Any]:
    """GetImpersonationRole."""
    return {
        **_impersonation_role_summary(value),
        "Description": value.description,
        "Rules": [_impersonation_rule(rule) for rule in value.rules],
    }


def impersonation_roles(page: Page[ImpersonationRole]) -> dict[str, Any]:
    """ListImpersonationRoles."""
    return {"Roles": [_impersonation_role_summary(role) for role in page.items], "NextToken": page.next_token}


def _impersonation_role_summary(value: ImpersonationRole) -> dict[str, Any]:
    return {
        "ImpersonationRoleId": value.role_id,
        "Name": value.name,
        "Type": value.type.value,
        "DateCreated": value.date_created,
        "DateModified": value.date_modified,
    }


def _impersonation_rule(rule: ImpersonationRule) -> dict[str, Any]:
    return {
        "ImpersonationRuleId": rule.rule_id,
        "Name": rule.name,
        "Description": rule.description,
        "Effect": rule.effect.value,
        "TargetUsers": rule.target_users or None,
        "NotTargetUsers": rule.not_target_users or None,
    }


def impersonation_role_effect(value: ImpersonationRoleEffect) -> dict[str, Any]:
    """GetImpersonationRoleEffect."""
    return {
        "Type": value.type.value,
        "Effect": value.effect.value,
        "MatchedRules": [{"ImpersonationRuleId": rule.rule_id, "Name": rule.name} for rule in value.matched_rules],
    }

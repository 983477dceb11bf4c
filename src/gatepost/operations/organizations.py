"""Organizations: created with WorkMail's two default rules, described, listed, deleted."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatepost.model import (
    AccessControlRule,
    DeviceConditions,
    Directory,
    Effect,
    EntityState,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
)
from gatepost.operations.client_tokens import once
from gatepost.operations.errors import (
    DirectoryUnavailableException,
    InvalidParameterException,
    NameAvailabilityException,
    OrganizationNotFoundException,
    OrganizationStateException,
)
from gatepost.operations.paging import Listing, Page
from gatepost.store import (
    access_control_rules,
    group_members,
    groups,
    impersonation_roles,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    tags,
    users,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction

# WorkMail gives an organization without a domain of its own `<alias>.awsapps.com`; `.internal` is the top-level domain that
# ICANN reserved for private use, so this one never is somebody's.
TEST_DOMAIN_SUFFIX = "gatepost.internal"

_BATCH = 500
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class DeletedOrganization:
    """What DeleteOrganization answers."""

    organization_id: str
    state: OrganizationState


def create(
    context: Context,
    *,
    alias: str,
    domains: Sequence[Mapping[str, str] | str] = (),
    client_token: str | None = None,
    organization_id: str | None = None,
    directory: Directory = Directory.OPEN,
    directory_id: str | None = None,
    kms_key_arn: str | None = None,
    enable_interoperability: bool = False,
) -> str:
    """Create an organization with its two default rules and answer its id.

    The first of `domains` (names, or WorkMail's `{"DomainName": …}`) is the default mail domain; without any it is
    `<alias>.gatepost.internal`. A HostedZoneId is not looked at: nothing here publishes DNS records. Raises
    `NameAvailabilityException` where the alias, a domain or the id is taken by an organization that is not deleted.
    """
    if enable_interoperability and directory_id is None:
        raise InvalidParameterException("EnableInteroperability requires the DirectoryId of an AD Connector directory.")
    if directory_id is not None:
        raise DirectoryUnavailableException
    if kms_key_arn is not None:
        raise InvalidParameterException("KmsKeyArn is not supported: no mail is stored here that it could encrypt.")
    names = _mail_domains(alias, domains)
    parameters = {"alias": alias, "domains": names, "id": organization_id, "directory": directory.value}

    def act(transaction: Transaction) -> str:
        _require_free(transaction, alias, names, organization_id)
        created = organization_id or f"m-{secrets.token_hex(16)}"
        now = context.now()
        organizations.put(
            transaction,
            Organization(created, alias, directory, names, names[0], OrganizationState.ACTIVE, date_created=now),
        )
        mobile_device_access_rules.put(transaction, default_mobile_device_access_rule(created, now))
        access_control_rules.put(transaction, default_access_control_rule(created, now))
        return created

    return once(context, "CreateOrganization", client_token, parameters, act)


def describe(context: Context, *, organization_id: str) -> Organization:
    """The organization, a deleted one included. Raises `OrganizationNotFoundException`."""
    with context.store.read() as reader:
        return _get(reader, organization_id)


def list(  # noqa: A001 -- the verb of the API
    context: Context, *, next_token: str | None = None, max_results: int | None = None
) -> Page[Organization]:
    """Every organization, deleted ones included, in the order of their ids."""
    with context.store.read() as reader:
        return Listing("ListOrganizations", ()).page(
            next_token,
            max_results,
            lambda after, limit: organizations.page(reader, after, limit),
            lambda organization: organization.organization_id,
        )


def delete(
    context: Context,
    *,
    organization_id: str,
    delete_directory: bool,  # noqa: ARG001 -- required by the API; an organization's directory is part of it and goes with it
    force_delete: bool = False,
    delete_identity_center_application: bool = False,  # noqa: ARG001 -- there is none that could stay or go
    client_token: str | None = None,
) -> DeletedOrganization:
    """Delete the organization with its users, groups, rules and overrides; its id, alias and dates stay as a tombstone.

    Raises `OrganizationStateException` for a deleted one, and for one with enabled users unless `force_delete`.
    """

    def act(transaction: Transaction) -> str:
        organization = require_active(transaction, organization_id)
        if not force_delete and users.page(transaction, organization_id, None, 1, state=EntityState.ENABLED):
            raise OrganizationStateException("The organization has enabled users. Disable them or use ForceDelete.")
        _delete_members(transaction, organization_id)
        _delete_rules(transaction, organization_id)
        now = context.now()
        organizations.put(transaction, replace(organization, state=OrganizationState.DELETED, date_deleted=now))
        return OrganizationState.DELETED.value

    parameters = {"id": organization_id, "force": force_delete}
    state = once(context, "DeleteOrganization", client_token, parameters, act)
    return DeletedOrganization(organization_id, OrganizationState(state))


def require_active(reader: Reader, organization_id: str) -> Organization:
    """The organization that an operation works in. Raises `OrganizationNotFoundException`, `OrganizationStateException`."""
    organization = _get(reader, organization_id)
    if organization.state is not OrganizationState.ACTIVE:
        raise OrganizationStateException
    return organization


def mail_domain(name: str) -> str:
    """The domain name in lower case, the form in which it is kept. Raises `InvalidParameterException` where it is none."""
    domain = name.lower()
    if not _DOMAIN.fullmatch(domain):
        raise InvalidParameterException(f"{name} is not a domain name.")
    return domain


def alias_domain(alias: str) -> str:
    """The mail domain of an organization that was created without one of its own."""
    return f"{alias.lower()}.{TEST_DOMAIN_SUFFIX}"


def default_mobile_device_access_rule(organization_id: str, now: datetime) -> MobileDeviceAccessRule:
    """The rule that lets every mobile device in until it is replaced."""
    return MobileDeviceAccessRule(
        organization_id,
        secrets.token_hex(16),
        "Default",
        Effect.ALLOW,
        "Default WorkMail Rule",
        DeviceConditions(),
        now,
        now,
    )


def default_access_control_rule(organization_id: str, now: datetime) -> AccessControlRule:
    """The rule that allows every protocol from everywhere until it is replaced (name and description are WorkMail's)."""
    nothing: tuple[str, ...] = ()
    return AccessControlRule(
        organization_id,
        "default",
        Effect.ALLOW,
        "Default WorkMail Rule",
        ip_ranges=nothing,
        not_ip_ranges=nothing,
        actions=(),
        not_actions=(),
        user_ids=nothing,
        not_user_ids=nothing,
        impersonation_role_ids=nothing,
        not_impersonation_role_ids=nothing,
        date_created=now,
        date_modified=now,
    )


def _get(reader: Reader, organization_id: str) -> Organization:
    organization = organizations.get(reader, organization_id)
    if organization is None:
        raise OrganizationNotFoundException
    return organization


def _mail_domains(alias: str, domains: Sequence[Mapping[str, str] | str]) -> tuple[str, ...]:
    given = [mail_domain(domain if isinstance(domain, str) else domain["DomainName"]) for domain in domains]
    return tuple(dict.fromkeys(given)) or (alias_domain(alias),)


def _require_free(transaction: Transaction, alias: str, domains: tuple[str, ...], organization_id: str | None) -> None:
    if organization_id is not None and organizations.get(transaction, organization_id) is not None:
        raise NameAvailabilityException(f"There is or was an organization {organization_id}.")
    if organizations.find_by_alias(transaction, alias) is not None:
        raise NameAvailabilityException(f"The alias {alias} is in use.")
    for domain in domains:
        # A login is taken to the organization of its mail domain, so a domain has one organization.
        if organizations.find_by_domain(transaction, domain) is not None:
            raise NameAvailabilityException(f"The domain {domain} is in use by another organization.")


def _delete_members(transaction: Transaction, organization_id: str) -> None:
    while overrides := mobile_device_access_overrides.page(transaction, organization_id, None, _BATCH):
        for override in overrides:
            mobile_device_access_overrides.delete(
                transaction, organization_id, override.user_id, override.device_id, override.owner
            )
    for state in (EntityState.ENABLED, EntityState.DISABLED):
        while members := users.page(transaction, organization_id, None, _BATCH, state=state):
            for user in members:
                users.put(transaction, replace(user, state=EntityState.DELETED))
        while member_groups := groups.page(transaction, organization_id, None, _BATCH, state=state):
            for group in member_groups:
                group_members.delete_all_of(transaction, organization_id, group.group_id)
                groups.put(transaction, replace(group, state=EntityState.DELETED))


def _delete_rules(transaction: Transaction, organization_id: str) -> None:
    while rules := mobile_device_access_rules.page(transaction, organization_id, None, _BATCH):
        for rule in rules:
            mobile_device_access_rules.delete(transaction, organization_id, rule.rule_id)
    while access_rules := access_control_rules.page(transaction, organization_id, None, _BATCH):
        for access_rule in access_rules:
            access_control_rules.delete(transaction, organization_id, access_rule.name)
    while roles := impersonation_roles.page(transaction, organization_id, None, _BATCH):
        for role in roles:
            impersonation_roles.delete(transaction, organization_id, role.role_id)
    tags.delete(transaction, organization_id, tags.of(transaction, organization_id))

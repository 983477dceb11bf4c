"""The operations of WorkMail that Gatepost does not have, and why not: callers are told, and the guide has the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.operations.errors import UnsupportedOperationException

if TYPE_CHECKING:
    from collections.abc import Mapping

_BECAUSE: Mapping[str, tuple[str, ...]] = {
    "rooms and equipment are booked in calendars, which are the mail server's, and no phone logs in as one": (
        "CreateResource",
        "DescribeResource",
        "ListResources",
        "UpdateResource",
        "DeleteResource",
        "AssociateDelegateToResource",
        "DisassociateDelegateFromResource",
        "ListResourceDelegates",
    ),
    "mailboxes, their sizes and who shares them are the mail server's": (
        "GetMailboxDetails",
        "UpdateMailboxQuota",
        "PutMailboxPermissions",
        "ListMailboxPermissions",
        "DeleteMailboxPermissions",
    ),
    "no mail is stored here that could be exported": (
        "StartMailboxExportJob",
        "DescribeMailboxExportJob",
        "ListMailboxExportJobs",
        "CancelMailboxExportJob",
    ),
    "no mail is stored here that could be kept or deleted after a time": (
        "GetDefaultRetentionPolicy",
        "PutRetentionPolicy",
        "DeleteRetentionPolicy",
    ),
    "calendars, and so who is free when, are the mail server's": (
        "CreateAvailabilityConfiguration",
        "ListAvailabilityConfigurations",
        "UpdateAvailabilityConfiguration",
        "DeleteAvailabilityConfiguration",
        "TestAvailabilityConfiguration",
    ),
    "mail is received and sent by the mail server, which logs it": (
        "PutEmailMonitoringConfiguration",
        "DescribeEmailMonitoringConfiguration",
        "DeleteEmailMonitoringConfiguration",
    ),
    "mail is received by the mail server, which judges where it comes from": (
        "PutInboundDmarcSettings",
        "DescribeInboundDmarcSettings",
    ),
    "credentials are checked by the mail server: connect that to your identity provider": (
        "CreateIdentityCenterApplication",
        "DeleteIdentityCenterApplication",
        "PutIdentityProviderConfiguration",
        "DescribeIdentityProviderConfiguration",
        "DeleteIdentityProviderConfiguration",
    ),
    "credentials are checked by the mail server: tokens and application passwords are made there": (
        "ListPersonalAccessTokens",
        "GetPersonalAccessTokenMetadata",
        "DeletePersonalAccessToken",
    ),
    "passwords belong to the mail server: change them there": ("ResetPassword",),
    "it answers with a token for EWS, and there is no EWS here; the roles themselves are kept and evaluated": (
        "AssumeImpersonationRole",
    ),
}

WHY_NOT: Mapping[str, str] = {operation: why for why, operations in _BECAUSE.items() for operation in operations}


def unsupported(operation: str) -> UnsupportedOperationException:
    """What a caller of an operation in `WHY_NOT` is told."""
    return UnsupportedOperationException(
        f"{operation} is an operation of Amazon WorkMail that Gatepost does not have: {WHY_NOT[operation]}."
    )

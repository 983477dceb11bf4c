"""What the role of an access key allows: one table, and whatever is not in it is for `admin` alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatepost.control.contract import operation_names
from gatepost.control.failures import access_denied
from gatepost.model import Role

if TYPE_CHECKING:
    from gatepost.model import AccessKey

# WorkMail names what changes nothing so, and nothing else. `AssumeImpersonationRole`, which gives out a token, is none of them.
_READING = re.compile(r"(Describe|Get|List)[A-Z]")

# A bridge copies what an MDM system says of its phones into overrides: it finds the organization and the user, sees what the
# rules would say without it, and looks after the overrides. It changes neither users nor rules.
BRIDGE = frozenset(
    {
        "DescribeOrganization",
        "ListOrganizations",
        "DescribeUser",
        "ListUsers",
        "GetMobileDeviceAccessEffect",
        "GetMobileDeviceAccessOverride",
        "ListMobileDeviceAccessOverrides",
        "PutMobileDeviceAccessOverride",
        "DeleteMobileDeviceAccessOverride",
    }
)


def allows(role: Role, operation: str) -> bool:
    """True if keys of this role may run the operation; a name that WorkMail does not have is nobody's."""
    if operation not in operation_names():
        return False
    match role:
        case Role.ADMIN:
            return True
        case Role.READ_ONLY:
            return _READING.match(operation) is not None
        case Role.BRIDGE:
            return operation in BRIDGE


def authorize(key: AccessKey, operation: str) -> None:
    """Raises `RequestError`, `AccessDeniedException`, unless the key's role allows the operation."""
    if not allows(key.role, operation):
        raise access_denied(key.access_key_id, key.role, operation)

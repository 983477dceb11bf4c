"""Tags of organizations: keys and values that Gatepost keeps and does not look at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatepost.model import OrganizationState
from gatepost.operations.errors import (
    InvalidParameterException,
    OrganizationStateException,
    ResourceNotFoundException,
    TooManyTagsException,
)
from gatepost.store import organizations
from gatepost.store import tags as rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost.model import Organization
    from gatepost.operations.context import Context
    from gatepost.store.database import Reader

# AWS's limit for every resource of every service.
MAX_TAGS = 50
_RESERVED = "aws:"

# Whatever Region and account: scripts bring along the ARNs that they have, and an organization's id is unique without.
_ARN = re.compile(r"arn:aws:workmail:[a-z0-9-]*:[a-z0-9-]+:organization/(m-[0-9a-z]{32})")


def tag(context: Context, *, resource_arn: str, tags: Sequence[Mapping[str, str]]) -> None:
    """Give the organization these tags, new values for known keys; the others stay. Keys in another case are others.

    Raises `TooManyTagsException` beyond fifty, `InvalidParameterException` for a key twice or one that AWS reserves.
    """
    given = {one["Key"]: one["Value"] for one in tags}
    if len(given) < len(tags):
        raise InvalidParameterException("Each tag key can be given once.")
    for key in given:
        if key.lower().startswith(_RESERVED):
            raise InvalidParameterException(f"The tag key {key} starts with {_RESERVED}, which is reserved.")
    with context.store.begin() as transaction:
        organization = _organization(transaction, resource_arn)
        if organization.state is not OrganizationState.ACTIVE:
            raise OrganizationStateException
        if len(rows.of(transaction, organization.organization_id).keys() | given.keys()) > MAX_TAGS:
            raise TooManyTagsException
        rows.put(transaction, organization.organization_id, given)


def untag(context: Context, *, resource_arn: str, tag_keys: Sequence[str]) -> None:
    """Take the tags with these keys away; one that is not there is a success. Raises `ResourceNotFoundException`."""
    with context.store.begin() as transaction:
        rows.delete(transaction, _organization(transaction, resource_arn).organization_id, tag_keys)


def list(context: Context, *, resource_arn: str) -> dict[str, str]:  # noqa: A001 -- the verb of the API
    """The organization's tags in the order of their keys; a deleted one has none. Raises `ResourceNotFoundException`."""
    with context.store.read() as reader:
        return rows.of(reader, _organization(reader, resource_arn).organization_id)


def _organization(reader: Reader, arn: str) -> Organization:
    named = _ARN.fullmatch(arn)
    organization = None if named is None else organizations.get(reader, named[1])
    if organization is None:
        raise ResourceNotFoundException
    return organization

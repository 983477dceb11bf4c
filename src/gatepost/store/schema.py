"""The tables; `migrations/` builds the same ones, and a test compares them.

Columns carry the names of the nouns' fields; lists and nested values are JSON. Keys sort by code point on both databases
(collation "C" on PostgreSQL), so that pages come in the same order and an operating system's new locale data cannot
break an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from gatepost.model import Kind
from gatepost.store import mdm_schema  # noqa: F401 - `metadata` holds the bridge's tables too
from gatepost.store.columns import Document, Key, Moment, Revision
from gatepost.store.columns import metadata as metadata  # noqa: PLC0414 - from here it comes with every table

if TYPE_CHECKING:
    from collections.abc import Mapping

# One row. `value` is the last revision given; changes up to `compacted` are gone; `epoch` names this history.
revision_counter = Table(
    "revision_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False),
    Column("value", Revision, nullable=False),
    Column("compacted", Revision, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

changes = Table(
    "changes",
    metadata,
    Column("revision", Revision, primary_key=True, autoincrement=False),
    Column("organization_id", Key, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Document, nullable=False),
    Column("noun", Document),
    Column("at", Moment, nullable=False),
)

organizations = Table(
    "organizations",
    metadata,
    Column("organization_id", Key, primary_key=True),
    Column("alias", Key, nullable=False),
    Column("directory", Text, nullable=False),
    Column("domains", Document, nullable=False),
    Column("default_domain", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("date_created", Moment, nullable=False),
    Column("date_deleted", Moment),
    # a deleted organization gives its alias back
    Index(
        "ix_organizations_alias",
        "alias",
        unique=True,
        sqlite_where=text("state = 'Active'"),
        postgresql_where=text("state = 'Active'"),
    ),
)

# The mail domains of organizations that are not deleted.
mail_domains = Table(
    "mail_domains",
    metadata,
    Column("domain", Key, primary_key=True),
    Column("organization_id", Key, ForeignKey("organizations.organization_id"), nullable=False, index=True),
)

users = Table(
    "users",
    metadata,
    Column("organization_id", Key, ForeignKey("organizations.organization_id"), primary_key=True),
    Column("user_id", Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("aliases", Document, nullable=False),
    Column("state", Text, nullable=False),
    Column("attributes", Document, nullable=False),
    Column("date_created", Moment, nullable=False),
    Column("date_enabled", Moment),
    Column("date_disabled", Moment),
    # what ListUsers filters by, in the form in which two spellings are one
    Column("name_key", Text, nullable=False),
    Column("email_key", Text),
    Column("display_name_key", Text),
)

# Every name, address and alias of the users that are not deleted.
logins = Table(
    "logins",
    metadata,
    Column("organization_id", Key, primary_key=True),
    Column("login", Key, primary_key=True),
    Column("user_id", Key, nullable=False),
    ForeignKeyConstraint(["organization_id", "user_id"], ["users.organization_id", "users.user_id"]),
    Index(None, "organization_id", "user_id"),
)

# The same of the users that are deleted; several may have had one.
deleted_logins = Table(
    "deleted_logins",
    metadata,
    Column("organization_id", Key, primary_key=True),
    Column("login", Key, primary_key=True),
    Column("user_id", Key, primary_key=True),
    ForeignKeyConstraint(["organization_id", "user_id"], ["users.organization_id", "users.user_id"]),
    Index(None, "organization_id", "user_id"),
)

groups = Table(
    "groups",
    metadata,
    Column("organization_id", Key, ForeignKey("organizations.organization_id"), primary_key=True),
    Column("group_id", Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("aliases", Document, nullable=False),
    Column("state", Text, nullable=False),
    Column("hidden_from_global_address_list", Boolean, nullable=False),
    Column("date_created", Moment, nullable=False),
    Column("date_enabled", Moment),
    Column("date_disabled", Moment),
    # what ListGroups filters by, in the form in which two spellings are one
    Column("name_key", Text, nullable=False),
    Column("email_key", Text),
)

# Every name, address and alias of the groups that are not deleted. What is here is not in `logins`, and the other way
# round: the one writer that there is looks at both. A table of its own, because a group does not log in, and because a
# program of the time before groups goes on reading and writing `logins` while the others are upgraded.
group_names = Table(
    "group_names",
    metadata,
    Column("organization_id", Key, primary_key=True),
    Column("name", Key, primary_key=True),
    Column("group_id", Key, nullable=False),
    ForeignKeyConstraint(["organization_id", "group_id"], ["groups.organization_id", "groups.group_id"]),
    Index(None, "organization_id", "group_id"),
)

# A member is a user or a group; neither leaves its table, so there is nothing that a foreign key would catch.
group_members = Table(
    "group_members",
    metadata,
    Column("organization_id", Key, primary_key=True),
    Column("group_id", Key, primary_key=True),
    Column("member_id", Key, primary_key=True),
    Column("member_type", Text, nullable=False),
    ForeignKeyConstraint(["organization_id", "group_id"], ["groups.organization_id", "groups.group_id"]),
    Index(None, "organization_id", "member_id", "group_id"),
)

mobile_device_access_rules = Table(
    "mobile_device_access_rules",
    metadata,
    Column("organization_id", Key, ForeignKey("organizations.organization_id"), primary_key=True),
    Column("rule_id", Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("description", Text),
    Column("conditions", Document, nullable=False),
    Column("date_created", Moment, nullable=False),
    Column("date_modified", Moment, nullable=False),
)

mobile_device_access_overrides = Table(
    "mobile_device_access_overrides",
    metadata,
    Column("organization_id", Key, primary_key=True),
    Column("user_id", Key, primary_key=True),
    Column("device_id", Key, primary_key=True),
    Column("owner", Key, primary_key=True),
    Column("effect", Text, nullable=False),
    Column("description", Text),
    Column("date_created", Moment, nullable=False),
    Column("date_modified", Moment, nullable=False),
    Column("expires", Moment, index=True),
    ForeignKeyConstraint(["organization_id", "user_id"], ["users.organization_id", "users.user_id"]),
    Index(None, "organization_id", "device_id"),
)

access_control_rules = Table(
    "access_control_rules",
    metadata,
    Column("organization_id", Key, ForeignKey("organizations.organization_id"), primary_key=True),
    Column("name", Key, primary_key=True),
    Column("effect", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("ip_ranges", Document, nullable=False),
    Column("not_ip_ranges", Document, nullable=False),
    Column("actions", Document, nullable=False),
    Column("not_actions", Document, nullable=False),
    Column("user_ids", Document, nullable=False),
    Column("not_user_ids", Document, nullable=False),
    Column("impersonation_role_ids", Document, nullable=False),
    Column("not_impersonation_role_ids", Document, nullable=False),
    Column("date_created", Moment, nullable=False),
    Column("date_modified", Moment, nullable=False),
)

impersonation_roles = Table(
    "impersonation_roles",
    metadata,
    Column("organization_id", Key, ForeignKey("organizations.organization_id"), primary_key=True),
    Column("role_id", Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("description", Text),
    Column("rules", Document, nullable=False),
    Column("date_created", Moment, nullable=False),
    Column("date_modified", Moment, nullable=False),
)

# What organizations are labelled with. Nothing decides by it, so it is not in the feed.
tags = Table(
    "tags",
    metadata,
    Column("organization_id", Key, ForeignKey("organizations.organization_id"), primary_key=True),
    Column("key", Key, primary_key=True),
    Column("value", Text, nullable=False),
)

# No foreign keys: a device is an observation, and one odd row must not cost a gateway its whole batch.
devices = Table(
    "devices",
    metadata,
    Column("organization_id", Key, primary_key=True),
    Column("user_id", Key, primary_key=True),
    Column("device_id", Key, primary_key=True),
    Column("device_type", Text, nullable=False),
    Column("http_user_agent", Text),
    Column("protocol_version", Text),
    Column("last_ip_address", Text),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False),
    Column("facts", Document, nullable=False),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("access_key_id", Key, primary_key=True),
    Column("description", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("date_created", Moment, nullable=False),
    Column("date_revoked", Moment),
    Column("sealed_secret", LargeBinary, nullable=False),
)

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("operation", Key, primary_key=True),
    Column("token", Key, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("response", Text, nullable=False),
    Column("at", Moment, nullable=False, index=True),
)

NOUN_TABLES: Mapping[Kind, Table] = {
    Kind.ORGANIZATION: organizations,
    Kind.USER: users,
    Kind.MOBILE_DEVICE_ACCESS_RULE: mobile_device_access_rules,
    Kind.MOBILE_DEVICE_ACCESS_OVERRIDE: mobile_device_access_overrides,
    Kind.ACCESS_CONTROL_RULE: access_control_rules,
    Kind.DEVICE: devices,
    Kind.GROUP: groups,
    Kind.GROUP_MEMBER: group_members,
    Kind.IMPERSONATION_ROLE: impersonation_roles,
}

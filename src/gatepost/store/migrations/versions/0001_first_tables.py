"""The first tables."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REVISION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "access_keys",
        sa.Column("access_key_id", KEY, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_revoked", MOMENT, nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name="pk_access_keys"),
    )
    op.create_table(
        "changes",
        sa.Column("revision", REVISION, autoincrement=False, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.JSON(), nullable=False),
        sa.Column("noun", sa.JSON(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_changes"),
    )
    op.create_table(
        "client_tokens",
        sa.Column("operation", KEY, nullable=False),
        sa.Column("token", KEY, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("operation", "token", name="pk_client_tokens"),
    )
    op.create_index("ix_client_tokens_at", "client_tokens", ["at"], unique=False)
    op.create_table(
        "devices",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("device_id", KEY, nullable=False),
        sa.Column("device_type", sa.Text(), nullable=False),
        sa.Column("http_user_agent", sa.Text(), nullable=True),
        sa.Column("protocol_version", sa.Text(), nullable=True),
        sa.Column("last_ip_address", sa.Text(), nullable=True),
        sa.Column("first_seen", MOMENT, nullable=False),
        sa.Column("last_seen", MOMENT, nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id", "device_id", name="pk_devices"),
    )
    op.create_table(
        "organizations",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("alias", KEY, nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("domains", sa.JSON(), nullable=False),
        sa.Column("default_domain", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_deleted", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("organization_id", name="pk_organizations"),
    )
    op.create_index(
        "ix_organizations_alias",
        "organizations",
        ["alias"],
        unique=True,
        sqlite_where=sa.text("state = 'Active'"),
        postgresql_where=sa.text("state = 'Active'"),
    )
    counter = op.create_table(
        "revision_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("value", REVISION, nullable=False),
        sa.Column("compacted", REVISION, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision_counter"),
        sa.CheckConstraint("id = 1", name=op.f("ck_revision_counter_one_row")),
    )
    op.create_table(
        "access_control_rules",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("ip_ranges", sa.JSON(), nullable=False),
        sa.Column("not_ip_ranges", sa.JSON(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("not_actions", sa.JSON(), nullable=False),
        sa.Column("user_ids", sa.JSON(), nullable=False),
        sa.Column("not_user_ids", sa.JSON(), nullable=False),
        sa.Column("impersonation_role_ids", sa.JSON(), nullable=False),
        sa.Column("not_impersonation_role_ids", sa.JSON(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_modified", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.organization_id"], name="fk_access_control_rules_organizations"
        ),
        sa.PrimaryKeyConstraint("organization_id", "name", name="pk_access_control_rules"),
    )
    op.create_table(
        "mail_domains",
        sa.Column("domain", KEY, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.organization_id"], name="fk_mail_domains_organizations"
        ),
        sa.PrimaryKeyConstraint("domain", name="pk_mail_domains"),
    )
    op.create_index("ix_mail_domains_organization_id", "mail_domains", ["organization_id"], unique=False)
    op.create_table(
        "mobile_device_access_rules",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("rule_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_modified", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.organization_id"], name="fk_mobile_device_access_rules_organizations"
        ),
        sa.PrimaryKeyConstraint("organization_id", "rule_id", name="pk_mobile_device_access_rules"),
    )
    op.create_table(
        "users",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("aliases", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_enabled", MOMENT, nullable=True),
        sa.Column("date_disabled", MOMENT, nullable=True),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.Column("display_name_key", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.organization_id"], name="fk_users_organizations"),
        sa.PrimaryKeyConstraint("organization_id", "user_id", name="pk_users"),
    )
    op.create_table(
        "logins",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("login", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "user_id"], ["users.organization_id", "users.user_id"], name="fk_logins_users"
        ),
        sa.PrimaryKeyConstraint("organization_id", "login", name="pk_logins"),
    )
    op.create_index("ix_logins_organization_id_user_id", "logins", ["organization_id", "user_id"], unique=False)
    op.create_table(
        "mobile_device_access_overrides",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("device_id", KEY, nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_modified", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["users.organization_id", "users.user_id"],
            name="fk_mobile_device_access_overrides_users",
        ),
        sa.PrimaryKeyConstraint("organization_id", "user_id", "device_id", name="pk_mobile_device_access_overrides"),
    )
    op.create_index(
        "ix_mobile_device_access_overrides_organization_id_device_id",
        "mobile_device_access_overrides",
        ["organization_id", "device_id"],
        unique=False,
    )
    op.bulk_insert(counter, [{"id": 1, "epoch": str(uuid4()), "value": 0, "compacted": 0}])

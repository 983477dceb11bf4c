"""Impersonation roles, and tags of organizations."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "impersonation_roles",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("role_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_modified", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.organization_id"], name="fk_impersonation_roles_organizations"
        ),
        sa.PrimaryKeyConstraint("organization_id", "role_id", name="pk_impersonation_roles"),
    )
    op.create_table(
        "tags",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.organization_id"], name="fk_tags_organizations"),
        sa.PrimaryKeyConstraint("organization_id", "key", name="pk_tags"),
    )

"""Groups and their members; and the logins of deleted users, looked up by index instead of by reading all of them."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "groups",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("group_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("aliases", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("hidden_from_global_address_list", sa.Boolean(), nullable=False),
        sa.Column("date_created", MOMENT, nullable=False),
        sa.Column("date_enabled", MOMENT, nullable=True),
        sa.Column("date_disabled", MOMENT, nullable=True),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.organization_id"], name="fk_groups_organizations"),
        sa.PrimaryKeyConstraint("organization_id", "group_id", name="pk_groups"),
    )
    op.create_table(
        "group_names",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("group_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "group_id"], ["groups.organization_id", "groups.group_id"], name="fk_group_names_groups"
        ),
        sa.PrimaryKeyConstraint("organization_id", "name", name="pk_group_names"),
    )
    op.create_index(
        "ix_group_names_organization_id_group_id", "group_names", ["organization_id", "group_id"], unique=False
    )
    op.create_table(
        "group_members",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("group_id", KEY, nullable=False),
        sa.Column("member_id", KEY, nullable=False),
        sa.Column("member_type", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "group_id"],
            ["groups.organization_id", "groups.group_id"],
            name="fk_group_members_groups",
        ),
        sa.PrimaryKeyConstraint("organization_id", "group_id", "member_id", name="pk_group_members"),
    )
    op.create_index(
        "ix_group_members_organization_id_member_id_group_id",
        "group_members",
        ["organization_id", "member_id", "group_id"],
        unique=False,
    )
    deleted_logins = op.create_table(
        "deleted_logins",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("login", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "user_id"], ["users.organization_id", "users.user_id"], name="fk_deleted_logins_users"
        ),
        sa.PrimaryKeyConstraint("organization_id", "login", "user_id", name="pk_deleted_logins"),
    )
    op.create_index(
        "ix_deleted_logins_organization_id_user_id", "deleted_logins", ["organization_id", "user_id"], unique=False
    )
    for rows in _logins_of_deleted_users():
        op.bulk_insert(deleted_logins, rows)


def _logins_of_deleted_users() -> Iterator[list[dict[str, str]]]:
    columns = ("organization_id", "user_id", "name", "email", "state")
    users = sa.table("users", *[sa.column(name, sa.Text()) for name in columns], sa.column("aliases", sa.JSON()))
    found = op.get_bind().execute(sa.select(users).where(users.c.state == "DELETED"))
    for batch in found.partitions(1000):
        yield [
            {"organization_id": user.organization_id, "login": login, "user_id": user.user_id}
            for user in batch
            for login in {name.strip().lower() for name in (user.name, user.email, *user.aliases) if name}
        ]

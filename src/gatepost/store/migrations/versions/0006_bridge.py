"""The bridge: what MDMs sent, devices to look at, what is known of them, and what was written for them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "mdm_notifications",
        sa.Column("source", KEY, nullable=False),
        sa.Column("notification_id", KEY, nullable=False),
        sa.Column("device_key", KEY, nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "notification_id", name="pk_mdm_notifications"),
    )
    op.create_index("ix_mdm_notifications_source_received_at", "mdm_notifications", ["source", "received_at"])
    op.create_table(
        "mdm_work",
        sa.Column("source", KEY, nullable=False),
        sa.Column("device_key", KEY, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("due", MOMENT, nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("parked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("source", "device_key", name="pk_mdm_work"),
    )
    op.create_index("ix_mdm_work_urgent_due", "mdm_work", ["urgent", "due"])
    op.create_table(
        "mdm_devices",
        sa.Column("source", KEY, nullable=False),
        sa.Column("device_key", KEY, nullable=False),
        sa.Column("managed", sa.Text(), nullable=False),
        sa.Column("compliance", sa.Text(), nullable=False),
        sa.Column("compromised", sa.Boolean(), nullable=True),
        sa.Column("user_addresses", sa.JSON(), nullable=False),
        sa.Column("device_ids", sa.JSON(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("imei", sa.Text(), nullable=True),
        sa.Column("friendly_name", sa.Text(), nullable=True),
        sa.Column("state_time", MOMENT, nullable=True),
        sa.Column("observed_at", MOMENT, nullable=False),
        sa.Column("grace_until", MOMENT, nullable=True),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("pending_since", MOMENT, nullable=True),
        sa.Column("compliant_since", MOMENT, nullable=True),
        sa.Column("without_ids_since", MOMENT, nullable=True),
        sa.Column("missing_since", MOMENT, nullable=True),
        sa.Column("first_seen", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("source", "device_key", name="pk_mdm_devices"),
    )
    op.create_index("ix_mdm_devices_serial", "mdm_devices", ["serial"])
    op.create_index("ix_mdm_devices_imei", "mdm_devices", ["imei"])
    op.create_table(
        "mdm_bindings",
        sa.Column("source", KEY, nullable=False),
        sa.Column("device_key", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("value", KEY, nullable=False),
        sa.Column("first_seen", MOMENT, nullable=False),
        sa.Column("last_seen", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("source", "device_key", "kind", "value", name="pk_mdm_bindings"),
    )
    op.create_index("ix_mdm_bindings_kind_value", "mdm_bindings", ["kind", "value"])
    op.create_table(
        "mdm_applied",
        sa.Column("target", KEY, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("device_id", KEY, nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("expires", MOMENT, nullable=True),
        sa.Column("source", KEY, nullable=False),
        sa.Column("device_key", KEY, nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.Column("theirs_since", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("target", "organization_id", "user_id", "device_id", name="pk_mdm_applied"),
    )
    op.create_index("ix_mdm_applied_source_device_key", "mdm_applied", ["source", "device_key"])
    op.create_table(
        "mdm_sources",
        sa.Column("source", KEY, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("sweep_started_at", MOMENT, nullable=True),
        sa.Column("sweep_finished_at", MOMENT, nullable=True),
        sa.Column("sweep_position", sa.Text(), nullable=True),
        sa.Column("listed", sa.Integer(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("closed_until", MOMENT, nullable=True),
        sa.Column("quota_remaining", COUNT, nullable=True),
        sa.Column("quota_reset_at", MOMENT, nullable=True),
        sa.Column("guard", sa.Text(), nullable=True),
        sa.Column("guard_since", MOMENT, nullable=True),
        sa.Column("guard_confirmed_at", MOMENT, nullable=True),
        sa.Column("alive_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("source", name="pk_mdm_sources"),
    )

"""The mass-change guard counts, and drift is remembered, for all bridges together; when devices were enrolled, and left."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "mdm_looks",
        sa.Column("source", KEY, nullable=False),
        sa.Column("device_key", KEY, nullable=False),
        sa.Column("turned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("source", "device_key", name="pk_mdm_looks"),
    )
    op.add_column("mdm_applied", sa.Column("doubtful_since", MOMENT, nullable=True))
    op.add_column("mdm_sources", sa.Column("sweep_settled_at", MOMENT, nullable=True))
    op.add_column("mdm_sources", sa.Column("sweep_allowed", sa.Integer(), nullable=True))
    op.add_column("mdm_devices", sa.Column("other_key", KEY, nullable=True))
    op.add_column("mdm_devices", sa.Column("managed_since", MOMENT, nullable=True))
    op.add_column("mdm_devices", sa.Column("left_since", MOMENT, nullable=True))
    op.create_index("ix_mdm_devices_source_other_key", "mdm_devices", ["source", "other_key"])

"""Access keys have a role; those that were there could do everything, and go on so."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Whoever writes a key says its role: the default is for the rows that are there, and goes.
    op.add_column("access_keys", sa.Column("role", sa.Text(), nullable=False, server_default="admin"))
    with op.batch_alter_table("access_keys") as access_keys:
        access_keys.alter_column("role", server_default=None)

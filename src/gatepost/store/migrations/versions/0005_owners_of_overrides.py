"""Overrides have an owner, a person or the MDM bridge, and may expire; those that were there are people's and do not.

The feed would hold them in the form they had: it is compacted, and gateways load everything again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
TABLE = "mobile_device_access_overrides"


def upgrade() -> None:
    with op.batch_alter_table(TABLE) as overrides:
        overrides.add_column(sa.Column("owner", KEY, nullable=False, server_default="person"))
        overrides.add_column(sa.Column("expires", MOMENT, nullable=True))
        overrides.drop_constraint(f"pk_{TABLE}", type_="primary")
        overrides.create_primary_key(f"pk_{TABLE}", ["organization_id", "user_id", "device_id", "owner"])
    with op.batch_alter_table(TABLE) as overrides:
        overrides.alter_column("owner", server_default=None)
    op.create_index(f"ix_{TABLE}_expires", TABLE, ["expires"], unique=False)
    op.execute("DELETE FROM changes")
    op.execute("UPDATE revision_counter SET compacted = value")

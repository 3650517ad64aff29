"""A case that is not open yet may wait with several classifications: the model's, then an officer's."""

from alembic import op

revision = "dispatcher_0002"
down_revision = "dispatcher_0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE pending_inputs DROP CONSTRAINT pending_inputs_pkey, ADD PRIMARY KEY (event_id)",
    "CREATE INDEX pending_inputs_of ON pending_inputs (complaint_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

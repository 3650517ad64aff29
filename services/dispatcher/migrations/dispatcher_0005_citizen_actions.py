"""Citizens' actions: they may come before their case is open; what citizens wrote goes to whoever gets the case."""

from alembic import op

revision = "dispatcher_0005"
down_revision = "dispatcher_0004_administrations"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE pending_inputs RENAME COLUMN classified TO data",
    "ALTER TABLE pending_inputs ADD COLUMN type text NOT NULL DEFAULT 'ma.chikaya.complaint.classified.v1'",
    "ALTER TABLE pending_inputs ALTER COLUMN type DROP DEFAULT",
    """
    CREATE TABLE messages (
        action_id uuid PRIMARY KEY,
        complaint_id uuid NOT NULL,
        acted_at timestamptz NOT NULL,
        notice text NOT NULL,
        personal jsonb NOT NULL
    )
    """,
    "CREATE INDEX messages_of ON messages (complaint_id, acted_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

"""Contacts and messages: one row per (event, channel)."""

from alembic import op

revision = "notifier_0001"
down_revision = None
branch_labels = ("notifier",)
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE contacts (
        complaint_id uuid PRIMARY KEY,
        preferred text NOT NULL,
        language text NOT NULL,
        address text,
        reference text NOT NULL
    )
    """,
    """
    CREATE TABLE messages (
        event_id uuid PRIMARY KEY,
        complaint_id uuid NOT NULL,
        template text NOT NULL,
        happened_at timestamptz NOT NULL,
        state text NOT NULL DEFAULT $$waiting$$
    )
    """,
    "CREATE INDEX messages_waiting ON messages (complaint_id) WHERE state = $$waiting$$",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

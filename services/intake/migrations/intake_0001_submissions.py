"""Submissions: one row per accepted complaint, unique by idempotency key and by reference."""

from alembic import op

revision = "intake_0001"
down_revision = None
branch_labels = ("intake",)
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE submissions (
        complaint_id uuid PRIMARY KEY,
        key uuid NOT NULL UNIQUE,
        digest bytea,
        reference text NOT NULL UNIQUE,
        received_at timestamptz NOT NULL,
        access_code_key text NOT NULL,
        access_code_issue int NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

"""What citizens did with their complaints: one row per accepted action, whose id is made from its idempotency key."""

from alembic import op

revision = "intake_0002"
down_revision = "intake_0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE actions (
        action_id uuid PRIMARY KEY,
        complaint_id uuid NOT NULL,
        digest bytea NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

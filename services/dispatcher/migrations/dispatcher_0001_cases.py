"""Cases with their whole state, administrations, inputs that came early, and messages of administrations."""

from alembic import op

revision = "dispatcher_0001"
down_revision = None
branch_labels = ("dispatcher",)
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE administrations (
        code text PRIMARY KEY,
        parent text NOT NULL REFERENCES administrations DEFERRABLE INITIALLY DEFERRED,
        onboarded boolean NOT NULL
    )
    """,
    """
    CREATE TABLE cases (
        complaint_id uuid PRIMARY KEY,
        version int NOT NULL,
        state jsonb NOT NULL,
        submitted jsonb
    )
    """,
    """
    CREATE TABLE assignments (
        assignment_id uuid PRIMARY KEY,
        complaint_id uuid NOT NULL,
        administration text NOT NULL
    )
    """,
    """
    CREATE TABLE pending_inputs (
        complaint_id uuid PRIMARY KEY,
        event_id uuid NOT NULL,
        happened_at timestamptz NOT NULL,
        classified jsonb NOT NULL
    )
    """,
    """
    CREATE TABLE administration_messages (
        administration text NOT NULL,
        external_id text NOT NULL,
        event_id uuid NOT NULL,
        PRIMARY KEY (administration, external_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

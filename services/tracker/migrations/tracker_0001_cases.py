"""The read model: one row per complaint and its timeline."""

from alembic import op

revision = "tracker_0001"
down_revision = None
branch_labels = ("tracker",)
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE complaints (
        complaint_id uuid PRIMARY KEY,
        reference text UNIQUE,
        received_at timestamptz,
        channel text,
        access_code_key text,
        access_code_issue int,
        version int NOT NULL DEFAULT 0,
        status text,
        administration text,
        on_behalf_of text,
        since timestamptz,
        forward_by timestamptz,
        answer_by timestamptz,
        answer text,
        kind text,
        nature text
    )
    """,
    "CREATE INDEX complaints_newest ON complaints (received_at DESC, complaint_id DESC)",
    "CREATE INDEX complaints_by_status ON complaints (status, received_at DESC, complaint_id DESC)",
    """
    CREATE TABLE timeline (
        complaint_id uuid NOT NULL,
        event_id uuid NOT NULL,
        happened_at timestamptz NOT NULL,
        version int,
        change text NOT NULL,
        administration text,
        PRIMARY KEY (complaint_id, event_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

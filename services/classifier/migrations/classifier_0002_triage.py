"""The triage desk: complaints that wait for a person, and what people decided, which is training data."""

from alembic import op

revision = "classifier_0002"
down_revision = "classifier_0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE classifications
        ADD COLUMN decided_by text NOT NULL DEFAULT 'model', ADD COLUMN round int NOT NULL DEFAULT 0
    """,
    """
    CREATE TABLE triage_items (
        complaint_id uuid PRIMARY KEY,
        round int NOT NULL,
        reference text NOT NULL,
        received_at timestamptz NOT NULL,
        subject text NOT NULL,
        text text NOT NULL,
        kind text NOT NULL,
        nature text NOT NULL,
        language text,
        candidates jsonb NOT NULL,
        evidence text[] NOT NULL,
        reason text NOT NULL,
        model_version text NOT NULL,
        claimed_by text,
        claimed_until timestamptz,
        decision jsonb,
        publish_at timestamptz,
        published_at timestamptz
    )
    """,
    """
    CREATE INDEX triage_items_waiting ON triage_items (received_at, complaint_id)
    WHERE published_at IS NULL AND decision IS NULL
    """,
    "CREATE INDEX triage_items_due ON triage_items (publish_at) WHERE decision IS NOT NULL AND published_at IS NULL",
    """
    CREATE TABLE corrections (
        complaint_id uuid NOT NULL,
        round int NOT NULL,
        text text NOT NULL,
        language text,
        administration text,
        nature text NOT NULL,
        kind text NOT NULL,
        decision text NOT NULL,
        suggested text,
        model_version text NOT NULL,
        decided_by text NOT NULL,
        decided_at timestamptz NOT NULL,
        PRIMARY KEY (complaint_id, round)
    )
    """,
    """
    CREATE TABLE refusals (
        complaint_id uuid NOT NULL,
        round int NOT NULL,
        administration text NOT NULL,
        reason text NOT NULL,
        PRIMARY KEY (complaint_id, round)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

"""The registry of administrations with the state of each, and the queues of their assignments."""

from alembic import op

revision = "dispatcher_0004_administrations"
down_revision = "dispatcher_0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE administrations
        ADD COLUMN kind text NOT NULL DEFAULT '',
        ADD COLUMN name_fr text NOT NULL DEFAULT '',
        ADD COLUMN name_ar text NOT NULL DEFAULT '',
        ADD COLUMN terms text[] NOT NULL DEFAULT '{}',
        ADD COLUMN announced text NOT NULL DEFAULT 'planned',
        ADD COLUMN state text NOT NULL DEFAULT 'listed' CHECK (state IN
            ('listed', 'requested', 'provisioned', 'releasing', 'ready', 'offboarding', 'offboarded')),
        ADD COLUMN state_since timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN generation int NOT NULL DEFAULT 0,
        ADD COLUMN generation_in_place int NOT NULL DEFAULT 0,
        ADD COLUMN token_hash bytea
    """,
    "UPDATE administrations SET state = 'ready' WHERE onboarded",
    "ALTER TABLE administrations DROP COLUMN onboarded",
    """
    CREATE INDEX administrations_under_way ON administrations (code)
    WHERE state NOT IN ('listed', 'ready') OR generation_in_place < generation
    """,
    "ALTER TABLE assignments ADD COLUMN status text NOT NULL DEFAULT '', ADD COLUMN received_at timestamptz",
    """
    UPDATE assignments
    SET status = a.assignment ->> 'status', received_at = (cases.state ->> 'received_at')::timestamptz
    FROM cases, jsonb_array_elements(cases.state -> 'assignments') AS a (assignment)
    WHERE assignments.assignment_id = (a.assignment ->> 'assignment_id')::uuid
    """,
    """
    CREATE INDEX assignments_queue ON assignments (administration, status, received_at, assignment_id)
    WHERE status NOT IN ('', 'answered')
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

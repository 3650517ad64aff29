"""When the next timer of each case is due."""

from alembic import op

revision = "dispatcher_0003"
down_revision = "dispatcher_0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE cases ADD COLUMN next_due timestamptz",
    "CREATE INDEX cases_due ON cases (next_due) WHERE next_due IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

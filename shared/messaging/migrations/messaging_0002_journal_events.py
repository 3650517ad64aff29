"""Events are known by their own ids; held records wait in line behind a key of their own."""

from alembic import op

revision = "messaging_0002"
down_revision = "messaging_0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE TABLE journal_events (event_id uuid PRIMARY KEY)",
    "INSERT INTO journal_events SELECT DISTINCT event_id FROM outbox WHERE event_id IS NOT NULL",
    "DROP TABLE causations",
    "ALTER TABLE unhandled_records ADD COLUMN line bytea NOT NULL DEFAULT ''",
    "DROP INDEX unhandled_records_held",
    "CREATE INDEX unhandled_records_line ON unhandled_records (consumer, line, id) WHERE state <> 'dead'",
    "CREATE INDEX unhandled_records_due ON unhandled_records (consumer, retry_at) WHERE state = 'held'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

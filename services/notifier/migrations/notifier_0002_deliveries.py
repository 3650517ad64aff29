"""Deliveries: one row per (event, recipient, channel), with what the provider said; contacts with every way given."""

from alembic import op

revision = "notifier_0002"
down_revision = "notifier_0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE contacts
        ALTER COLUMN language DROP NOT NULL,
        ALTER COLUMN reference DROP NOT NULL,
        ADD COLUMN since timestamptz NOT NULL DEFAULT '-infinity',
        ADD COLUMN phone text,
        ADD COLUMN email text,
        ADD COLUMN access_code_key text,
        ADD COLUMN access_code_issue int
    """,
    "UPDATE contacts SET phone = address WHERE preferred = 'sms'",
    "UPDATE contacts SET email = address WHERE preferred = 'email'",
    "ALTER TABLE contacts DROP COLUMN address",
    """
    ALTER TABLE messages
        ADD COLUMN recipient text NOT NULL DEFAULT 'citizen',
        ADD COLUMN ways text[] NOT NULL DEFAULT '{sms,email}',
        ADD COLUMN facts jsonb,
        DROP CONSTRAINT messages_pkey,
        ADD PRIMARY KEY (event_id, recipient)
    """,
    "ALTER TABLE messages ALTER COLUMN recipient DROP DEFAULT, ALTER COLUMN ways DROP DEFAULT",
    "CREATE INDEX messages_of_complaint ON messages (complaint_id)",
    """
    CREATE TABLE deliveries (
        delivery_id uuid PRIMARY KEY,
        event_id uuid NOT NULL,
        recipient text NOT NULL,
        channel text NOT NULL,
        complaint_id uuid NOT NULL,
        state text NOT NULL CHECK (state IN ('due', 'sent', 'delivered', 'failed', 'parked')),
        since timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        claim int NOT NULL DEFAULT 0,
        attempts int NOT NULL DEFAULT 0,
        last_error text,
        changed_at timestamptz NOT NULL,
        UNIQUE (event_id, recipient, channel)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX deliveries_due ON deliveries (channel, due_at) WHERE state = 'due'",
    "CREATE INDEX deliveries_of_complaint ON deliveries (complaint_id)",
    "CREATE INDEX deliveries_listed ON deliveries (state, since, delivery_id)",
    """
    CREATE TABLE parts (
        delivery_id uuid NOT NULL,
        part int NOT NULL,
        provider_id text NOT NULL,
        PRIMARY KEY (delivery_id, part)
    )
    """,
    "CREATE INDEX parts_by_provider_id ON parts (provider_id)",
    """
    CREATE TABLE receipts (
        provider_id text PRIMARY KEY,
        delivered boolean NOT NULL,
        at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

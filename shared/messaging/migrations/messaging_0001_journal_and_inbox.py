"""The outbox (journal), causes, relay and inbox positions, unhandled records and the store's identity."""

from alembic import op

revision = "messaging_0001"
down_revision = None
branch_labels = ("messaging",)
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
        topic text NOT NULL,
        partition int NOT NULL,
        key bytea NOT NULL,
        event_id uuid,
        headers text NOT NULL,
        value bytea NOT NULL,
        appended_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (id)
    ) PARTITION BY RANGE (id)
    """,
    "CREATE INDEX outbox_lane ON outbox (topic, partition, id)",
    """
    CREATE FUNCTION outbox_ensure_partitions(upto bigint) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        width CONSTANT bigint := 10000000;
        number bigint;
    BEGIN
        -- one partition more than needed: an append never meets a missing one
        FOR number IN greatest(upto / width - 1, 0) .. upto / width + 1 LOOP
            IF to_regclass('outbox_' || number) IS NULL THEN
                EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF outbox FOR VALUES FROM (%s) TO (%s)',
                               'outbox_' || number, number * width, (number + 1) * width);
            END IF;
        END LOOP;
    END $$
    """,
    "SELECT outbox_ensure_partitions(0)",
    "CREATE TABLE causations (causation_id uuid PRIMARY KEY)",
    """
    CREATE TABLE relay_positions (
        topic text NOT NULL,
        partition int NOT NULL,
        position bigint NOT NULL DEFAULT 0,
        kafka_offset bigint NOT NULL DEFAULT -1,
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE inbox_positions (
        consumer text NOT NULL,
        topic text NOT NULL,
        partition int NOT NULL,
        next_offset bigint NOT NULL,
        last_sequence bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (consumer, topic, partition)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE unhandled_records (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        consumer text NOT NULL,
        state text NOT NULL CHECK (state IN ('dead', 'held', 'waiting')),
        topic text NOT NULL,
        partition int NOT NULL,
        kafka_offset bigint NOT NULL,
        key bytea,
        headers text NOT NULL,
        value bytea,
        reason text NOT NULL,
        attempts int NOT NULL DEFAULT 1,
        retry_at timestamptz,
        recorded_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX unhandled_records_held ON unhandled_records (consumer, key, id) WHERE state <> 'dead'",
    """
    CREATE TABLE store_identity (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        system_identifier bigint NOT NULL,
        timeline int NOT NULL,
        cluster_id text NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

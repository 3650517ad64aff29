"""The read model for every question: the complaints anew, their words, statistics, live changes; what staff leave.

The tables of before lack what events said about territory, language and more, so they are dropped and the reader
begins again at the start of its topics.
"""

from alembic import op

revision = "tracker_0002"
down_revision = "tracker_0001"
branch_labels = None
depends_on = None

_UNANSWERED = "answered_at IS NULL AND status NOT IN ('inadmissible', 'withdrawn', 'closed')"
_UNFORWARDED = "forwarded_at IS NULL AND status NOT IN ('inadmissible', 'withdrawn', 'closed')"

_FORGET = """
DO $$ BEGIN
    IF to_regclass('inbox_positions') IS NOT NULL THEN
        DELETE FROM inbox_positions WHERE consumer = 'tracker';
        DELETE FROM unhandled_records WHERE consumer = 'tracker';
    END IF;
END $$
"""

STATEMENTS = (
    "DROP TABLE complaints, timeline",
    _FORGET,
    """
    CREATE TABLE complaints (
        complaint_id uuid PRIMARY KEY,
        reference text UNIQUE,
        received_at timestamptz,
        kind text,
        channel text,
        language text,
        region text,
        province text,
        commune text,
        access_code_key text,
        access_code_issue int,
        version int NOT NULL,
        status text,
        since timestamptz,
        administration text,
        on_behalf_of text,
        held_since timestamptz,
        forward_by timestamptz,
        answer_by timestamptz,
        nature text,
        hops int NOT NULL,
        answer text,
        forwarded_at timestamptz,
        answered_at timestamptz,
        reopened_at timestamptz,
        reopened_answer_by timestamptz,
        question text
    ) WITH (fillfactor = 85)
    """,
    "CREATE INDEX complaints_newest ON complaints (received_at DESC, complaint_id DESC)",
    "CREATE INDEX complaints_by_status ON complaints (status, received_at DESC, complaint_id DESC)",
    "CREATE INDEX complaints_by_administration ON complaints (administration, received_at DESC, complaint_id DESC)",
    "CREATE INDEX complaints_by_province ON complaints (province, received_at DESC, complaint_id DESC)",
    "CREATE INDEX complaints_by_commune ON complaints (commune, received_at DESC, complaint_id DESC)",
    "CREATE INDEX complaints_misrouted ON complaints (received_at DESC, complaint_id DESC) WHERE hops >= 2",
    f"CREATE INDEX complaints_unanswered ON complaints (answer_by, complaint_id) WHERE {_UNANSWERED}",
    f"CREATE INDEX complaints_held ON complaints (administration, answer_by, complaint_id) WHERE {_UNANSWERED}",
    f"CREATE INDEX complaints_unforwarded ON complaints (forward_by, complaint_id) WHERE {_UNFORWARDED}",
    "CREATE INDEX complaints_gap ON complaints (received_at) WHERE status IS NULL OR access_code_key IS NULL",
    """
    CREATE TABLE timeline (
        complaint_id uuid NOT NULL,
        event_id uuid NOT NULL,
        happened_at timestamptz NOT NULL,
        version int,
        change text NOT NULL,
        status text,
        administration text,
        on_behalf_of text,
        forward_by timestamptz,
        answer_by timestamptz,
        hops int,
        details text,
        PRIMARY KEY (complaint_id, event_id)
    )
    """,
    """
    CREATE TABLE complaint_words (
        complaint_id uuid PRIMARY KEY,
        received_at timestamptz NOT NULL,
        words tsvector NOT NULL
    )
    """,
    "CREATE INDEX complaint_words_newest ON complaint_words (received_at DESC, complaint_id DESC)",
    "CREATE INDEX complaint_words_words ON complaint_words USING gin (words)",
    """
    CREATE TABLE weekly_statistics (
        dimension text NOT NULL,
        value text NOT NULL,
        week date NOT NULL,
        received bigint NOT NULL,
        forwarded bigint NOT NULL,
        forwarded_on_time bigint NOT NULL,
        answered bigint NOT NULL,
        answered_on_time bigint NOT NULL,
        inadmissible bigint NOT NULL,
        misrouted bigint NOT NULL,
        hops bigint NOT NULL,
        reopened bigint NOT NULL,
        PRIMARY KEY (dimension, value, week)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE waiting_statistics (
        dimension text NOT NULL,
        value text NOT NULL,
        measure text NOT NULL,
        received_on date NOT NULL,
        due_on date NOT NULL,
        number bigint NOT NULL,
        PRIMARY KEY (dimension, value, measure, received_on, due_on)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE duration_statistics (
        dimension text NOT NULL,
        value text NOT NULL,
        week date NOT NULL,
        measure text NOT NULL,
        days int NOT NULL,
        number bigint NOT NULL,
        PRIMARY KEY (dimension, value, measure, week, days)
    ) WITH (fillfactor = 50)
    """,
    "CREATE TABLE state_statistics (status text PRIMARY KEY, number bigint NOT NULL) WITH (fillfactor = 50)",
    """
    CREATE TABLE live_changes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        happened_at timestamptz NOT NULL,
        complaint_id uuid NOT NULL,
        version int NOT NULL,
        change text NOT NULL,
        status text NOT NULL,
        administration text
    )
    """,
    "CREATE INDEX live_changes_order ON live_changes (transaction, id)",
    """
    CREATE TABLE saved_views (
        owner text NOT NULL,
        name text NOT NULL,
        filter jsonb NOT NULL,
        PRIMARY KEY (owner, name)
    )
    """,
    """
    CREATE TABLE staff_reads (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        read_at timestamptz NOT NULL,
        reader text NOT NULL,
        action text NOT NULL,
        complaint_id uuid,
        asked text
    )
    """,
    "CREATE INDEX staff_reads_of ON staff_reads (complaint_id, id)",
    "CREATE UNLOGGED TABLE access_failures (key text PRIMARY KEY, spent_until timestamptz NOT NULL)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

"""Uploads under way with their parts, and what is attached to complaints by content hash."""

from alembic import op

revision = "intake_0004"
down_revision = "intake_0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE uploads (
        upload_id uuid PRIMARY KEY,
        client_id text NOT NULL,
        length bigint NOT NULL,
        received bigint NOT NULL,
        expires_at timestamptz NOT NULL,
        sha256 text,
        media_type text,
        size bigint,
        scanned bool
    )
    """,
    "CREATE INDEX uploads_expires_at ON uploads (expires_at)",
    "CREATE INDEX uploads_sha256 ON uploads (sha256) WHERE sha256 IS NOT NULL",
    """
    CREATE TABLE upload_parts (
        upload_id uuid NOT NULL REFERENCES uploads ON DELETE CASCADE,
        start bigint NOT NULL,
        content bytea NOT NULL,
        PRIMARY KEY (upload_id, start)
    )
    """,
    """
    CREATE TABLE attachments (
        complaint_id uuid NOT NULL,
        sha256 text NOT NULL,
        media_type text NOT NULL,
        size bigint NOT NULL,
        scanned bool NOT NULL,
        PRIMARY KEY (complaint_id, sha256)
    )
    """,
    "CREATE INDEX attachments_sha256 ON attachments (sha256)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

"""Channel frontends with an API key; only the SHA-256 of the key is kept."""

from alembic import op

revision = "intake_0003"
down_revision = "intake_0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE clients (
        client_id text PRIMARY KEY,
        key_digest bytea NOT NULL UNIQUE,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        revoked_at timestamptz
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

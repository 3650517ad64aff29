"""Classifications: one row per complaint."""

from alembic import op

revision = "classifier_0001"
down_revision = None
branch_labels = ("classifier",)
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE classifications (
        complaint_id uuid PRIMARY KEY,
        decision text NOT NULL,
        administration text,
        confidence double precision NOT NULL,
        model_version text NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

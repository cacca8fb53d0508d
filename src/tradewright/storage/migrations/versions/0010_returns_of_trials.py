"""Whether returns are needed by a trial is asked of each when an organization is deleted."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index(op.f("ix_trials_returns_hash"), "trials", ["returns_hash"])
    op.create_index(op.f("ix_trials_same_as"), "trials", ["same_as"])

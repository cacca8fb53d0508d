"""How often a job was begun, and whose turn it is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    op.drop_index(op.f("ix_jobs_status_created_at"), table_name="jobs")
    op.create_index(
        op.f("ix_jobs_status_kind_organization_created_at_id"),
        "jobs",
        ["status", "kind", "organization", "created_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_jobs_organization_started_at"), "jobs", ["organization", "started_at"], unique=False)

"""Back-fills and how far they came, credentials of sources, and whether sources answer."""

import sqlalchemy as sa
from alembic import op

from tradewright.storage.types import Json, Time

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "ingestions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("request", Json(), nullable=False),
        sa.Column("marks", Json(), nullable=False),
        sa.Column("report", Json(), nullable=True),
        sa.Column("created_at", Time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingestions")),
    )
    op.create_index(
        op.f("ix_ingestions_organization_environment_id"), "ingestions", ["organization", "environment", "id"]
    )
    op.create_index(op.f("ix_ingestions_job"), "ingestions", ["job"])
    op.create_table(
        "source_credentials",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_credentials")),
    )
    op.create_index(
        op.f("ix_source_credentials_organization_source"),
        "source_credentials",
        ["organization", "source"],
        unique=True,
    )
    op.create_table(
        "source_health",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("since", Time(), nullable=False),
        sa.Column("asked_at", Time(), nullable=False),
        sa.Column("answered_at", Time(), nullable=True),
        sa.PrimaryKeyConstraint("owner", "source", name=op.f("pk_source_health")),
    )

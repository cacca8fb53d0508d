"""Schedules of ingestions, and the lanes that jobs take one after the other."""

import sqlalchemy as sa
from alembic import op

from tradewright.storage.types import Json, Time

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "ingestion_schedules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("instruments", Json(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("every", sa.Text(), nullable=False),
        sa.Column("next_at", Time(), nullable=True),
        sa.Column("ingestion", sa.Text(), nullable=True),
        sa.Column("turn_at", Time(), nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", Time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingestion_schedules")),
    )
    op.create_index(
        op.f("ix_ingestion_schedules_organization_environment_id"),
        "ingestion_schedules",
        ["organization", "environment", "id"],
    )
    op.create_index(op.f("ix_ingestion_schedules_next_at"), "ingestion_schedules", ["next_at"])
    op.create_index(op.f("ix_ingestion_schedules_ingestion"), "ingestion_schedules", ["ingestion"])
    op.add_column("ingestions", sa.Column("schedule", sa.Text(), nullable=True))
    op.create_index(op.f("ix_ingestions_created_at"), "ingestions", ["created_at"])
    op.create_index(op.f("ix_ingestions_schedule_id"), "ingestions", ["schedule", "id"])
    op.add_column("jobs", sa.Column("lane", sa.Text(), nullable=True))

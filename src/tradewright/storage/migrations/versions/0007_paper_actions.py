"""Splits and dividends in the books of the paper broker."""

import sqlalchemy as sa
from alembic import op

from tradewright.storage.types import Money, Time

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "paper_actions",
        sa.Column("broker_account", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("units", Money(), nullable=False),
        sa.Column("cash", Money(), nullable=False),
        sa.Column("time", Time(), nullable=False),
        sa.PrimaryKeyConstraint("broker_account", "key", name=op.f("pk_paper_actions")),
    )

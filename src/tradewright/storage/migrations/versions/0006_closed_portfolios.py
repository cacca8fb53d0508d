"""Portfolios that were closed."""

import sqlalchemy as sa
from alembic import op

from tradewright.storage.types import Time

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("portfolios", sa.Column("status", sa.Text(), server_default="open", nullable=False))
    op.add_column("portfolios", sa.Column("closed_at", Time(), nullable=True))
    op.create_index(
        op.f("ix_portfolios_organization_environment_status_id"),
        "portfolios",
        ["organization", "environment", "status", "id"],
    )
    op.drop_index(op.f("ix_portfolios_organization_environment_id"), table_name="portfolios")

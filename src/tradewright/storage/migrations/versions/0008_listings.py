"""What sources state of the instruments that they list."""

import sqlalchemy as sa
from alembic import op

from tradewright.storage.types import Money

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for name in ("tick", "lot", "minimum_notional"):
        op.add_column("instrument_aliases", sa.Column(name, Money(), nullable=True))
    op.create_index(op.f("ix_instrument_aliases_instrument"), "instrument_aliases", ["instrument"])

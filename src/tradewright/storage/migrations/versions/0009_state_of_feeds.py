"""What is wrong with a feed, how many of its bars came too late, and that all but the newest have ended."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("feed_sessions", sa.Column("reason", sa.Text(), nullable=True))
    op.execute(
        "UPDATE feed_sessions SET status = 'ended' WHERE EXISTS (SELECT 1 FROM feed_sessions AS later WHERE later.id > "
        "feed_sessions.id AND later.organization = feed_sessions.organization AND later.environment = "
        "feed_sessions.environment)"
    )
    op.add_column("feed_sessions", sa.Column("late_bars", sa.BigInteger(), server_default="0", nullable=False))

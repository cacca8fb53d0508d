"""Committed events get their numbers, gapless for each organization and environment."""

from __future__ import annotations

from tradewright.storage import outbox
from tradewright.storage.database import Database

PAUSE_S = 0.1
"""Between two rounds: so long an event waits for its number at the most."""


def number_events(database: Database) -> None:
    """Number every event that waits. Where several processes do, one has the turn. Raises StorageFailed."""
    while database.read(outbox.waiting) and database.write(outbox.sequence):
        continue

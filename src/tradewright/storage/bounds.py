"""How much of something an organization has, counted so that the bound on it holds whoever adds at once."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import metadata, organizations


def held(tx: Tx, what: Literal["portfolios", "broker_accounts"], organization: str) -> int:
    """Return how many there are in all environments; no other transaction that asks goes on until this one ends."""
    tx.execute(sa.select(organizations.c.id).where(organizations.c.id == organization).with_for_update())
    table = metadata.tables[what]
    query = sa.select(sa.func.count()).select_from(table).where(table.c.organization == organization)
    return int(tx.execute(query).scalar_one())

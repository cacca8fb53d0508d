"""How much of something an organization has, counted so that the bound on it holds whoever adds at once."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa

from tradewright.ids import ENVIRONMENTS
from tradewright.storage.database import Tx
from tradewright.storage.tables import jobs, metadata, organizations


def held(tx: Tx, what: Literal["portfolios", "broker_accounts", "ingestion_schedules"], organization: str) -> int:
    """Return how many there are in all environments, closed portfolios left out; no other transaction that asks goes on
    until this one ends."""
    _one_at_a_time(tx, organization)
    table = metadata.tables[what]
    query = sa.select(sa.func.count()).select_from(table).where(table.c.organization == organization)
    if what == "portfolios":
        query = query.where(table.c.environment.in_(ENVIRONMENTS), table.c.status == "open")  # as the index has it
    return int(tx.execute(query).scalar_one())


def unfinished(tx: Tx, kind: str, organization: str) -> int:
    """Return how many jobs of a kind wait or run in all environments; the rest is as in `held`."""
    _one_at_a_time(tx, organization)
    open_ones = sa.and_(jobs.c.status.in_(("queued", "running")), jobs.c.organization == organization)
    query = sa.select(sa.func.count()).select_from(jobs).where(open_ones, jobs.c.kind == kind)
    return int(tx.execute(query).scalar_one())


def _one_at_a_time(tx: Tx, organization: str) -> None:
    tx.execute(sa.select(organizations.c.id).where(organizations.c.id == organization).with_for_update(key_share=True))

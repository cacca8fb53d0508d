"""What the second migration adds up once: the balances of ledgers and the scoreboard, which later writes keep."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal, localcontext
from typing import Any

import sqlalchemy as sa

from tradewright.storage.types import Money

_PLACE = ("organization", "environment", "portfolio", "account", "currency")
_BALANCES = sa.table("balances", *(sa.column(name, sa.Text) for name in _PLACE), sa.column("amount", Money))
_POSTINGS = sa.table("postings", *(sa.column(name, sa.Text) for name in _PLACE), sa.column("amount", Money))
_SCORES = """
INSERT INTO scoreboard
SELECT s.organization, s.environment, s.feed, s.status, s.model, s.horizon, count(*), count(c.signal),
    sum(CASE WHEN c.correct THEN 1 ELSE 0 END), sum(CASE WHEN c.realized_return > 0 THEN 1 ELSE 0 END),
    coalesce(sum(c.realized_return), 0.0),
    coalesce(sum((s.probability - CASE WHEN c.realized_return > 0 THEN 1.0 ELSE 0.0 END)
        * (s.probability - CASE WHEN c.realized_return > 0 THEN 1.0 ELSE 0.0 END)
        * CASE WHEN c.signal IS NULL THEN 0.0 ELSE 1.0 END), 0.0),
    min(s.bar_time), max(s.bar_time)
FROM signals s LEFT JOIN signal_scores c ON c.signal = s.id
GROUP BY s.organization, s.environment, s.feed, s.status, s.model, s.horizon
"""


def sum_up(tx: sa.Connection) -> None:
    """Fill `balances` and `scoreboard` from the rows that are there."""
    sums: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    with localcontext() as context:
        context.prec = 60
        for *place, amount in tx.execute(sa.select(*_POSTINGS.c)):
            sums[tuple(place)] += amount
    rows = [{**dict(zip(_PLACE, place, strict=True)), "amount": amount} for place, amount in sums.items()]
    if rows:
        tx.execute(_BALANCES.insert(), rows)
    tx.execute(sa.text(_SCORES))

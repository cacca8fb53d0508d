"""Ledgers: their postings, only ever added to, and what each of them adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import balances, postings
from tradewright.storage.writing import insert, put, run

_PLACE = ("organization", "environment", "portfolio", "account", "currency")


def add_postings(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store the lines of transactions and add them to the balances of their portfolios."""
    if not rows:
        return
    insert(tx, postings, rows)
    sums: dict[tuple[Any, ...], Decimal] = {}
    with localcontext() as context:
        context.prec = 60
        for row in rows:
            place = tuple(row[name] for name in _PLACE)
            sums[place] = sums.get(place, Decimal(0)) + row["amount"]
        _add(tx, {place: sums[place] for place in sorted(sums)})  # in one order: two writers never wait crosswise


def _add(tx: Tx, sums: dict[tuple[Any, ...], Decimal]) -> None:
    if tx.dialect.name == "postgresql":
        run(tx, _added(), [{**dict(zip(_PLACE, place, strict=True)), "amount": sums[place]} for place in sums])
        return
    # the embedded database holds amounts as text and has one writer at a time: added here
    known: dict[tuple[Any, ...], Decimal] = {}
    for mine in {place[:3] for place in sums}:
        known |= {(*mine, account, currency): amount for account, currency, amount in balances_of(tx, *mine)}
    new = [{**dict(zip(_PLACE, place, strict=True)), "amount": known.get(place, 0) + sums[place]} for place in sums]
    put(tx, balances, new)


@lru_cache(1)
def _added() -> Any:
    made = postgresql.insert(balances)
    total = balances.c.amount.op("+")(made.excluded.amount)  # a plain + of this column type joins texts
    return made.on_conflict_do_update(index_elements=_PLACE, set_={"amount": total})


@one_statement
def balances_of(tx: Tx, organization: str, environment: str, portfolio: str) -> list[tuple[str, str, Decimal]]:
    """Return (account, currency, amount) of a portfolio: what its postings add up to, without reading them."""
    values = {"organization": organization, "environment": environment, "portfolio": portfolio}
    return [(account, currency, amount) for account, currency, amount in _balances().tuples(tx, values)]


@lru_cache(1)
def _balances() -> Reading:
    b = balances.c
    mine = [b[name] == sa.bindparam(name) for name in ("organization", "environment", "portfolio")]
    return Reading(sa.select(b.account, b.currency, b.amount).where(*mine).order_by(b.account, b.currency))

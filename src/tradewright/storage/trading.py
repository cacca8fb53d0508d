"""Portfolios, positions, orders, fills; the lines of a ledger as pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import (
    fills,
    orders,
    portfolios,
    positions,
    postings,
)
from tradewright.storage.tenants import columns_of, first, key_of, of_id, of_tenant, page_by_id
from tradewright.storage.types import Time
from tradewright.storage.writing import change, insert, put

LIVE = ("pending", "unknown", "accepted")
_ORDER = (
    "id", "client_order_id", "portfolio", "run", "instrument", "side", "type", "units", "filled_units", "status",
    "reason", "decided_time", "created_at",
)  # fmt: skip
_FILL = ("id", "order", "portfolio", "instrument", "side", "units", "price", "fee", "time")


def add_portfolio(tx: Tx, row: dict[str, Any]) -> None:
    """Store a portfolio."""
    tx.execute(portfolios.insert().values(row))


@one_statement
def get_portfolio(
    tx: Tx, organization: str, environment: str, portfolio: str, lock: bool = False
) -> dict[str, Any] | None:
    """Return one portfolio, or None. lock: nobody changes it until the transaction ends."""
    if lock:
        mine = of_tenant(portfolios, organization, environment, portfolio)
        return first(tx, sa.select(portfolios).where(*mine).with_for_update())
    return of_id(portfolios).first(tx, {"key": portfolio, "organization": organization, "environment": environment})


def rename_portfolio(tx: Tx, organization: str, environment: str, portfolio: str, name: str) -> None:
    """Give a portfolio another name."""
    change(tx, portfolios, [(key_of(organization, environment, portfolio), {"name": name})])


def close_portfolio(tx: Tx, organization: str, environment: str, portfolio: str, now_us: int) -> None:
    """Mark a portfolio as closed; its books stay."""
    closed = {"status": "closed", "closed_at": now_us}
    change(tx, portfolios, [(key_of(organization, environment, portfolio), closed)])


@one_statement
def list_portfolios(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool = True,
    after: str | None = None,
    status: str = "open",
) -> list[dict[str, Any]]:
    """Return portfolios of a status by id after the id `after`."""
    only = [portfolios.c.status == status]
    return page_by_id(tx, portfolios, organization, environment, limit, descending, after, only)


@one_statement
def list_postings(
    tx: Tx,
    organization: str,
    environment: str,
    portfolio: str,
    limit: int | None = None,
    descending: bool = False,
    after: tuple[int, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the ledger of a portfolio by (time, id), after that pair; all of it without `limit`."""
    query = _page_by_time(postings, "time", limit is not None, descending, after is not None, True)
    return query.dicts(tx, _page_values(organization, environment, limit, after, portfolio))


def put_positions(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Set positions: each of a portfolio in an instrument."""
    put(tx, positions, list(rows))


def list_positions(tx: Tx, organization: str, environment: str, portfolio: str) -> list[dict[str, Any]]:
    """Return the positions of a portfolio by instrument, flat ones too."""
    values = {"organization": organization, "environment": environment, "portfolio": portfolio}
    return _positions().dicts(tx, values)


@lru_cache(1)
def _positions() -> Reading:
    mine = [positions.c[name] == sa.bindparam(name) for name in ("organization", "environment", "portfolio")]
    return Reading(sa.select(positions).where(*mine).order_by(positions.c.instrument))


def add_orders(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store orders; a repeated client order id is refused by the database."""
    insert(tx, orders, rows)


def update_orders(tx: Tx, organization: str, environment: str, changes: Mapping[str, dict[str, Any]]) -> None:
    """Change orders: the new values of each by its id."""
    change(tx, orders, ((key_of(organization, environment, order), values) for order, values in changes.items()))


@one_statement
def get_order(tx: Tx, organization: str, environment: str, order: str) -> tuple[Any, ...] | None:
    """Return one order as `list_orders` does, or None."""
    values = {"key": order, "organization": organization, "environment": environment}
    found = of_id(orders, _ORDER).tuples(tx, values)
    return found[0] if found else None


def live_orders(tx: Tx, organization: str, environment: str, portfolio: str) -> list[dict[str, Any]]:
    """Return the orders of a portfolio that have not ended, by time of decision, sells first, then instrument."""
    query = (
        sa.select(orders)
        .where(
            orders.c.organization == organization,
            orders.c.environment == environment,
            orders.c.portfolio == portfolio,
            orders.c.status.in_(LIVE),
        )
        .order_by(orders.c.decided_time, orders.c.side.desc(), orders.c.instrument)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


@one_statement
def list_orders(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: tuple[int, str] | None,
    portfolio: str | None = None,
) -> list[tuple[Any, ...]]:
    """Return orders by (decided time, id), after that pair.

    Each is (id, client order id, portfolio, run, instrument, side, type, units, filled units, status, reason, decided
    time, created at), units as text.
    """
    query = _page_by_time(orders, "decided_time", True, descending, after is not None, portfolio is not None, _ORDER)
    return query.tuples(tx, _page_values(organization, environment, limit, after, portfolio))


def add_fills(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store fills; a repeated broker fill id is refused by the database."""
    insert(tx, fills, rows)


@one_statement
def list_fills(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: tuple[int, str] | None,
    portfolio: str | None = None,
) -> list[tuple[Any, ...]]:
    """Return fills by (time, id), after that pair.

    Each is (id, order, portfolio, instrument, side, units, price, fee, time), amounts as text.
    """
    query = _page_by_time(fills, "time", True, descending, after is not None, portfolio is not None, _FILL)
    return query.tuples(tx, _page_values(organization, environment, limit, after, portfolio))


def _page_values(
    organization: str, environment: str, limit: int | None, after: tuple[int, str] | None, portfolio: str | None
) -> dict[str, Any]:
    after_time, after_id = after or (None, None)
    return {
        "organization": organization,
        "environment": environment,
        "rows": limit,
        "portfolio": portfolio,
        "after_time": after_time,
        "after_id": after_id,
    }


@lru_cache(128)  # building a statement takes longer than running it
def _page_by_time(
    table: sa.Table,
    column: str,
    limited: bool,
    descending: bool,
    after: bool,
    of_portfolio: bool,
    shown: tuple[str, ...] | None = None,
) -> Reading:
    keys = (table.c[column], table.c.id)
    query = sa.select(*columns_of(table, shown)).where(
        table.c.organization == sa.bindparam("organization"), table.c.environment == sa.bindparam("environment")
    )
    if of_portfolio:
        query = query.where(table.c.portfolio == sa.bindparam("portfolio"))
    if after:
        place = sa.tuple_(sa.bindparam("after_time", type_=Time), sa.bindparam("after_id", type_=sa.Text))
        query = query.where(sa.tuple_(*keys) < place if descending else sa.tuple_(*keys) > place)
    query = query.order_by(*(k.desc() for k in keys) if descending else keys)
    return Reading(query.limit(sa.bindparam("rows", type_=sa.Integer)) if limited else query)

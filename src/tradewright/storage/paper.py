"""The paper broker's own books. Only the paper broker reads and writes them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import paper_actions, paper_orders

_TABLE = paper_orders.c


def add_order(tx: Tx, row: dict[str, Any]) -> None:
    """Store an accepted or rejected order."""
    tx.execute(paper_orders.insert().values(row))


def get_order(tx: Tx, account: str, client_order_id: str) -> dict[str, Any] | None:
    """Return one order of this account, or None."""
    query = sa.select(paper_orders).where(_TABLE.broker_account == account, _TABLE.client_order_id == client_order_id)
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def orders_with_status(tx: Tx, account: str, status: str) -> list[dict[str, Any]]:
    """Return the orders of this status, oldest first, then by client order id."""
    query = (
        sa.select(paper_orders)
        .where(_TABLE.broker_account == account, _TABLE.status == status)
        .order_by(_TABLE.accepted_time, _TABLE.client_order_id)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def update_order(tx: Tx, account: str, client_order_id: str, values: dict[str, Any]) -> None:
    """Change one order."""
    where = (_TABLE.broker_account == account, _TABLE.client_order_id == client_order_id)
    tx.execute(paper_orders.update().where(*where).values(values))


def filled_since(tx: Tx, account: str, sequence: int) -> list[dict[str, Any]]:
    """Return filled orders whose fill number is above `sequence`, ascending."""
    query = (
        sa.select(paper_orders)
        .where(_TABLE.broker_account == account, _TABLE.fill_sequence > sequence)
        .order_by(_TABLE.fill_sequence)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def last_fill_sequence(tx: Tx, account: str) -> int:
    """Return the highest fill number of the account, 0 when nothing was filled."""
    query = sa.select(sa.func.max(_TABLE.fill_sequence)).where(_TABLE.broker_account == account)
    return int(tx.execute(query).scalar_one() or 0)


def add_action(tx: Tx, row: dict[str, Any]) -> None:
    """Store what a split or dividend changed."""
    tx.execute(paper_actions.insert().values(row))


def actions_of(tx: Tx, account: str) -> list[dict[str, Any]]:
    """Return what splits and dividends changed in an account, by key."""
    query = sa.select(paper_actions).where(paper_actions.c.broker_account == account)
    return [dict(row) for row in tx.execute(query.order_by(paper_actions.c.key)).mappings()]

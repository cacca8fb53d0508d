"""The paper broker's own books. Only the paper broker reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.reading import Reading
from tradewright.storage.tables import paper_actions, paper_orders
from tradewright.storage.writing import change, insert

_TABLE = paper_orders.c


def add_order(tx: Tx, row: dict[str, Any]) -> None:
    """Store an accepted or rejected order."""
    insert(tx, paper_orders, [row])


def get_order(tx: Tx, account: str, client_order_id: str) -> dict[str, Any] | None:
    """Return one order of this account, or None."""
    return _order().first(tx, {"account": account, "client_order_id": client_order_id})


@lru_cache(1)
def _order() -> Reading:
    mine = (_TABLE.broker_account == sa.bindparam("account"), _TABLE.client_order_id == sa.bindparam("client_order_id"))
    return Reading(sa.select(paper_orders).where(*mine))


def orders_with_status(tx: Tx, account: str, status: str) -> list[dict[str, Any]]:
    """Return the orders of this status, oldest first, then by client order id."""
    return _with_status().dicts(tx, {"account": account, "status": status})


@lru_cache(1)
def _with_status() -> Reading:
    mine = (_TABLE.broker_account == sa.bindparam("account"), _TABLE.status == sa.bindparam("status"))
    return Reading(sa.select(paper_orders).where(*mine).order_by(_TABLE.accepted_time, _TABLE.client_order_id))


def update_orders(tx: Tx, account: str, changes: Mapping[str, dict[str, Any]]) -> None:
    """Change orders: the new values of each by its client order id."""
    named = ({"broker_account": account, "client_order_id": name} for name in changes)
    change(tx, paper_orders, zip(named, changes.values(), strict=True))


def filled_since(tx: Tx, account: str, sequence: int) -> list[dict[str, Any]]:
    """Return filled orders whose fill number is above `sequence`, ascending."""
    return _filled_since().dicts(tx, {"account": account, "sequence": sequence})


@lru_cache(1)
def _filled_since() -> Reading:
    mine = (_TABLE.broker_account == sa.bindparam("account"), _TABLE.fill_sequence > sa.bindparam("sequence"))
    return Reading(sa.select(paper_orders).where(*mine).order_by(_TABLE.fill_sequence))


def last_fill_sequence(tx: Tx, account: str) -> int:
    """Return the highest fill number of the account, 0 when nothing was filled."""
    return int(_last_fill().tuples(tx, {"account": account})[0][0] or 0)


@lru_cache(1)
def _last_fill() -> Reading:
    last = sa.select(sa.func.max(_TABLE.fill_sequence).label("last"))
    return Reading(last.where(_TABLE.broker_account == sa.bindparam("account")))


def add_action(tx: Tx, row: dict[str, Any]) -> None:
    """Store what a split or dividend changed."""
    insert(tx, paper_actions, [row])


def actions_of(tx: Tx, account: str) -> list[dict[str, Any]]:
    """Return what splits and dividends changed in an account, by key."""
    query = sa.select(paper_actions).where(paper_actions.c.broker_account == account)
    return [dict(row) for row in tx.execute(query.order_by(paper_actions.c.key)).mappings()]

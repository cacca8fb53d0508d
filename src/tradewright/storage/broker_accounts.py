"""Broker accounts of an organization and environment; their credentials are sealed before they come here."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import broker_accounts, portfolios

_B = broker_accounts.c


def add(tx: Tx, row: dict[str, Any]) -> None:
    """Store a broker account."""
    tx.execute(broker_accounts.insert().values(row))


def get(tx: Tx, organization: str, environment: str, account: str, lock: bool = False) -> dict[str, Any] | None:
    """Return one broker account, or None. lock: nobody changes or removes it until the transaction ends."""
    query = sa.select(broker_accounts).where(*_mine(organization, environment), _B.id == account)
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else dict(row)


def list_page(
    tx: Tx, organization: str, environment: str, limit: int, descending: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return broker accounts by id (ids order by creation), after the id `after`."""
    query = sa.select(broker_accounts).where(*_mine(organization, environment))
    if after is not None:
        query = query.where(_B.id < after if descending else _B.id > after)
    query = query.order_by(_B.id.desc() if descending else _B.id).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def rename(tx: Tx, organization: str, environment: str, account: str, name: str) -> None:
    """Give a broker account another name."""
    where = (*_mine(organization, environment), _B.id == account)
    tx.execute(broker_accounts.update().where(*where).values(name=name))


def portfolio_on(tx: Tx, organization: str, environment: str, account: str) -> str | None:
    """Return the id of an open portfolio that stands on this broker account, None when there is none."""
    p = portfolios.c
    where = (p.organization == organization, p.environment == environment, p.broker_account == account)
    return tx.execute(sa.select(p.id).where(*where, p.status == "open").order_by(p.id).limit(1)).scalar_one_or_none()


def remove(tx: Tx, organization: str, environment: str, account: str) -> None:
    """Delete a broker account, credentials included."""
    tx.execute(broker_accounts.delete().where(*_mine(organization, environment), _B.id == account))


def _mine(organization: str, environment: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_B.organization == organization, _B.environment == environment)

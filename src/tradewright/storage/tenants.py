"""Rows of one organization and environment: one of them by its id, or pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.reading import Reading
from tradewright.storage.types import Money, MoneyText


def key_of(organization: str, environment: str, key: str) -> dict[str, Any]:
    """Return what names one row: its id, and whose it is."""
    return {"id": key, "organization": organization, "environment": environment}


def of_tenant(table: sa.Table, organization: str, environment: str, key: str) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that name one row."""
    return [table.c.id == key, table.c.organization == organization, table.c.environment == environment]


@lru_cache(8)
def of_id(table: sa.Table, shown: tuple[str, ...] | None = None) -> Reading:
    """Return the reading of one row by `key`, `organization` and `environment`. shown: only these columns, amounts as
    text."""
    named = {"id": "key", "organization": "organization", "environment": "environment"}
    conditions = (table.c[column] == sa.bindparam(name) for column, name in named.items())
    return Reading(sa.select(*columns_of(table, shown)).where(*conditions))


def first(tx: Tx, query: sa.Select[Any]) -> dict[str, Any] | None:
    """Return the first row as a dictionary, or None."""
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def page_by_id(
    tx: Tx,
    table: sa.Table,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: str | None,
    only: Sequence[sa.ColumnElement[bool]] = (),
) -> list[dict[str, Any]]:
    """Return rows by id (ids order by creation), after the id `after`. only: more conditions."""
    query = sa.select(table).where(table.c.organization == organization, table.c.environment == environment, *only)
    if after is not None:
        query = query.where(table.c.id < after if descending else table.c.id > after)
    query = query.order_by(table.c.id.desc() if descending else table.c.id).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def columns_of(table: sa.Table, shown: tuple[str, ...] | None) -> list[sa.ColumnElement[Any]]:
    """Return all columns as they are, or those to be shown: amounts as text."""
    if shown is None:
        return list(table.c)
    chosen = [table.c[name] for name in shown]
    return [sa.type_coerce(c, MoneyText()).label(c.name) if isinstance(c.type, Money) else c for c in chosen]

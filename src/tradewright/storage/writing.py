"""Rows changed many at a time: one statement, prepared once, for all that change the same columns.

Building a statement takes longer than running it, and what builds it holds up everything else in the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright.storage.database import Tx

Change = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Which rows, by the values of columns, and the new values of others."""


def change(tx: Tx, table: sa.Table, changes: Iterable[Change]) -> None:
    """Change rows. Each is named once: in which order they are changed is not said."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[dict[str, Any]]] = {}
    for which, values in changes:
        given = {f"of_{name}": value for name, value in which.items()}
        given |= {f"new_{name}": value for name, value in values.items()}
        alike.setdefault((tuple(which), tuple(values)), []).append(given)
    for (keys, names), rows in alike.items():
        tx.execute(_update(table, keys, names), rows)


def put(tx: Tx, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Store rows with all their columns; one whose primary key is there takes that one's place."""
    if rows:
        tx.execute(_upsert(table, tx.dialect.name), rows)


@lru_cache(64)
def _update(table: sa.Table, keys: tuple[str, ...], names: tuple[str, ...]) -> sa.Update:
    mine = [table.c[name] == sa.bindparam(f"of_{name}", type_=table.c[name].type) for name in keys]
    new = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return sa.update(table).where(*mine).values(new)


@lru_cache(64)
def _upsert(table: sa.Table, dialect: str) -> Any:
    made: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key]
    new = {column.name: made.excluded[column.name] for column in table.c if column.name not in keys}
    return made.on_conflict_do_update(index_elements=keys, set_=new)

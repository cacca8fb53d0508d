"""Rows changed many at a time: one statement, prepared once, for all that change the same columns.

Building a statement takes longer than running it, and what builds it holds up everything else in the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


def put(tx: Tx, table: sa.Table, rows: Sequence[Mapping[str, Any]], kept: tuple[str, ...] = ()) -> None:
    """Store rows; one whose primary key is there takes that one's place, but for the columns `kept`."""
    if rows:
        tx.execute(_put(table, kept, tx.dialect.name), [dict(row) for row in rows])


def add(tx: Tx, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows; one whose primary key is there stays as it is."""
    if rows:
        tx.execute(_add(table, tx.dialect.name), [dict(row) for row in rows])


@lru_cache(64)
def _update(table: sa.Table, keys: tuple[str, ...], names: tuple[str, ...]) -> sa.Update:
    mine = [table.c[name] == sa.bindparam(f"of_{name}", type_=table.c[name].type) for name in keys]
    new = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return sa.update(table).where(*mine).values(new)


@lru_cache(64)
def _put(table: sa.Table, kept: tuple[str, ...], dialect: str) -> Any:
    made: Any = _INSERT[dialect](table)
    keys = [column.name for column in table.primary_key]
    names = (column.name for column in table.c)
    new = {name: made.excluded[name] for name in names if name not in (*keys, *kept)}
    return made.on_conflict_do_update(index_elements=keys, set_=new)


@lru_cache(64)
def _add(table: sa.Table, dialect: str) -> Any:
    made: Any = _INSERT[dialect](table)
    return made.on_conflict_do_nothing(index_elements=[column.name for column in table.primary_key])


_INSERT = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

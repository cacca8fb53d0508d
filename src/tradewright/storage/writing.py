"""Rows written many at a time: one statement, prepared once, for all that have the same columns.

Building a statement takes longer than running it, and what builds it holds up everything else in the process. So
SQLAlchemy builds each statement once and converts the values; on SQLite the driver is handed them without the way
through its execution context. Elsewhere the statement runs as any other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright.storage import changes
from tradewright.storage.database import Tx
from tradewright.storage.reading import Convert

Change = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Which rows, by the values of columns, and the new values of others."""


def alone(tx: Tx, turn: int) -> bool:
    """Return whether no other transaction has this turn, a number of PostgreSQL; then this one has it until it ends.
    The embedded database has one writer, and each has every turn."""
    if tx.dialect.name != "postgresql":
        return True
    return bool(tx.execute(sa.select(sa.func.pg_try_advisory_xact_lock(turn))).scalar_one())


def change(tx: Tx, table: sa.Table, changes: Iterable[Change]) -> None:
    """Change rows. Each is named once: in which order they are changed is not said."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[dict[str, Any]]] = {}
    for which, values in changes:
        given = {f"of_{name}": value for name, value in which.items()}
        given |= {f"new_{name}": value for name, value in values.items()}
        alike.setdefault((tuple(which), tuple(values)), []).append(given)
    for (keys, names), rows in alike.items():
        run(tx, _update(table, keys, names), rows)


def insert(tx: Tx, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows that all name the same columns; one that is there already is refused by the database."""
    run(tx, _insert(table), rows)


def put(tx: Tx, table: sa.Table, rows: Sequence[Mapping[str, Any]], kept: tuple[str, ...] = ()) -> None:
    """Store rows; one whose primary key is there takes that one's place, but for the columns `kept`."""
    run(tx, _put(table, kept, tx.dialect.name), rows)


def add(tx: Tx, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows; one whose primary key is there stays as it is."""
    run(tx, _add(table, tx.dialect.name), rows)


def run(tx: Tx, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run an INSERT or UPDATE once for each of these rows. statement: one that is kept, it is prepared only once."""
    if not rows:
        return
    if tx.dialect.name != "sqlite":
        tx.execute(statement, [dict(row) for row in rows])
        return
    prepared = _prepared(statement, tuple(rows[0]), tx.dialect)
    driver: Any = tx.connection.dbapi_connection
    try:
        driver.executemany(prepared.sql, [prepared.values_of(row) for row in rows])
    except sqlite3.Error as error:
        raise sa.exc.DBAPIError.instance(prepared.sql, None, error, sqlite3.Error, hide_parameters=True) from error
    changes.note(tx, statement.table.name)


class _Prepared:
    """A statement for the embedded database, and how its parameters come from a row."""

    def __init__(self, statement: Any, names: tuple[str, ...], dialect: sa.Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(names), for_executemany=True)
        self.sql = str(compiled)
        self._places: list[tuple[str, Convert | None, Any]] = []
        for name in compiled.positiontup:
            convert = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
            default = None if name in names else compiled.params[name]
            self._places.append((name if name in names else "", convert, default))

    def values_of(self, row: Mapping[str, Any]) -> list[Any]:
        """Return the parameters of a row. Raises KeyError for one without a column that the first row had."""
        values = ((row[name] if name else default, convert) for name, convert, default in self._places)
        return [value if convert is None else convert(value) for value, convert in values]


@lru_cache(256)
def _prepared(statement: Any, names: tuple[str, ...], dialect: sa.Dialect) -> _Prepared:
    return _Prepared(statement, names, dialect)


@lru_cache(64)
def _insert(table: sa.Table) -> sa.Insert:
    return sa.insert(table)


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

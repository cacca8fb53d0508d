"""Reads that are asked thousands of times a second: a statement compiled once, its rows as plain tuples.

SQLAlchemy builds the statement and converts each column; on SQLite the driver is asked without the way through its
execution context and row objects, which costs more than the read itself. Elsewhere the statement runs as any other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx

Convert = Callable[[Any], Any]


class Reading:
    """A prepared SELECT whose parameters are texts and integers, all of them `bindparam`s."""

    def __init__(self, query: sa.Select[*tuple[Any, ...]]) -> None:
        self._query = query
        self.names: tuple[str, ...] = tuple(query.selected_columns.keys())
        self._sql = ""
        self._values: tuple[tuple[str, Any], ...] = ()
        self._converts: tuple[tuple[int, Convert], ...] = ()

    def tuples(self, tx: Tx, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return the rows, their values in the order of `names`. values: of the parameters; others are ignored."""
        if tx.dialect.name != "sqlite":
            return [tuple(row) for row in tx.execute(self._query, dict(values))]
        if not self._sql:
            self._compile(tx.dialect)
        parameters = [values.get(name, default) for name, default in self._values]
        connection: Any = tx.connection.dbapi_connection
        try:
            found: list[tuple[Any, ...]] = connection.execute(self._sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance(self._sql, None, error, sqlite3.Error, hide_parameters=True) from error
        if not self._converts or not found:
            return found
        columns = list(zip(*found, strict=True))
        for place, convert in self._converts:
            columns[place] = tuple(map(convert, columns[place]))
        return list(zip(*columns, strict=True))

    def dicts(self, tx: Tx, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows as dictionaries by column name."""
        names = self.names
        return [dict(zip(names, row, strict=True)) for row in self.tuples(tx, values)]

    def first(self, tx: Tx, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the first row as a dictionary, or None."""
        found = self.tuples(tx, values)
        return dict(zip(self.names, found[0], strict=True)) if found else None

    def _compile(self, dialect: sa.Dialect) -> None:
        compiled: Any = self._query.compile(dialect=dialect)
        self._values = tuple((name, compiled.params[name]) for name in compiled.positiontup)
        types = [column.type.dialect_impl(dialect) for column in self._query.selected_columns]
        converts = [kind.result_processor(dialect, None) for kind in types]
        self._converts = tuple((place, convert) for place, convert in enumerate(converts) if convert is not None)
        self._sql = str(compiled)  # last: until then another thread compiles it too

"""What was committed since something was read: by this process, table by table; by others, whether anything was."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa

FRESH_S = 0.25
"""How old an answer may be that is remembered with a `Database.state`, when another process made it an old one."""
_CLOSE_S = 5.0
UNREMEMBERED = "tradewright_unremembered"
"""Execution option of a statement: what it changes is part of no answer that is remembered."""

F = TypeVar("F", bound=Callable[..., Any])


def reads(*tables: str) -> Callable[[F], F]:
    """Mark a reading function whose answers may be remembered: all the tables that its statements read."""

    def mark(function: F) -> F:
        function.tables = tables  # type: ignore[attr-defined]
        return function

    return mark


def tables_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return what `reads` was told of the function. Raises AttributeError for one that it never marked."""
    tables: tuple[str, ...] = function.tables  # type: ignore[attr-defined]
    return tables


_under_way: WeakKeyDictionary[sa.Connection, set[str]] = WeakKeyDictionary()


def note(tx: sa.Connection, *tables: str) -> None:
    """Say which tables the transaction under way changes; what SQLAlchemy executes is seen without."""
    _under_way.setdefault(tx, set()).update(tables)


class Written:
    """For each table, how many transactions of this process changed it. Every statement that changes rows is seen, but
    not what a database does by itself: there are no triggers and no cascades."""

    def __init__(self, engine: sa.Engine) -> None:
        self._counts: Counter[str] = Counter()
        self._all = 0
        sa.event.listen(engine, "after_execute", _executed)

    def count(self, tx: sa.Connection | None, changed: bool | None = None) -> None:
        """Count what a transaction did: once it has ended, before its result is known.

        changed: whether any row was, None where the database does not say.
        """
        tables = _under_way.pop(tx, None) if tx is not None else None
        if changed is False:
            return  # a worker that found nothing to do
        if tables is not None:
            self._counts.update(tables)
        elif changed:
            self._all += 1  # by a statement that names no table

    def of(self, tables: tuple[str, ...]) -> tuple[int, ...]:
        """Return a value that grows with every change of one of these tables."""
        counts = self._counts
        return self._all, *[counts[name] for name in tables]


def _executed(tx: sa.Connection, statement: Any, *given: Any) -> None:
    if getattr(statement, "is_dml", False):
        note(tx, *(() if given[2].get(UNREMEMBERED) else (statement.table.name,)))


class Elsewhere:
    """A value that is another one once anything was committed elsewhere, asked for in the background.

    ask: begins to read that value; it is the same as long as no other connection has committed anything.
    """

    def __init__(self, ask: Callable[[], concurrent.futures.Future[Hashable]]) -> None:
        self._ask = ask
        self._asked: concurrent.futures.Future[Hashable] | None = None  # and not answered yet
        self._closed = False
        self._seen: tuple[float, Hashable] = (float("-inf"), None)

    def now(self) -> Hashable:
        """Return the value of a moment less than FRESH_S ago; one that equals no other where none is known yet."""
        now = time.monotonic()
        asked_at, value = self._seen
        if now - asked_at > FRESH_S / 2 and self._asked is None and not self._closed:
            self._asked = asked = self._ask()
            asked.add_done_callback(lambda answer: self._take(now, answer))
        return value if now - asked_at <= FRESH_S else object()

    def _take(self, asked_at: float, answer: concurrent.futures.Future[Hashable]) -> None:
        failed = answer.cancelled() or answer.exception() is not None
        self._seen = (asked_at, object() if failed else answer.result())
        self._asked = None

    def close(self) -> None:
        """Ask no more, and wait for what is under way, which needs the connections that are closed next."""
        self._closed = True
        asked = self._asked
        if asked is not None:
            concurrent.futures.wait((asked,), _CLOSE_S)

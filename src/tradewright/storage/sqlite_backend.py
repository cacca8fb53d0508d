"""The embedded database: one thread writes, a few read, and a short read needs no thread at all."""

from __future__ import annotations

import concurrent.futures
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import sqlalchemy as sa

from tradewright.storage.changes import Written

R = TypeVar("R")
_READERS = 3
_PATIENCE_S = 30.0  # with another process that writes
_SOON_S = 0.5  # when a change had to wait for no others worth mention
_BUSY = "PRAGMA busy_timeout={}"


class SqliteBackend:
    """What `Database` does on SQLite."""

    def __init__(self, url: str) -> None:
        # The driver's own transaction handling is off; BEGIN is ours, so that a write takes the lock at its start.
        self._engine, self._writing = _sqlite_engine(url, _READERS + 3), _sqlite_engine(url, 1)
        self.written = Written(self._writing)
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "database-writer")
        self._readers = concurrent.futures.ThreadPoolExecutor(_READERS, "database-reader")
        self._open = threading.local()
        self._held: list[sa.Connection] = []

    def submit(self, work: Callable[[sa.Connection], R], write: bool, _: bool) -> concurrent.futures.Future[R]:
        if not write:
            return self._readers.submit(self._read, work)
        return self._writer.submit(self._write_since, work, time.monotonic())

    def _write_since(self, work: Callable[[sa.Connection], R], asked_at: float) -> R:
        waited_s = time.monotonic() - asked_at
        if waited_s < _SOON_S:
            return self._write(work)
        # behind others; where those waited for a lock of another process, each would wait for it as long again
        driver: Any = self._connection(self._writing).connection.dbapi_connection
        driver.execute(_BUSY.format(max(1, int((_PATIENCE_S - waited_s) * 1000))))
        try:
            return self._write(work)
        finally:
            driver.execute(_BUSY.format(int(_PATIENCE_S * 1000)))

    def _write(self, work: Callable[[sa.Connection], R]) -> R:
        tx = self._connection(self._writing)
        driver: Any = tx.connection.dbapi_connection
        before = driver.total_changes
        try:
            return _in_transaction(tx, "BEGIN IMMEDIATE", work)
        finally:
            self.written.count(tx, driver.total_changes != before)

    def _read(self, work: Callable[[sa.Connection], R]) -> R:
        return _in_transaction(self._connection(self._engine), "BEGIN", work)

    def run_short(self, work: Callable[[sa.Connection], R], single: bool) -> R:
        tx = self._connection(self._engine)
        driver: Any = tx.connection.dbapi_connection
        try:
            if not single:  # one statement sees one state of the database by itself
                driver.execute("BEGIN")
            return work(tx)
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance("BEGIN", None, error, sqlite3.Error) from error
        finally:
            _undo(tx)  # nothing was written

    def run_old(self, work: Callable[[sa.Connection], R], single: bool) -> R:
        return self.run_short(work, single)

    def changes(self) -> concurrent.futures.Future[Hashable]:
        # a number that grows when another connection than the writer's has committed, whichever process it is in
        return self._writer.submit(self._data_version)

    def _data_version(self) -> Hashable:
        driver: Any = self._connection(self._writing).connection.dbapi_connection
        return driver, driver.execute("PRAGMA data_version").fetchone()

    def _connection(self, engine: sa.Engine) -> sa.Connection:
        # each thread's stays open: taking one from the pool costs more than a short read
        tx: sa.Connection | None = getattr(self._open, "tx", None)
        if tx is None:
            tx = self._open.tx = engine.connect()
            self._held.append(tx)
        return tx

    def close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for tx in self._held:
            tx.close()
        self._engine.dispose()
        self._writing.dispose()


def _sqlite_engine(url: str, connections: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # what a statement held is nobody's business
        poolclass=sa.pool.SingletonThreadPool,
        pool_size=connections,
        connect_args={"timeout": _PATIENCE_S, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _in_transaction(tx: sa.Connection, begin: str, work: Callable[[sa.Connection], R]) -> R:
    driver: Any = tx.connection.dbapi_connection
    try:
        driver.execute(begin)  # not by way of SQLAlchemy, which takes longer than the database
        tx.begin()
        answer = work(tx)
        tx.commit()
    except sqlite3.Error as error:
        _undo(tx)
        raise sa.exc.DBAPIError.instance(begin, None, error, sqlite3.Error) from error
    except BaseException:
        _undo(tx)
        raise
    return answer


def _undo(tx: sa.Connection) -> None:
    tx.rollback()
    driver: Any = tx.connection.dbapi_connection
    if driver.in_transaction:  # a COMMIT that was refused leaves it open
        driver.execute("ROLLBACK")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(_BUSY.format(int(_PATIENCE_S * 1000)))

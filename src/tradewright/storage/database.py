"""One way to the database: hand in a function of a Connection, get its result when the transaction has committed.

Storage functions are plain and synchronous. On SQLite one thread writes, a few read; on PostgreSQL each call runs on a
connection of an asyncpg pool through `run_sync`. No network call and no long computation belongs inside a transaction.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa

from tradewright.errors import SettingsInvalid, StorageFailed

P = ParamSpec("P")
R = TypeVar("R")
Tx = sa.Connection

_READERS = 3


class _Backend(Protocol):
    def submit(self, work: Callable[[Tx], R], write: bool) -> concurrent.futures.Future[R]: ...

    def close(self) -> None: ...


class Database:
    """The door. `write` and `read` block; `write_async` and `read_async` are for an event loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        scheme = sa.make_url(url).get_backend_name() if url else ""
        if scheme == "sqlite":
            self._backend: _Backend = _Sqlite(url)
        elif scheme == "postgresql":
            self._backend = _Postgres(url)
        else:
            raise SettingsInvalid(
                f"database_url must begin with sqlite:/// or postgresql://, got {scheme or 'nothing'!r}", scheme=scheme
            )
        self.dialect = scheme

    def write(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(tx, ...)` in a transaction and return its result once committed."""
        return _translated(self._backend.submit(lambda tx: function(tx, *args, **kwargs), True))

    def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(tx, ...)` on a reading connection."""
        return _translated(self._backend.submit(lambda tx: function(tx, *args, **kwargs), False))

    async def write_async(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `write`, without blocking the event loop."""
        return await _awaited(self._backend.submit(lambda tx: function(tx, *args, **kwargs), True))

    async def read_async(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `read`, without blocking the event loop."""
        return await _awaited(self._backend.submit(lambda tx: function(tx, *args, **kwargs), False))

    def close(self) -> None:
        """Wait for running transactions and close every connection."""
        self._backend.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _translated(future: concurrent.futures.Future[R]) -> R:
    try:
        return future.result()
    except sa.exc.OperationalError as error:
        raise _storage_failed(error) from error


async def _awaited(future: concurrent.futures.Future[R]) -> R:
    try:
        return await asyncio.wrap_future(future)
    except sa.exc.OperationalError as error:
        raise _storage_failed(error) from error


def _storage_failed(error: sa.exc.OperationalError) -> StorageFailed:
    cause = str(error.orig)
    advice = "free some space and run it again" if "full" in cause else "check the database and run it again"
    return StorageFailed(f"the database refused: {cause}; nothing of this transaction was kept; {advice}")


class _Sqlite:
    def __init__(self, url: str) -> None:
        # The driver's own transaction handling is off; BEGIN is ours, so that a write takes the lock at its start.
        self._engine = sa.create_engine(
            url,
            poolclass=sa.pool.SingletonThreadPool,
            pool_size=_READERS + 2,
            connect_args={"timeout": 30.0, "check_same_thread": False},
        )
        sa.event.listen(self._engine, "connect", _prepare_sqlite)
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "database-writer")
        self._readers = concurrent.futures.ThreadPoolExecutor(_READERS, "database-reader")

    def submit(self, work: Callable[[Tx], R], write: bool) -> concurrent.futures.Future[R]:
        pool, begin = (self._writer, "BEGIN IMMEDIATE") if write else (self._readers, "BEGIN")
        return pool.submit(self._run, work, begin)

    def _run(self, work: Callable[[Tx], R], begin: str) -> R:
        with self._engine.connect() as tx:
            tx.exec_driver_sql(begin)
            with tx.begin() if not tx.in_transaction() else _Joined(tx):
                return work(tx)

    def close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


class _Joined:
    """Commit or roll back the transaction that `BEGIN` opened."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._tx.commit()
        else:
            self._tx.rollback()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


class _Postgres:
    def __init__(self, url: str) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine  # not paid for by the embedded database

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="database", daemon=True)
        self._thread.start()
        async_url = sa.make_url(url).set(drivername="postgresql+asyncpg")
        self._engine = create_async_engine(async_url, pool_size=8, max_overflow=8, pool_pre_ping=False)

    def submit(self, work: Callable[[Tx], R], write: bool) -> concurrent.futures.Future[R]:
        return asyncio.run_coroutine_threadsafe(self._run(work, write), self._loop)

    async def _run(self, work: Callable[[Tx], R], write: bool) -> R:
        async with self._engine.connect() as connection:
            if not write:
                await connection.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
            async with connection.begin():
                return await connection.run_sync(work)

    def close(self) -> None:
        async def stop() -> None:
            await self._engine.dispose()

        self._wait(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

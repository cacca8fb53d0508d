"""PostgreSQL: each call runs on a connection of an asyncpg pool, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from tradewright.errors import SettingsInvalid, StorageFailed
from tradewright.storage.changes import Written
from tradewright.storage.failures import is_lost
from tradewright.storage.replica import POSITION, SOON_S, Replica, Unusable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

R = TypeVar("R")
_PATIENCE = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s"}
"""Of the server: with who waits for rows that another transaction holds, and with one whose process stands still."""
_REPLICA_S = 5.0  # for a replica to answer; then the primary is asked


def _asyncpg_url(url: str, setting: str = "database_url") -> sa.URL:
    # the driver calls `sslmode` ssl, and knows few other words of libpq
    given = sa.make_url(url)
    query = dict(given.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    for name in query:
        if name != "ssl":
            raise SettingsInvalid(f"{setting} has the option {name!r}; the only one known is sslmode")
    return given.set(drivername="postgresql+asyncpg", query=query)


_SNAPSHOT = "SELECT pg_current_snapshot()::text"  # which transactions had ended, and which not


class PostgresBackend:
    """What `Database` does on PostgreSQL."""

    def __init__(self, url: str, replica_url: str) -> None:
        import uvloop
        from sqlalchemy.ext.asyncio import create_async_engine

        async_url = _asyncpg_url(url)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="database", daemon=True)
        self._thread.start()
        self._where = f"{async_url.host}:{async_url.port or 5432}/{async_url.database}"
        self._engine = create_async_engine(
            async_url,
            hide_parameters=True,
            pool_size=8,
            max_overflow=8,
            pool_pre_ping=False,
            connect_args={"server_settings": _PATIENCE},
        )
        self._replica: Replica | None = None
        self.written = Written(self._engine.sync_engine)
        self._commits = 0  # with every writing transaction, before its result is known
        if replica_url:
            engine = create_async_engine(
                _asyncpg_url(replica_url, "database_replica_url"),
                hide_parameters=True,
                pool_size=8,
                max_overflow=8,
                pool_timeout=SOON_S,
                connect_args={"timeout": SOON_S, "command_timeout": _REPLICA_S},
            )
            self._replica = Replica(engine, self._position)

    def submit(self, work: Callable[[sa.Connection], R], write: bool) -> concurrent.futures.Future[R]:
        running = self._write(work) if write else self._read(work, False)
        return asyncio.run_coroutine_threadsafe(running, self._loop)

    def run_short(self, work: Callable[[sa.Connection], R], single: bool) -> concurrent.futures.Future[R]:
        return asyncio.run_coroutine_threadsafe(self._read(work, single), self._loop)

    def run_old(self, work: Callable[[sa.Connection], R], single: bool) -> concurrent.futures.Future[R]:
        return asyncio.run_coroutine_threadsafe(self._run_old(work, single, self._commits), self._loop)

    def changes(self) -> concurrent.futures.Future[Hashable]:
        return asyncio.run_coroutine_threadsafe(self._snapshot(), self._loop)

    async def _snapshot(self) -> Hashable:
        if self._replica is not None:
            return object()  # what a replica answered may be older than what the primary knows
        return await self._read(lambda tx: tx.exec_driver_sql(_SNAPSHOT).scalar_one(), True)

    async def _run_old(self, work: Callable[[sa.Connection], R], single: bool, commits: int) -> R:
        if self._replica is not None:
            with suppress(Unusable):
                return await self._replica.run(work, commits)
        return await self._read(work, single)

    async def _read(self, work: Callable[[sa.Connection], R], single: bool) -> R:
        once = self._run_single if single else self._run_reading
        try:
            return await once(work)
        except sa.exc.DBAPIError as error:
            if not is_lost(error):
                raise
        return await once(work)  # the server had ended the connections of the pool; nothing is changed by a read

    async def _run_single(self, work: Callable[[sa.Connection], R]) -> R:
        connection = await self._connected()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            return await connection.run_sync(work)
        finally:
            await connection.close()

    async def _position(self) -> int:
        return int(await self._read(lambda tx: tx.exec_driver_sql(POSITION).scalar_one(), True))

    async def _run_reading(self, work: Callable[[sa.Connection], R]) -> R:
        connection = await self._connected()
        try:
            await connection.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
            async with connection.begin():
                return await connection.run_sync(work)
        finally:
            await connection.close()

    async def _write(self, work: Callable[[sa.Connection], R]) -> R:
        connection = await self._connected()
        try:
            async with connection.begin():
                return await connection.run_sync(work)
        finally:
            self._commits += 1
            self.written.count(connection.sync_connection)
            await connection.close()

    async def _connected(self) -> AsyncConnection:
        import asyncpg

        connection = self._engine.connect()
        try:
            return await connection.start()
        except (OSError, asyncpg.PostgresError, sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = getattr(error, "orig", error)
            raise StorageFailed(
                "no connection to the PostgreSQL database",
                cause=f"{self._where}: {cause or type(error).__name__}; check that it runs, and address, user and "
                "password in database_url",
            ) from error

    def close(self) -> None:
        async def stop() -> None:
            if self._replica is not None:
                await self._replica.close()
            await self._engine.dispose()

        self._wait(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

"""PostgreSQL: each call runs on a connection of an asyncpg pool, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import sqlalchemy as sa

from tradewright.errors import SettingsInvalid, StorageFailed
from tradewright.storage.changes import Written
from tradewright.storage.failures import is_lost
from tradewright.storage.replica import POSITION, SOON_S, Replica, Unusable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

R = TypeVar("R")
_GIVEN_UP = {"client_connection_check_interval": "1s"}
"""Of the server: it ends a statement whose client has hung up, which lets go of its locks."""
_PATIENCE = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s"}
"""Of the server: with who waits for rows that another transaction holds, and with one whose process stands still."""
_ALIVE_S = 30  # without a word; then a host is asked whether it is there, and has as long again to say so


@dataclass(frozen=True, slots=True)
class Longest:
    """How long somebody waits for the database, in seconds; then the connection is ended."""

    short_s: float = 10.0
    read_s: float = 30.0
    write_s: float = 60.0


_LONGEST = Longest()
_CONNECTED_S = 15.0  # for a connection, of the pool or a new one
_CLOSED_S = 5.0  # for saying goodbye
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
            connect_args={"server_settings": _PATIENCE | _GIVEN_UP},
        )
        self._drivers: weakref.WeakSet[asyncpg.Connection] = weakref.WeakSet()
        sa.event.listen(self._engine.sync_engine, "connect", self._made)
        self._replica: Replica | None = None
        self.written = Written(self._engine.sync_engine)
        self._closed = False
        self._commits = 0  # with every writing transaction, before its result is known
        if replica_url:
            engine = create_async_engine(
                _asyncpg_url(replica_url, "database_replica_url"),
                hide_parameters=True,
                pool_size=8,
                max_overflow=8,
                pool_timeout=SOON_S,
                connect_args={"timeout": SOON_S, "command_timeout": _REPLICA_S, "server_settings": _GIVEN_UP},
            )
            self._replica = Replica(engine, self._position)

    def submit(self, work: Callable[[sa.Connection], R], write: bool, bounded: bool) -> concurrent.futures.Future[R]:
        longest_s = (_LONGEST.write_s if write else _LONGEST.read_s) if bounded else None
        running = self._write(work, longest_s) if write else self._read(work, False, longest_s)
        return self._begin(running)

    def run_short(self, work: Callable[[sa.Connection], R], single: bool) -> concurrent.futures.Future[R]:
        return self._begin(self._read(work, single, _LONGEST.short_s))

    def run_old(self, work: Callable[[sa.Connection], R], single: bool) -> concurrent.futures.Future[R]:
        return self._begin(self._run_old(work, single, self._commits))

    def changes(self) -> concurrent.futures.Future[Hashable]:
        return self._begin(self._snapshot())

    def _begin(self, running: Coroutine[Any, Any, R]) -> concurrent.futures.Future[R]:
        if not self._closed:
            return asyncio.run_coroutine_threadsafe(running, self._loop)
        running.close()
        refused: concurrent.futures.Future[R] = concurrent.futures.Future()
        refused.set_exception(StorageFailed("the database is closed: this process ends"))
        return refused

    async def _snapshot(self) -> Hashable:
        if self._replica is not None:
            return object()  # what a replica answered may be older than what the primary knows
        return await self._read(lambda tx: tx.exec_driver_sql(_SNAPSHOT).scalar_one(), True, _LONGEST.short_s)

    async def _run_old(self, work: Callable[[sa.Connection], R], single: bool, commits: int) -> R:
        if self._replica is not None:
            with suppress(Unusable):
                return await self._replica.run(work, commits)
        return await self._read(work, single, _LONGEST.short_s)

    async def _position(self) -> int:
        return int(await self._read(lambda tx: tx.exec_driver_sql(POSITION).scalar_one(), True, _LONGEST.short_s))

    async def _read(self, work: Callable[[sa.Connection], R], single: bool, longest_s: float | None) -> R:
        once, began = self._run_single if single else self._run_reading, self._loop.time()
        try:
            return await once(work, longest_s)
        except sa.exc.DBAPIError as error:
            if not is_lost(error) or (longest_s is not None and self._loop.time() - began >= longest_s):
                raise
        return await once(work, longest_s)  # the server had ended the connections of the pool; a read changes nothing

    async def _run_single(self, work: Callable[[sa.Connection], R], longest_s: float | None) -> R:
        async with self._connection(longest_s) as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            return await connection.run_sync(work)

    async def _run_reading(self, work: Callable[[sa.Connection], R], longest_s: float | None) -> R:
        async with self._connection(longest_s) as connection:
            await connection.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
            async with connection.begin():
                return await connection.run_sync(work)

    async def _write(self, work: Callable[[sa.Connection], R], longest_s: float | None) -> R:
        async with self._connection(longest_s) as connection:
            try:
                async with connection.begin():
                    return await connection.run_sync(work)
            finally:
                self._commits += 1
                self.written.count(connection.sync_connection)

    @asynccontextmanager
    async def _connection(self, longest_s: float | None) -> AsyncIterator[AsyncConnection]:
        connection = await self._connected()
        ending = None
        if longest_s is not None:  # a server that stands still hears no goodbye
            ending = self._loop.call_later(longest_s, _driver(connection).terminate)
        try:
            yield connection
        except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:  # SQLAlchemy does not know these
            await connection.invalidate()
            raise sa.exc.DBAPIError("", None, error, True, connection_invalidated=True) from error
        finally:
            await connection.close()
            if ending is not None:
                ending.cancel()

    async def _connected(self) -> AsyncConnection:
        connection = self._engine.connect()
        try:
            async with asyncio.timeout(_CONNECTED_S):
                return await connection.start()
        except (
            OSError,  # and so is TimeoutError
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            sa.exc.DBAPIError,
            sa.exc.TimeoutError,
        ) as error:
            cause = getattr(error, "orig", error)
            raise StorageFailed(
                "no connection to the PostgreSQL database",
                cause=f"{self._where}: {cause or type(error).__name__}; check that it runs, and address, user and "
                "password in database_url",
            ) from error

    def _made(self, connection: Any, _: Any) -> None:
        self._drivers.add(connection.driver_connection)
        _stay_alive(connection.driver_connection)

    def close(self) -> None:
        async def stop() -> None:
            with suppress(TimeoutError):  # a server that stands still hears no goodbye
                async with asyncio.timeout(_CLOSED_S):
                    if self._replica is not None:
                        await self._replica.close()
                    await self._engine.dispose()
            for driver in list(self._drivers):  # whoever still waits for an answer is told that there is none
                driver.terminate()
            waiting = asyncio.all_tasks() - {asyncio.current_task()}
            for task in waiting:  # for a connection
                task.cancel()
            if waiting:
                await asyncio.wait(waiting, timeout=_CLOSED_S)

        self._closed = True
        self._wait(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _driver(connection: AsyncConnection) -> asyncpg.Connection:
    proxied = connection.sync_connection.connection  # type: ignore[union-attr] # it is open
    driver: asyncpg.Connection = proxied.driver_connection
    return driver


def _stay_alive(driver: Any) -> None:
    # a host that is gone says nothing, and by itself nobody asks it
    of_driver = driver._transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(of_driver.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if same.family != socket.AF_UNIX:
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ALIVE_S)
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _ALIVE_S // 3)
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * _ALIVE_S * 1000)

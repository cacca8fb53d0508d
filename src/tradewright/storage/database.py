"""One way to the database: hand in a function of a Connection, get its result when the transaction has committed.

Storage functions are plain and synchronous. On SQLite one thread writes, a few read; on PostgreSQL each call runs on a
connection of an asyncpg pool through `run_sync`. No network call and no long computation belongs inside a transaction.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa

from tradewright.errors import SettingsInvalid, StorageFailed
from tradewright.storage.changes import Elsewhere, Written, tables_of
from tradewright.storage.replica import POSITION, Replica, Unusable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

P = ParamSpec("P")
R = TypeVar("R")
Tx = sa.Connection
IntegrityError = sa.exc.IntegrityError
"""A unique index refused a row that is there already."""

_READERS = 3


def one_statement(function: Callable[Concatenate[Tx, P], R]) -> Callable[Concatenate[Tx, P], R]:
    """Mark a reading function that runs at most one statement: PostgreSQL then needs no transaction around it, which
    saves two of its three round trips."""
    function.one_statement = True  # type: ignore[attr-defined]
    return function


_REPLICA_S = 5.0  # for a replica to take a connection, or to answer; then the primary is asked


class _Backend(Protocol):
    written: Written

    def submit(self, work: Callable[[Tx], R], write: bool) -> concurrent.futures.Future[R]: ...

    def run_short(self, work: Callable[[Tx], R], single: bool) -> R | concurrent.futures.Future[R]: ...

    def run_old(self, work: Callable[[Tx], R], single: bool) -> R | concurrent.futures.Future[R]: ...

    def changes(self) -> concurrent.futures.Future[Hashable]: ...

    def close(self) -> None: ...


class Database:
    """The door. `write` and `read` block; `write_async` and `read_async` are for an event loop."""

    def __init__(self, url: str, replica_url: str = "") -> None:
        """replica_url: of a PostgreSQL replica that may answer `read_replica_async`."""
        self.url = url
        scheme = _scheme(url)
        if replica_url and (scheme, _scheme(replica_url)) != ("postgresql", "postgresql"):
            raise SettingsInvalid(
                "database_replica_url needs a PostgreSQL database_url beside it, and must begin with postgresql://"
            )
        if scheme == "sqlite":
            self._backend: _Backend = _Sqlite(url)
        elif scheme == "postgresql":
            self._backend = _Postgres(url, replica_url)
        else:
            raise SettingsInvalid(
                f"database_url must begin with sqlite:/// or postgresql://, got {scheme or 'nothing'!r}", scheme=scheme
            )
        self.dialect = scheme
        self._elsewhere = Elsewhere(self._backend.changes)

    def write(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(tx, ...)` in a transaction and return its result once committed."""
        return _translated(self._backend.submit(lambda tx: function(tx, *args, **kwargs), True), True)

    def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(tx, ...)` on a reading connection."""
        return _translated(self._backend.submit(lambda tx: function(tx, *args, **kwargs), False))

    async def write_async(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `write`, without blocking the event loop."""
        return await _awaited(self._backend.submit(lambda tx: function(tx, *args, **kwargs), True), True)

    async def read_async(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `read`, without blocking the event loop."""
        return await _awaited(self._backend.submit(lambda tx: function(tx, *args, **kwargs), False))

    async def read_short_async(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `read_async`, for what is known to be short: a row, a page.

        SQLite answers in this thread, the event loop's: handing such a read to another one takes longer than the read.
        """
        single = getattr(function, "one_statement", False)
        return await _begun(lambda: self._backend.run_short(lambda tx: function(tx, *args, **kwargs), single))

    async def read_replica_async(
        self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """As `read_short_async`, for what may be a second old: a replica answers it where there is one.

        It is never older than the last commit of this process: a replica that is behind that, or away, is not asked.
        """
        single = getattr(function, "one_statement", False)
        return await _begun(lambda: self._backend.run_old(lambda tx: function(tx, *args, **kwargs), single))

    def state(self, *functions: Callable[..., Any]) -> Hashable:
        """Return a value that is another one once the answers of these reading functions may be others: after a commit
        of this process to one of their tables at once, after any commit of another one within FRESH_S seconds.

        To be asked for before what is remembered with it is read.
        """
        written = self._backend.written
        return self._elsewhere.now(), *[written.of(tables_of(function)) for function in functions]

    def close(self) -> None:
        """Wait for running transactions and close every connection."""
        self._elsewhere.close()
        self._backend.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _scheme(url: str) -> str:
    try:
        return sa.make_url(url).get_backend_name() if url else ""
    except (sa.exc.ArgumentError, ValueError):  # their text may hold the password: not shown, not chained
        raise SettingsInvalid(
            "database_url cannot be read; write postgresql://user:password@host:5432/name, with %40 for an @ in the "
            "password, or leave it empty for the embedded database"
        ) from None


def _translated(future: concurrent.futures.Future[R], write: bool = False) -> R:
    try:
        return future.result()
    except sa.exc.DBAPIError as error:
        if not _is_the_machines(error):
            raise
        raise _storage_failed(error, write) from error


async def _awaited(future: concurrent.futures.Future[R], write: bool = False) -> R:
    try:
        return await asyncio.wrap_future(future)
    except sa.exc.DBAPIError as error:
        if not _is_the_machines(error):
            raise
        raise _storage_failed(error, write) from error


async def _begun(begin: Callable[[], R | concurrent.futures.Future[R]]) -> R:
    try:
        answer = begin()
    except sa.exc.DBAPIError as error:
        if not _is_the_machines(error):
            raise
        raise _storage_failed(error) from error
    return await _awaited(answer) if isinstance(answer, concurrent.futures.Future) else answer


def _is_the_machines(error: sa.exc.DBAPIError) -> bool:
    # the other classes are a broken rule or statement: for the caller, or a fault of ours
    return isinstance(error, sa.exc.OperationalError) or _broke_off(error)


def _broke_off(error: sa.exc.DBAPIError) -> bool:
    plain = type(error) in (sa.exc.DatabaseError, sa.exc.DBAPIError)  # a connection that is lost in the middle, too
    return plain or isinstance(error, sa.exc.InterfaceError) or error.connection_invalidated


def _storage_failed(error: sa.exc.DBAPIError, write: bool = False) -> StorageFailed:
    cause = str(error.orig)
    in_this_process = isinstance(error.orig, sqlite3.Error)
    if write and _broke_off(error) and not in_this_process:  # perhaps after it was told to commit
        return StorageFailed(
            f"the connection to the database was lost: {cause}; whether this change was kept is not known: "
            "look for it, or ask for it again with the same Idempotency-Key"
        )
    advice = next((text for sign, text in _ADVICE.items() if sign in cause), "check the database and run it again")
    return StorageFailed(f"the database refused: {cause}; nothing of this transaction was kept; {advice}")


_ADVICE = {
    "full": "free some space and run it again",
    "not a database": "the file is damaged: put a copy of it back, or move it away to begin anew",
    "malformed": "the file is damaged: put a copy of it back, or move it away to begin anew",
    "unable to open": "check that the folder exists and may be written",
    "readonly": "check that the file and its folder may be written",
}


class _Sqlite:
    def __init__(self, url: str) -> None:
        # The driver's own transaction handling is off; BEGIN is ours, so that a write takes the lock at its start.
        self._engine, self._writing = _sqlite_engine(url, _READERS + 3), _sqlite_engine(url, 1)
        self.written = Written(self._writing)
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "database-writer")
        self._readers = concurrent.futures.ThreadPoolExecutor(_READERS, "database-reader")
        self._short = threading.local()
        self._held: list[Tx] = []

    def submit(self, work: Callable[[Tx], R], write: bool) -> concurrent.futures.Future[R]:
        return self._writer.submit(self._write, work) if write else self._readers.submit(self._read, work)

    def _write(self, work: Callable[[Tx], R]) -> R:
        with self._writing.connect() as tx:
            driver: Any = tx.connection.dbapi_connection
            before = driver.total_changes
            try:
                return _in_transaction(tx, "BEGIN IMMEDIATE", work)
            finally:
                self.written.count(tx, driver.total_changes != before)

    def _read(self, work: Callable[[Tx], R]) -> R:
        with self._engine.connect() as tx:
            return _in_transaction(tx, "BEGIN", work)

    def run_short(self, work: Callable[[Tx], R], single: bool) -> R:
        tx = self._short_connection()
        driver: Any = tx.connection.dbapi_connection
        try:
            if not single:  # one statement sees one state of the database by itself
                driver.execute("BEGIN")
            return work(tx)
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance("BEGIN", None, error, sqlite3.Error) from error
        finally:
            if tx.in_transaction():
                tx.rollback()  # nothing was written
            if driver.in_transaction:
                driver.execute("ROLLBACK")

    def run_old(self, work: Callable[[Tx], R], single: bool) -> R:
        return self.run_short(work, single)

    def changes(self) -> concurrent.futures.Future[Hashable]:
        # a number that grows when another connection than the writer's has committed, whichever process it is in
        return self._writer.submit(lambda: _data_version(self._writing))

    def _short_connection(self) -> Tx:
        # one that stays open: taking one from the pool costs more than a short read
        tx: Tx | None = getattr(self._short, "tx", None)
        if tx is None:
            tx = self._short.tx = self._engine.connect()
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
        connect_args={"timeout": 30.0, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _data_version(engine: sa.Engine) -> Hashable:
    with engine.connect() as tx:
        driver: Any = tx.connection.dbapi_connection
        return driver, driver.execute("PRAGMA data_version").fetchone()


def _in_transaction(tx: Tx, begin: str, work: Callable[[Tx], R]) -> R:
    tx.exec_driver_sql(begin)
    with tx.begin() if not tx.in_transaction() else _Joined(tx):
        return work(tx)


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


class _Postgres:
    def __init__(self, url: str, replica_url: str) -> None:
        import uvloop
        from sqlalchemy.ext.asyncio import create_async_engine  # neither is paid for by the embedded database

        async_url = _asyncpg_url(url)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="database", daemon=True)
        self._thread.start()
        self._where = f"{async_url.host}:{async_url.port or 5432}/{async_url.database}"
        self._engine = create_async_engine(
            async_url, hide_parameters=True, pool_size=8, max_overflow=8, pool_pre_ping=False
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
                pool_timeout=_REPLICA_S,
                connect_args={"timeout": _REPLICA_S, "command_timeout": _REPLICA_S},
            )
            self._replica = Replica(engine, self._position)

    def submit(self, work: Callable[[Tx], R], write: bool) -> concurrent.futures.Future[R]:
        return asyncio.run_coroutine_threadsafe(self._run(work, write), self._loop)

    def run_short(self, work: Callable[[Tx], R], single: bool) -> concurrent.futures.Future[R]:
        return asyncio.run_coroutine_threadsafe(self._read(work, single), self._loop)

    def run_old(self, work: Callable[[Tx], R], single: bool) -> concurrent.futures.Future[R]:
        return asyncio.run_coroutine_threadsafe(self._run_old(work, single, self._commits), self._loop)

    def changes(self) -> concurrent.futures.Future[Hashable]:
        return asyncio.run_coroutine_threadsafe(self._snapshot(), self._loop)

    async def _snapshot(self) -> Hashable:
        if self._replica is not None:
            return object()  # what a replica answered may be older than what the primary knows
        return await self._read(lambda tx: tx.exec_driver_sql(_SNAPSHOT).scalar_one(), True)

    async def _run_old(self, work: Callable[[Tx], R], single: bool, commits: int) -> R:
        if self._replica is not None:
            with suppress(Unusable):
                return await self._replica.run(work, commits)
        return await self._read(work, single)

    async def _read(self, work: Callable[[Tx], R], single: bool) -> R:
        if not single:
            return await self._run(work, False)
        connection = await self._connected()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            return await connection.run_sync(work)
        finally:
            await connection.close()

    async def _position(self) -> int:
        return int(await self._run(lambda tx: tx.exec_driver_sql(POSITION).scalar_one(), False))

    async def _run(self, work: Callable[[Tx], R], write: bool) -> R:
        connection = await self._connected()
        try:
            if not write:
                await connection.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
            async with connection.begin():
                return await connection.run_sync(work)
        finally:
            if write:
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
                f"no connection to the PostgreSQL database {self._where}: {cause or type(error).__name__}; check that "
                "it runs, and address, user and password in database_url"
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

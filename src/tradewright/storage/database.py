"""One way to the database: hand in a function of a Connection, get its result when the transaction has committed.

Storage functions are plain and synchronous; how they are run on each of the two databases say `sqlite_backend.py` and
`postgres_backend.py`. No network call and no long computation belongs inside a transaction.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa

from tradewright.errors import SettingsInvalid, StorageFailed
from tradewright.storage.changes import Elsewhere, Written, tables_of
from tradewright.storage.failures import is_the_machines, storage_failed
from tradewright.storage.sqlite_backend import SqliteBackend

P = ParamSpec("P")
R = TypeVar("R")
Tx = sa.Connection
IntegrityError = sa.exc.IntegrityError
"""A unique index refused a row that is there already."""


def one_statement(function: Callable[Concatenate[Tx, P], R]) -> Callable[Concatenate[Tx, P], R]:
    """Mark a reading function that runs at most one statement: PostgreSQL then needs no transaction around it, which
    saves two of its three round trips."""
    function.one_statement = True  # type: ignore[attr-defined]
    return function


class _Backend(Protocol):
    written: Written

    def submit(self, work: Callable[[Tx], R], write: bool, bounded: bool) -> concurrent.futures.Future[R]: ...

    def run_short(self, work: Callable[[Tx], R], single: bool) -> R | concurrent.futures.Future[R]: ...

    def run_old(self, work: Callable[[Tx], R], single: bool) -> R | concurrent.futures.Future[R]: ...

    def changes(self) -> concurrent.futures.Future[Hashable]: ...

    def close(self) -> None: ...


class Database:
    """The door. `write` and `read` block for as long as it takes; `write_async` and `read_async` are for an event loop,
    where somebody waits for the answer: they raise StorageFailed when the database does not give it."""

    def __init__(self, url: str, replica_url: str = "", first: Callable[[Tx], object] | None = None) -> None:
        """replica_url: of a PostgreSQL replica that may answer `read_replica_async`. first: done at the beginning of
        every writing transaction; where it raises, nothing is written."""
        self.url = url
        self._first = first
        scheme = _scheme(url)
        if replica_url and (scheme, _scheme(replica_url)) != ("postgresql", "postgresql"):
            raise SettingsInvalid(
                "database_replica_url needs a PostgreSQL database_url beside it, and must begin with postgresql://"
            )
        if scheme == "sqlite":
            self._backend: _Backend = SqliteBackend(url)
        elif scheme == "postgresql":
            from tradewright.storage.postgres_backend import PostgresBackend  # not paid for by the embedded one

            self._backend = PostgresBackend(url, replica_url)
        else:
            raise SettingsInvalid(
                f"database_url must begin with sqlite:/// or postgresql://, got {scheme or 'nothing'!r}", scheme=scheme
            )
        self.dialect = scheme
        self._elsewhere = Elsewhere(self._backend.changes)

    def write(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(tx, ...)` in a transaction and return its result once committed."""
        return _translated(
            self._backend.submit(lambda tx: self._written(tx, function, *args, **kwargs), True, False), True
        )

    def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(tx, ...)` on a reading connection."""
        return _translated(self._backend.submit(lambda tx: function(tx, *args, **kwargs), False, False))

    async def write_async(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `write`, without blocking the event loop."""
        written = self._backend.submit(lambda tx: self._written(tx, function, *args, **kwargs), True, True)
        return await _awaited(written, True)

    def _written(self, tx: Tx, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._first is not None:
            self._first(tx)
        return function(tx, *args, **kwargs)

    async def read_async(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `read`, without blocking the event loop."""
        return await _awaited(self._backend.submit(lambda tx: function(tx, *args, **kwargs), False, True))

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
    except concurrent.futures.CancelledError:
        raise StorageFailed("the database was closed before it answered: this process ends") from None
    except sa.exc.DBAPIError as error:
        if not is_the_machines(error):
            raise
        raise storage_failed(error, write) from error


async def _awaited(future: concurrent.futures.Future[R], write: bool = False) -> R:
    try:
        return await asyncio.wrap_future(future)
    except sa.exc.DBAPIError as error:
        if not is_the_machines(error):
            raise
        raise storage_failed(error, write) from error


async def _begun(begin: Callable[[], R | concurrent.futures.Future[R]]) -> R:
    try:
        answer = begin()
    except sa.exc.DBAPIError as error:
        if not is_the_machines(error):
            raise
        raise storage_failed(error, False) from error
    return await _awaited(answer) if isinstance(answer, concurrent.futures.Future) else answer

"""Reads on a PostgreSQL replica, as long as it is not behind what the caller may have seen.

A position in the primary's log says how far a replica must be: that after this process's last commit, asked for again
every second, so that what other processes wrote is at most that old too. A replica's connection says how far it has
replayed, in a statement of its own before the read begins: within the read it would be later than its snapshot.

A read may take its time, so while one does the replica is asked for a new connection: when it gives none, every read
that waits is ended; and one that has taken two seconds is ended in any case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

R = TypeVar("R")

POSITION = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"
"""How far the primary's log is on its disk: beyond every commit that was answered (synchronous_commit is on)."""
_REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END"
SOON_S = 0.5
"""For a replica to take a connection, and to say how far it is."""
_QUIET_S = SOON_S / 2  # how long a read waits until the replica is asked for a connection, and for that one
_LONGEST_S = 2.0  # for a read, with a replica that still gives connections
_ASKED_AGAIN_S = 1.0
_BEHIND_S = 0.05  # how long one that is behind is left alone
_AWAY_S = 2.0  # and one that does not answer; then one read tries it
_log = logging.getLogger("tradewright.storage")


class Unusable(Exception):
    """The replica is behind or away: ask the primary."""


class Replica:
    """One replica. Used from the event loop that talks to the database, and from no other."""

    def __init__(self, engine: AsyncEngine, position: Callable[[], Awaitable[int]]) -> None:
        """position: of the primary's log, now."""
        self._engine = engine
        self._position = position
        self._asking = asyncio.Lock()
        self._needed: tuple[int, float, int] | None = None  # commits, when it was asked for, position
        self._rest_until = 0.0
        self._away = False
        self._reading: dict[asyncpg.Connection, float] = {}  # since when
        self._watching: asyncio.Task[None] | None = None

    async def run(self, work: Callable[[sa.Connection], R], commits: int) -> R:
        """Return `work(tx)` of the replica. commits: how many this process made. Raises Unusable."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._rest_until:
            raise Unusable
        if self._away:
            self._rest_until = loop.time() + _AWAY_S  # this read tries it; the others do not wait with it
        needed = await self._needed_position(commits)
        try:
            answer = await self._run(work, needed)
        except (OSError, TimeoutError, sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            self._rest_until = loop.time() + _AWAY_S
            if not self._away:
                _log.warning("the replica does not answer (%s); the primary does meanwhile", type(error).__name__)
            self._away = True
            raise Unusable from error
        if self._away:
            _log.warning("the replica answers again")
            self._away, self._rest_until = False, 0.0
        return answer

    async def _needed_position(self, commits: int) -> int:
        async with self._asking:  # one asks, the others wait for its answer
            now = asyncio.get_running_loop().time()
            known = self._needed
            if known is None or known[0] < commits or now - known[1] > _ASKED_AGAIN_S:
                known = self._needed = (commits, now, await self._position())
            return known[2]

    async def _run(self, work: Callable[[sa.Connection], R], needed: int) -> R:
        connection = await self._engine.connect()
        try:
            raw = await connection.get_raw_connection()
            driver, known = raw.driver_connection, raw.info  # of this one backend, which never goes back
            assert isinstance(driver, asyncpg.Connection)
            try:
                if known.get("replayed", -1) < needed:
                    known["replayed"] = await _replayed(driver)
                    if known["replayed"] < needed:
                        self._rest_until = asyncio.get_running_loop().time() + _BEHIND_S
                        raise Unusable
                return await self._read(work, connection, driver)
            except (OSError, TimeoutError):
                driver.terminate()  # without a goodbye, one more question to somebody who does not answer
                await connection.invalidate()
                raise
        finally:
            await connection.close()  # it ends the transaction; nothing was written

    async def _read(
        self, work: Callable[[sa.Connection], R], connection: AsyncConnection, driver: asyncpg.Connection
    ) -> R:
        self._reading[driver] = asyncio.get_running_loop().time()
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await connection.run_sync(work)
        finally:
            del self._reading[driver]

    async def _watch(self) -> None:
        # each of the reads that it ends raises DBAPIError
        loop = asyncio.get_running_loop()
        while self._reading:
            quiet_s = loop.time() - min(self._reading.values())
            if quiet_s < _QUIET_S:
                await asyncio.sleep(_QUIET_S - quiet_s)
                continue
            until = loop.time() - (_LONGEST_S if await self._gives_connections() else 0.0)
            for driver in [each for each, since in self._reading.items() if since < until]:
                driver.terminate()
            await asyncio.sleep(_QUIET_S)

    async def _gives_connections(self) -> bool:
        _, where = self._engine.dialect.create_connect_args(self._engine.url)
        try:
            (await asyncpg.connect(**where, timeout=_QUIET_S)).terminate()
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            return True  # it has none left, and says so
        except (OSError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Close every connection."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._engine.dispose()


async def _replayed(driver: asyncpg.Connection) -> int:
    # by the driver itself: SQLAlchemy has no time for one statement, and takes two seconds to end one
    try:
        found = await driver.fetchval(_REPLAYED, timeout=SOON_S)
    except OSError:
        raise
    except Exception as error:  # of many kinds, when the server has said goodbye on this connection before
        raise OSError(str(error)) from error
    if found is None:
        raise OSError("it is no replica")
    return int(found)

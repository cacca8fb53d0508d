"""Whose changes take turns: in this process they wait for each other without holding a connection of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from tradewright.errors import TradewrightError


class Turns:
    """One lock for each name that is in use. The database has its own, which count for all processes."""

    def __init__(self, wait_s: float = 20.0) -> None:
        self._wait_s = wait_s
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, names: Sequence[str], late: TradewrightError) -> AsyncIterator[None]:
        """Wait for the turn of each name, in this order. Raises `late` when they have not all come in time."""
        held: list[asyncio.Lock] = []
        try:
            try:
                async with asyncio.timeout(self._wait_s):
                    for name in names:
                        lock = self._locks.setdefault(name, asyncio.Lock())
                        await lock.acquire()
                        held.append(lock)
            except TimeoutError:
                raise late from None
            yield
        finally:
            for lock in held:
                lock.release()

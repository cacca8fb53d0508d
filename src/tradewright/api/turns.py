"""Whose changes take turns: in this process they wait for each other without holding a connection of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from tradewright.errors import TradewrightError


class Turns:
    """One lock for each name that is in use. The database has its own, which count for all processes."""

    def __init__(self, wait_s: float = 30.0) -> None:
        self._wait_s = wait_s
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, name: str, late: TradewrightError) -> AsyncIterator[None]:
        """Wait for the turn of this name; an empty one has none. Raises `late` when it does not come in time."""
        if not name:
            yield
            return
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(self._wait_s):
                await lock.acquire()
        except TimeoutError:
            raise late from None
        try:
            yield
        finally:
            lock.release()

"""The arrays of the backtests that were read last, decoded once for all their pages."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import msgspec

_KEPT = 4


class Arrays(msgspec.Struct, frozen=True):
    """Times and equity of all rows, and the fills, each still encoded."""

    times: list[int]
    equity: list[Any]
    fills: list[msgspec.Raw]


class Results:
    """Decodes one result at a time, beside the event loop, and remembers the last four."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, Arrays] = OrderedDict()
        self._one = asyncio.Lock()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[bytes]]) -> Arrays:
        """Return the arrays remembered under `key`, or those that `read` returns encoded."""
        held = self._held.get(key)
        if held is None:
            async with self._one:
                held = self._held.get(key)
                if held is None:
                    held = await asyncio.to_thread(msgspec.json.decode, await read(), type=Arrays)
                    self._held[key] = held
        self._held.move_to_end(key)
        while len(self._held) > _KEPT:
            self._held.popitem(last=False)
        return held

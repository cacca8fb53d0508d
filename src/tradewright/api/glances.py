"""Small reads that every request needs, remembered for a moment: the state of the feed, the versions of series."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from tradewright.storage.database import Database, Tx

P = ParamSpec("P")
R = TypeVar("R")

FRESH_S = 0.25
_KEPT = 4_096


class Glances:
    """Answers of the database that may be a quarter of a second old, and never older than this process's last commit.

    So a request sees at once what its own process wrote, and within that time what another one wrote. One for each
    event loop; the arguments of a glance must be hashable, and its answer is shared: do not change it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: OrderedDict[Hashable, tuple[int, float, Any]] = OrderedDict()

    async def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function(tx, ...)` returned a moment ago, or returns now."""
        key = (function, args, tuple(kwargs.items()))
        commits, now = self._database.commits, time.monotonic()
        seen = self._seen.get(key)
        if seen is not None and seen[0] == commits and now - seen[1] <= FRESH_S:
            return cast(R, seen[2])
        answer = await self._database.read_replica_async(function, *args, **kwargs)
        self._seen[key] = (commits, now, answer)
        self._seen.move_to_end(key)
        while len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        return answer

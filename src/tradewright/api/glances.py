"""Small reads that every request needs, remembered for a moment: the state of the feed, the versions of series."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from tradewright.storage.database import Database, Tx

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)

FRESH_S = 0.25
_KEPT = 4_096
_TOGETHER = 64  # keys of a group that are read along with one that must be


class Glances:
    """Answers of the database that may be a quarter of a second old, and never older than this process's last commit.

    So a request sees at once what its own process wrote, and within that time what another one wrote. One for each
    event loop; the arguments of a glance must be hashable, and its answer is shared: do not change it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: OrderedDict[Hashable, tuple[int, float, Any]] = OrderedDict()
        self._groups: OrderedDict[Hashable, OrderedDict[Any, _Seen]] = OrderedDict()

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

    async def read_each(
        self, function: Callable[..., Mapping[K, R]], keys: Sequence[K], *args: Hashable
    ) -> list[R | None]:
        """Return what `function(tx, keys, *args)` said of each key a moment ago, or says now; None for no answer.

        Each key is remembered for itself. When one must be read, those in use that are too old are read along.
        """
        group = self._groups.setdefault((function, args), OrderedDict())
        self._groups.move_to_end((function, args))
        commits, now = self._database.commits, time.monotonic()
        found = {key: group.get(key) for key in keys}
        missing = tuple([key for key, seen in found.items() if seen is None or not seen.is_fresh(commits, now)])
        if missing:
            found |= await self._load(group, missing, function, args)
        answers = []
        for key in keys:
            seen = found[key]
            assert seen is not None
            seen.used = True
            answers.append(seen.answer)
        return answers

    async def _load(
        self, group: OrderedDict[Any, _Seen], missing: tuple[Any, ...], function: Any, args: Any
    ) -> dict[Any, _Seen]:
        commits, now = self._database.commits, time.monotonic()
        oldest = itertools.islice(group.items(), _TOGETHER)
        others = [k for k, seen in oldest if seen.used and not seen.is_fresh(commits, now) and k not in missing]
        asked = (*missing, *others)
        answers = await self._database.read_replica_async(function, asked, *args)
        loaded = {key: _Seen(commits, now, answers.get(key)) for key in asked}
        for key, seen in loaded.items():
            group[key] = seen
            group.move_to_end(key)
        while len(group) > _KEPT:
            group.popitem(last=False)
        while len(self._groups) > _KEPT:
            self._groups.popitem(last=False)
        return loaded


@dataclass(slots=True)
class _Seen:
    commits: int
    at: float
    answer: Any
    used: bool = False  # since it was read

    def is_fresh(self, commits: int, now: float) -> bool:
        """Whether it still counts as seen."""
        return self.commits == commits and now - self.at <= FRESH_S

"""Small reads that every request needs, remembered until something changes: the feed, the versions of series."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from tradewright.storage.database import Database, Tx

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)

_KEPT = 4_096
_TOGETHER = 64  # keys of a group that are read along with one that must be


class Glances:
    """Answers of reading functions marked with `reads`, which hold while their state does (`Database.state`): a request
    sees at once what its own process wrote, and within a quarter of a second what another one wrote.

    One for each event loop; the arguments of a glance must be hashable, and its answer is shared: do not change it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: OrderedDict[Hashable, tuple[Hashable, Any]] = OrderedDict()
        self._groups: OrderedDict[Hashable, OrderedDict[Any, _Seen]] = OrderedDict()

    async def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function(tx, ...)` returned in this state of the database, or returns now."""
        key = (function, args, tuple(kwargs.items()))
        state = self._database.state(function)
        seen = self._seen.get(key)
        if seen is not None and seen[0] == state:
            return cast(R, seen[1])
        answer = await self._database.read_replica_async(function, *args, **kwargs)
        self._seen[key] = (state, answer)
        self._seen.move_to_end(key)
        while len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        return answer

    async def read_each(
        self, function: Callable[..., Mapping[K, R]], keys: Sequence[K], *args: Hashable
    ) -> list[R | None]:
        """Return what `function(tx, keys, *args)` said of each key in this state, or says now; None for no answer.

        Each key is remembered for itself. When one must be read, those in use of older states are read along.
        """
        group = self._groups.setdefault((function, args), OrderedDict())
        self._groups.move_to_end((function, args))
        state = self._database.state(function)
        found = {key: group.get(key) for key in keys}
        missing = tuple([key for key, seen in found.items() if seen is None or seen.state != state])
        if missing:
            found |= await self._load(group, missing, state, function, args)
        answers = []
        for key in keys:
            seen = found[key]
            assert seen is not None
            seen.used = True
            answers.append(seen.answer)
        return answers

    async def _load(
        self, group: OrderedDict[Any, _Seen], missing: tuple[Any, ...], state: Hashable, function: Any, args: Any
    ) -> dict[Any, _Seen]:
        oldest = itertools.islice(group.items(), _TOGETHER)
        others = [k for k, seen in oldest if seen.used and seen.state != state and k not in missing]
        asked = (*missing, *others)
        answers = await self._database.read_replica_async(function, asked, *args)
        loaded = {key: _Seen(state, answers.get(key)) for key in asked}
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
    state: Hashable
    answer: Any
    used: bool = False  # since it was read

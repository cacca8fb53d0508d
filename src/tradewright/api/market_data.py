"""Bars for answers: whole series held in memory as arrays, pages cut from them."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewright.api.dated_data import DatedData
from tradewright.api.glances import Glances
from tradewright.errors import InvalidInput, NotFound
from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.panel import COLUMNS
from tradewright.storage import series
from tradewright.storage.database import Database

_READS_AS_OF = 2  # at once: each reads files
_KEPT_SERIES = 512
_KEPT_CLOSES = 8  # of each series: environments ask at the market time of their feed


class SeriesKey(NamedTuple):
    """One series; the place of it that storage functions take."""

    owner: str
    source: str
    instrument: str
    interval: str


class ServedSeries(NamedTuple):
    """A series that an answer is made from, with its verdict, and whether its source adjusts its prices."""

    key: SeriesKey
    verdict: str
    pre_adjusted: bool


@dataclass(frozen=True, slots=True)
class _Held:
    version: tuple[Any, ...]
    times: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
    closes: dict[int | None, tuple[int, float] | None] = field(
        default_factory=dict
    )  # the last one at each moment asked


class BarRow(NamedTuple):
    """One bar; missing values are NaN."""

    key: SeriesKey
    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class MarketData:
    """Answers questions about bars. Series in memory are dropped when anything was added to them. dated: what else
    there is of instruments."""

    def __init__(self, catalog: Catalog, database: Database) -> None:
        self._catalog = catalog
        self.dated = DatedData(catalog.folder)
        self._glances = Glances(database)
        self._as_of = asyncio.Semaphore(_READS_AS_OF)
        self._held: OrderedDict[SeriesKey, _Held] = OrderedDict()
        self._loading: dict[tuple[SeriesKey, tuple[Any, ...]], asyncio.Task[_Held]] = {}

    async def series_of(
        self,
        owner: str,
        instruments: Sequence[str],
        interval: str,
        source: str | None,
        preferred: Mapping[str, str] | None = None,
    ) -> list[ServedSeries]:
        """Return the series for these instruments, in that order.

        preferred: the source of an instrument, where several have it and none was named. Raises NotFound where there is
        none, InvalidInput where there are several and none is preferred.
        """
        found = await self._candidates(owner, instruments, interval, source)
        missing = [instrument for instrument in instruments if instrument not in found]
        if missing:
            at = f" from {source}" if source else ""
            named = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
            raise NotFound(f"there are no {interval} bars of {named}{at}; GET /v1/verdicts lists what there is")
        result = []
        for instrument in instruments:
            chosen = _one_of(found[instrument], owner, (preferred or {}).get(instrument))
            if chosen is None:
                names = ", ".join(sorted({each.key.source for each in found[instrument]}))
                raise InvalidInput(
                    f"{instrument} has {interval} bars from {names}; name one with source=", pointer="query:source"
                )
            result.append(chosen)
        return result

    async def series_known(
        self, owner: str, instruments: Sequence[str], interval: str, preferred: Mapping[str, str]
    ) -> list[SeriesKey]:
        """Return the keys that `series_of` returns, without the instruments for which it would raise."""
        found = await self._candidates(owner, instruments, interval, None)
        series_found = (_one_of(found.get(name, []), owner, preferred.get(name)) for name in instruments)
        return [each.key for each in series_found if each is not None]

    async def _candidates(
        self, owner: str, instruments: Sequence[str], interval: str, source: str | None
    ) -> dict[str, list[ServedSeries]]:
        seen = await self._glances.read_each(series.candidates, instruments, Owner(owner), interval)
        found: dict[str, list[ServedSeries]] = {}
        for instrument, candidates in zip(instruments, seen, strict=True):
            named = [each for each in candidates or () if source in (None, each.place[1])]
            if named:
                found[instrument] = [ServedSeries(SeriesKey(*e.place), e.verdict, e.pre_adjusted) for e in named]
        return found

    async def page(
        self,
        keys: Sequence[SeriesKey],
        start_us: int | None,
        end_us: int | None,
        as_of_us: int | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[BarRow]:
        """Return up to `limit` bars by (time, instrument), start included, end excluded, after the pair `after`."""
        if as_of_us is None:
            series_held = await self._all_series(keys)
        else:
            first = max((time for time in (start_us, after and after[0]) if time is not None), default=None)
            series_held = await self._known_then(keys, first, end_us, as_of_us)
        firsts = _first_rows(keys, series_held, start_us, after)
        end_us = _end_of_page(series_held, firsts, end_us, limit)
        rows: list[BarRow] = []
        for key, held, low in zip(keys, series_held, firsts, strict=True):
            high = min(_rows_before(held, end_us), low + limit)
            times = held.times[low:high].tolist()
            columns = [held.columns[name][low:high].tolist() for name in COLUMNS]
            rows.extend(map(BarRow._make, zip(itertools.repeat(key), times, *columns, strict=False)))
        if len(keys) > 1:
            rows.sort(key=lambda row: (row.time, row.key.instrument))
        return rows[:limit]

    async def end_of_page(
        self,
        keys: Sequence[SeriesKey],
        start_us: int | None,
        end_us: int | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> int | None:
        """Return the earliest end with which `page` returns the same rows: a full page stays the same when more bars
        are shown, one that is not full ends at `end_us`."""
        held = await self._all_series(keys)
        return _end_of_page(held, _first_rows(keys, held, start_us, after), end_us, limit)

    async def last_closes(self, keys: Sequence[SeriesKey], until_us: int | None) -> list[tuple[int, float] | None]:
        """Return time and value of the last close of each at or before `until_us` (None: the last one), or None."""
        return [_last_close(held, until_us) for held in await self._all_series(keys)]

    async def bar_at(self, key: SeriesKey, time_us: int) -> pl.DataFrame:
        """Return the bar of this time that counts, as a canonical frame of one row or none."""
        async with self._as_of:
            return await asyncio.to_thread(
                self._catalog.read, Owner(key.owner), key.source, [key.instrument], key.interval, time_us, time_us
            )

    async def times_and_closes(
        self, keys: Sequence[SeriesKey], first_us: int, as_of_us: int | None
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return the times and closes of each, raw, from `first_us` or earlier on."""
        if as_of_us is None:
            found = await self._all_series(keys)
        else:
            found = await self._known_then(keys, first_us, None, as_of_us)
        return [(held.times, held.columns["close"]) for held in found]

    async def versions(self, keys: Sequence[SeriesKey]) -> tuple[Any, ...]:
        """Return a value that changes when bars of one of these series were added."""
        return tuple(await self._versions(keys))

    async def _known_then(
        self, keys: Sequence[SeriesKey], first_us: int | None, end_us: int | None, as_of_us: int
    ) -> list[_Held]:
        found = []
        for key in keys:
            async with self._as_of:
                found.append(await asyncio.to_thread(self._load, key, (), first_us, end_us, as_of_us))
        return found

    async def _all_series(self, keys: Sequence[SeriesKey]) -> list[_Held]:
        versions = await self._versions(keys)
        found = []
        for key, version in zip(keys, versions, strict=True):
            held = self._held.get(key)
            if held is not None and held.version == version:
                self._held.move_to_end(key)
            else:
                held = await self._load_once(key, version)
            found.append(held)
        return found

    async def _versions(self, keys: Sequence[SeriesKey]) -> list[tuple[Any, ...]]:
        places: list[series.SeriesPlace] = list(keys)
        seen = await self._glances.read_each(series.versions, places)
        return [version or () for version in seen]

    async def _load_once(self, key: SeriesKey, version: tuple[Any, ...]) -> _Held:
        loading = self._loading.get((key, version))
        if loading is None:  # one load, however many requests wait for it
            loading = asyncio.get_running_loop().create_task(asyncio.to_thread(self._load, key, version))
            self._loading[key, version] = loading
            loading.add_done_callback(lambda _: self._loading.pop((key, version), None))
        held = await asyncio.shield(loading)
        self._held[key] = held
        self._held.move_to_end(key)
        while len(self._held) > _KEPT_SERIES:
            self._held.popitem(last=False)
        return held

    def _load(
        self,
        key: SeriesKey,
        version: tuple[Any, ...],
        first_us: int | None = None,
        end_us: int | None = None,
        as_of_us: int | None = None,
    ) -> _Held:
        last = None if end_us is None else end_us - 1
        frame = self._catalog.read(
            Owner(key.owner), key.source, [key.instrument], key.interval, first_us, last, as_of_us
        )
        columns = {name: frame[name].cast(float).fill_null(float("nan")).to_numpy() for name in COLUMNS}
        return _Held(version, frame["time"].to_numpy(), columns)


def _one_of(found: Sequence[ServedSeries], owner: str, preferred: str | None) -> ServedSeries | None:
    if len(found) > 1 and len({each.key.source for each in found}) > 1:
        found = [each for each in found if each.key.source == preferred]
    return next((each for each in found if each.key.owner == owner), found[0]) if found else None


def _first_rows(
    keys: Sequence[SeriesKey], series_held: Sequence[_Held], start_us: int | None, after: tuple[int, str] | None
) -> list[int]:
    firsts = []
    for key, held in zip(keys, series_held, strict=True):
        low = 0 if start_us is None else int(np.searchsorted(held.times, start_us, "left"))
        if after is not None:
            first = after[0] if key.instrument > after[1] else after[0] + 1
            low = max(low, int(np.searchsorted(held.times, first, "left")))
        firsts.append(low)
    return firsts


def _rows_before(held: _Held, end_us: int | None) -> int:
    return len(held.times) if end_us is None else int(np.searchsorted(held.times, end_us, "left"))


def _end_of_page(series_held: Sequence[_Held], firsts: Sequence[int], end_us: int | None, limit: int) -> int | None:
    parts = [
        held.times[low : min(low + limit, _rows_before(held, end_us))]
        for held, low in zip(series_held, firsts, strict=True)
    ]
    times = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return end_us if len(times) < limit else int(np.partition(times, limit - 1)[limit - 1]) + 1


def _last_close(held: _Held, until_us: int | None) -> tuple[int, float] | None:
    if until_us not in held.closes:
        while len(held.closes) >= _KEPT_CLOSES:
            del held.closes[next(iter(held.closes))]
        held.closes[until_us] = _found_close(held, until_us)
    return held.closes[until_us]


def _found_close(held: _Held, until_us: int | None) -> tuple[int, float] | None:
    last = len(held.times) if until_us is None else int(np.searchsorted(held.times, until_us, "right"))
    closes = held.columns["close"]
    for row in range(last - 1, -1, -1):
        if math.isfinite(closes[row]):
            return int(held.times[row]), float(closes[row])
    return None

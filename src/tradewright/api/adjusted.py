"""Bars adjusted for splits and dividends: raw rows of a page, each multiplied by what happened after it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from tradewright.api.market_data import BarRow, MarketData, SeriesKey
from tradewright.errors import InvalidInput
from tradewright.market.adjustment import Adjustment, steps
from tradewright.market.instruments import Interval

Action = tuple[int, float, float]


async def adjusted_rows(
    data: MarketData,
    owner: str,
    keys: Sequence[SeriesKey],
    rows: list[BarRow],
    adjustment: Adjustment,
    as_of_us: int | None,
    until_us: int,
) -> list[BarRow]:
    """Return the rows with prices and volumes as of `until_us`: by what their source had told by then and that had
    taken place. as_of_us: of the rows. Raises InvalidInput for a dividend that cannot be."""
    if not rows:
        return rows
    arrays = await data.times_and_closes(keys, min(row.time for row in rows), as_of_us)
    actions: dict[SeriesKey, list[Action]] = {}
    for source, interval in dict.fromkeys((key.source, key.interval) for key in keys):
        mine = [key for key in keys if (key.source, key.interval) == (source, interval)]
        names = [key.instrument for key in mine]
        found = await data.dated.actions(owner, source, names, Interval.parse(interval), until_us)
        actions |= {key: found.get(key.instrument, []) for key in mine}
    return await asyncio.to_thread(_adjusted, keys, arrays, actions, rows, adjustment)


def _adjusted(
    keys: Sequence[SeriesKey],
    arrays: Sequence[tuple[Any, Any]],
    actions: Mapping[SeriesKey, Sequence[Action]],
    rows: list[BarRow],
    adjustment: Adjustment,
) -> list[BarRow]:
    factors = {
        key: _Factors(times, closes, actions[key], adjustment, key.instrument)
        for key, (times, closes) in zip(keys, arrays, strict=True)
        if actions[key]
    }
    return [factors[row.key].applied(row) if row.key in factors else row for row in rows]


class _Factors:
    """Of one series: what the actions after a time multiply to."""

    def __init__(
        self, times: Any, closes: Any, actions: Sequence[Action], adjustment: Adjustment, instrument: str
    ) -> None:
        try:
            found = steps(times, closes, actions, adjustment, instrument)
        except InvalidInput as error:
            raise InvalidInput(error.message, pointer="query:adjustment") from error
        self._times = [step.time_us for step in found]
        self._products = [(1.0, 1.0)]
        for step in reversed(found):
            price, volume = self._products[0]
            self._products.insert(0, (price * step.price, volume * step.volume))

    def applied(self, row: BarRow) -> BarRow:
        price, volume = self._products[bisect_right(self._times, row.time)]
        prices = (row.open * price, row.high * price, row.low * price, row.close * price)
        return BarRow(row.key, row.time, *prices, row.volume * volume)

"""A page of bars is the first rows of them all in order, and says how far it depends on what is shown later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewright.api.market_data import MarketData, SeriesKey
from tradewright.clock import DAY_US, parse_us
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

START = parse_us("2020-01-01T00:00:00Z")
DAYS = {"A": range(40), "B": range(3, 40, 3), "C": range(30, 36)}
KEYS = {name: SeriesKey(str(SYSTEM), "binance", f"crypto:{name}-USD", "1d") for name in DAYS}
days = st.none() | st.integers(-2, 42)


@pytest.fixture(scope="module")
def market_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketData]:
    folder: Path = tmp_path_factory.mktemp("bars")
    with Database(f"sqlite:///{folder / 'test.db'}") as database:
        upgrade(database)
        catalog = Catalog(folder, database)
        prices = {"open": 1.0, "high": 2.0, "low": 1.0, "close": 1.5, "volume": 1.0}
        for name, numbers in DAYS.items():
            instrument = KEYS[name].instrument
            rows = [{"instrument": instrument, "time": START + n * DAY_US, **prices} for n in numbers]
            ingest_frame(
                catalog, database, SYSTEM, pl.DataFrame(rows), [Instrument(instrument)], interval="1d",
                source="binance", now_us=START + 90 * DAY_US, ingestion_id=name,
            )  # fmt: skip
        yield MarketData(catalog, database)


def at(day: int | None) -> int | None:
    return None if day is None else START + day * DAY_US


@given(
    st.permutations("ABC").flatmap(lambda names: st.integers(1, 3).map(lambda n: names[:n])),
    days,
    days,
    st.none() | st.tuples(st.integers(0, 40), st.sampled_from("ABC")),
    st.integers(1, 60),
    st.integers(0, 45),
)
def test_a_page_is_the_first_rows_and_stays_while_more_is_shown(
    market_data: MarketData,
    names: list[str],
    start: int | None,
    end: int | None,
    after: tuple[int, str] | None,
    limit: int,
    later: int,
) -> None:
    all_rows = sorted((START + n * DAY_US, KEYS[name].instrument) for name in names for n in DAYS[name])
    past = None if after is None else (START + after[0] * DAY_US, KEYS[after[1]].instrument)
    wanted = [
        row
        for row in all_rows
        if (start is None or row[0] >= START + start * DAY_US)
        and (end is None or row[0] < START + end * DAY_US)
        and (past is None or row > past)
    ][:limit]
    keys = [KEYS[name] for name in names]

    async def found() -> tuple[Any, Any]:
        async def page(until: int | None) -> list[tuple[int, str]]:
            rows = await market_data.page(keys, at(start), until, None, past, limit)
            return [(row.time, row.key.instrument) for row in rows]

        assert await page(at(end)) == wanted
        ends = await market_data.end_of_page(keys, at(start), at(end), past, limit)
        if len(wanted) < limit:
            assert ends == at(end)
        else:
            assert ends == wanted[-1][0] + 1
        assert await page(ends) == wanted
        moved = None if end is None else START + (end + later) * DAY_US  # more is shown
        return await page(moved), await market_data.end_of_page(keys, at(start), moved, past, limit) == ends

    rows, same = asyncio.run(found())
    if len(wanted) == limit:
        assert (rows, same) == (wanted, True)

"""However long a span, wherever its ends, whatever is missing in it: what a venue has comes once and in full."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewright.clock import parse_us
from tradewright.market.instruments import Interval
from tradewright.sources.fetch import Line, fetch_bars
from tradewright.sources.registry import SOURCES
from tradewright.transport.messages import Policy, Request, Response

MINUTE_US = Interval.MINUTE.us
BEGIN_US = parse_us("2024-01-01")
COUNT = 2_500  # minutes of which a venue has some
Candles = list[int]  # starts in seconds


@dataclass(frozen=True)
class Venue:
    """How a venue takes a span and answers. bounds: names in the query; open_start, open_end: bounds left out."""

    bounds: tuple[str, str]
    unit_us: int
    row: Callable[[int, int], Any]
    body: Callable[[list[Any]], Any]
    most: int
    newest_first: bool = False
    open_start: bool = False
    open_end: bool = False


def _array(start: int, number: int) -> list[Any]:
    return [start, number + 1, number + 3, number, number + 2, 5]  # open, high, low, close, volume


def _texts(start: int, number: int) -> list[str]:
    return [str(each) for each in _array(start, number)]


def _columns(rows: list[Any]) -> dict[str, Any]:
    names = ("ticks", "open", "high", "low", "close", "volume")
    return {"result": {"status": "ok"} | {name: [row[at] for row in rows] for at, name in enumerate(names)}}


VENUES = {
    "binance": Venue(
        ("startTime", "endTime"), 1_000, lambda s, n: [*_texts(s, n), 0, "0", 1, "0", "0", "0"], list, 1_000
    ),
    "bitfinex": Venue(("start", "end"), 1_000, lambda s, n: [s, n + 1, n + 2, n + 3, n, 5], list, 10_000),
    "bitstamp": Venue(
        ("start", "end"),
        1_000_000,
        lambda s, n: dict(zip(("timestamp", "open", "high", "low", "close", "volume"), _texts(s, n), strict=True)),
        lambda rows: {"data": {"pair": "BTC/USD", "ohlc": rows}},
        1_000,
        open_end=True,
    ),
    "bybit": Venue(
        ("start", "end"),
        1_000,
        lambda s, n: [*_texts(s, n), "0"],
        lambda rows: {"retCode": 0, "result": {"category": "spot", "list": rows}},
        1_000,
        newest_first=True,
    ),
    "coinbase": Venue(("start", "end"), 0, lambda s, n: [s, n, n + 3, n + 1, n + 2, 5], list, 300, newest_first=True),
    "coinbase_advanced": Venue(
        ("start", "end"),
        1_000_000,
        lambda s, n: dict(zip(("start", "open", "high", "low", "close", "volume"), _texts(s, n), strict=True)),
        lambda rows: {"candles": rows},
        350,
        newest_first=True,
    ),
    "deribit": Venue(("start_timestamp", "end_timestamp"), 1_000, _array, _columns, 1_000),
    "kucoin": Venue(
        ("startAt", "endAt"),
        1_000_000,
        lambda s, n: [str(each) for each in (s, n + 1, n + 2, n + 3, n, 5, 0)],
        lambda rows: {"code": "200000", "data": rows},
        1_500,
        newest_first=True,
        open_end=True,
    ),
    "okx": Venue(
        ("before", "after"),
        1_000,
        lambda s, n: [*_texts(s, n), "0", "0", "1"],
        lambda rows: {"code": "0", "data": rows},
        100,
        newest_first=True,
        open_start=True,
        open_end=True,
    ),
}


@dataclass
class Exchange:
    """A venue with some candles, as a transport. Asking for more than it gives at once is an error of ours."""

    venue: Venue
    numbers: list[int]
    received_at_us: int

    async def fetch(self, request: Request, policy: Policy = Policy()) -> Response:  # noqa: B008 - frozen
        first_us, last_us = (self._us(dict(request.query)[name]) for name in self.venue.bounds)
        first_us += self.venue.open_start
        last_us -= self.venue.open_end
        found = [n for n in self.numbers if first_us <= BEGIN_US + n * MINUTE_US <= last_us]
        oldest_first_cut = found[: self.venue.most]
        if self.venue.newest_first:
            assert len(found) <= self.venue.most
        unit_us = self.venue.unit_us or 1_000_000
        rows = [self.venue.row((BEGIN_US + n * MINUTE_US) // unit_us, n) for n in oldest_first_cut]
        body = self.venue.body(rows[::-1] if self.venue.newest_first else rows)
        return Response(200, json.dumps(body).encode(), (), self.received_at_us)

    def _us(self, text: str) -> int:
        return int(text) * self.venue.unit_us if self.venue.unit_us else parse_us(text)


@pytest.mark.parametrize("name", sorted(VENUES))
@settings(max_examples=12, deadline=None)
@given(
    begin=st.integers(-400, COUNT), length=st.integers(0, COUNT + 800), early_us=st.sampled_from([0, 1, 30_000_000]),
    late_us=st.sampled_from([0, 1, 59_999_999]), every=st.integers(1, 7), gap=st.integers(0, COUNT),
    wide=st.integers(0, 1_200), now=st.integers(1, COUNT + 5),
)  # fmt: skip
def test_every_bar_of_a_span_comes_once(
    name: str, begin: int, length: int, early_us: int, late_us: int, every: int, gap: int, wide: int, now: int
) -> None:
    source = SOURCES[name]
    numbers = [n for n in range(0, min(now + 1, COUNT), every) if not gap <= n < gap + wide]
    received_us = BEGIN_US + now * MINUTE_US + 7
    start_us = BEGIN_US + begin * MINUTE_US - early_us
    end_us = BEGIN_US + (begin + length) * MINUTE_US + late_us
    line = Line(source, Exchange(VENUES[name], numbers, received_us))
    instrument = source.instrument_of(source.example)
    frame = asyncio.run(fetch_bars(line, instrument, Interval.MINUTE, start_us, end_us))
    ends = {n: BEGIN_US + (n + 1) * MINUTE_US for n in numbers}
    wanted = {n: time for n, time in ends.items() if start_us <= time <= end_us and time <= received_us}
    assert frame["time"].to_list() == sorted(wanted.values())
    rows = frame.select("open", "high", "low", "close", "volume").rows()
    assert rows == [(n + 1, n + 3, n, n + 2, 5) for n in sorted(wanted)]

"""Candles that are read straight into columns are those that are read value by value, and so are their faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorded import LATE, bars_query, json_answer
from tradewright.errors import TradewrightError
from tradewright.market.instruments import Interval
from tradewright.sources import binance, bitfinex, coinbase, gemini
from tradewright.transport.messages import Response

MINUTE_MS = 60_000
FIRST_MS = 1_640_995_200_000
SOURCES = {
    "binance": (binance, "BTCUSDT", 1, 12),
    "bitfinex": (bitfinex, "BTC-USD", 1, 6),
    "coinbase": (coinbase, "BTC-USD", 1_000, 6),
    "gemini": (gemini, "BTC-USD", 1, 6),
}
ODD: tuple[Any, ...] = (
    None, "", "x", "-", 0, -1, 1.5, 10**15, -(10**15), 10**30, 1e300, True, False, [], {}, [None], {"a": 1}, "nan",
    "NaN", "inf", "-inf", "1e400", " 1", "+1", "1_0", ".5", "5.", "-0", "007", "1e3", 2.0, "2.0", "1,5",
)  # fmt: skip


def rows_of(name: str, texts: bool) -> list[list[Any]]:
    _, _, unit, width = SOURCES[name]
    made = []
    for n in range(5):
        prices = [100 + n, 102.25 + n, 99.5 + n, 101.0 + n, 3.25 * n]
        values: list[Any] = [str(price) for price in prices] if texts else prices
        made.append([(FIRST_MS + n * MINUTE_MS) // unit, *values, *range(width - 6)])
    return made


def outcome(name: str, answer: Response) -> Any:
    module, symbol, _, _ = SOURCES[name]
    query = bars_query(module.SOURCE, symbol, Interval.MINUTE)
    try:
        return module.parse_bars(answer, query).bars.to_dicts()
    except TradewrightError as error:
        return type(error).__name__, error.message


def by_value(rows: list[Any]) -> Response:
    """The same rows with one value more at the end, which no candle has: they are not read straight."""
    return json_answer([*rows[:-1], [*rows[-1], 0]])


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("texts", [True, False])
def test_both_ways_give_the_same_bars(name: str, texts: bool) -> None:
    rows = rows_of(name, texts)
    module = SOURCES[name][0]
    assert module.CANDLES.read(json_answer(rows)) is not None
    assert module.CANDLES.read(by_value(rows)) is None
    straight = outcome(name, json_answer(rows))
    assert len(straight) == len(rows)
    assert straight == outcome(name, by_value(rows))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("odd", ODD, ids=lambda value: json.dumps(value))
def test_an_odd_value_has_the_same_outcome_both_ways(name: str, odd: Any) -> None:
    for texts in (True, False):
        for at in range(SOURCES[name][3]):
            rows = rows_of(name, texts)
            rows[1][at] = odd
            assert outcome(name, json_answer(rows)) == outcome(name, by_value(rows)), at


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("odd", [None, 7, "x", {}, [], [1], [1, 2, 3, 4, 5]], ids=str)
def test_an_odd_row_has_the_same_outcome_both_ways(name: str, odd: Any) -> None:
    rows: list[Any] = rows_of(name, True)
    rows[1] = odd
    assert outcome(name, json_answer(rows)) == outcome(name, by_value(rows))


@pytest.mark.parametrize("name", SOURCES)
def test_an_answer_without_candles_is_read_straight_and_a_refusal_is_not(name: str) -> None:
    module = SOURCES[name][0]
    assert outcome(name, json_answer([])) == []
    assert module.CANDLES.read(Response(503, b"[]", (), LATE)) is None
    assert module.CANDLES.read(Response(200, b"[[1,2", (), LATE)) is None

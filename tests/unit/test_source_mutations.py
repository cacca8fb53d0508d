"""Recorded answers with one value changed become rows or a typed error, never another exception."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recorded import LATE, bars_query, recorded, span_query
from tradewright.errors import SourceFailed, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources.registry import SOURCES
from tradewright.transport.messages import Response

ODD: tuple[Any, ...] = (
    None, "", "x", "-", 0, -1, 1.5, 10**15, -(10**15), 1e300, True, [], {}, [None], {"a": 1}, "2024-13-45",
    "9999-12-31", "0001-01-01", "9999-12-31T23:59:59Z", "nan", "1e400", float("nan"), float("inf"), 10**400,
)  # fmt: skip
CASES = 40


def bars(name: str, symbol: str, interval: Interval = Interval.DAY) -> Callable[[Response], Any]:
    source = SOURCES[name]
    assert source.bars is not None
    parse = source.bars.parse
    return lambda answer: parse(answer, bars_query(source, symbol, interval))


def spans(name: str, part: str, symbol: str, token: str = "") -> Callable[[Response], Any]:
    source = SOURCES[name]
    parse = getattr(source, part).parse
    return lambda answer: parse(answer, span_query(source, symbol).page(token))


def quotes(name: str, symbol: str) -> Callable[[Response], Any]:
    source = SOURCES[name]
    assert source.quotes is not None
    parse, instrument = source.quotes.parse, source.instrument_of(symbol)
    return lambda answer: parse(answer, {source.symbol_of(instrument): instrument})


def listing(name: str) -> Callable[[Response], Any]:
    found = SOURCES[name].listing
    assert found is not None
    return found.parse


ANSWERS: dict[tuple[str, str], Callable[[Response], Any]] = {
    ("alpaca", "bars_daily__stock-get_bars"): bars("alpaca", "AAPL"),
    ("alpaca", "corporate_actions__corporate-actions-get_corporate_actions-1"): spans("alpaca", "actions", "ZMTBY"),
    ("alpaca", "quotes__stock-get_latest_quote"): quotes("alpaca", "AAPL"),
    ("alpaca", "instruments__assets-get_asset"): listing("alpaca"),
    ("alpha_vantage", "bars_daily__IBM-2021-01"): bars("alpha_vantage", "IBM"),
    ("alpha_vantage", "bars_intraday__MSFT-1min-compact"): bars("alpha_vantage", "MSFT", Interval.MINUTE),
    ("alpha_vantage", "bars_daily__IBM-2021-01-adjusted"): spans("alpha_vantage", "actions", "IBM"),
    ("alpha_vantage", "quotes__MSFT-global-quote"): quotes("alpha_vantage", "MSFT"),
    ("bank_of_canada", "fx_rates__recent"): bars("bank_of_canada", "fx:CAD-USD"),
    ("finnhub", "bars_daily__OANDA_EUR_USD"): bars("finnhub", "fx:EUR-USD"),
    ("finnhub", "quotes__AAPL-2023-06-05"): quotes("finnhub", "AAPL"),
    ("fmp", "bars_daily__AAPL-2023-01"): bars("fmp", "AAPL"),
    ("fmp", "ticker__AAPL"): quotes("fmp", "AAPL"),
    ("fred", "macro_series__GDP-initial-release"): spans("fred", "facts", "GDP", "Q|0"),
    ("fred", "instruments__series-info-GDP"): spans("fred", "facts", "GDP"),
    ("intrinio", "bars_daily__AAPL-2023-01"): bars("intrinio", "AAPL"),
    ("intrinio", "corporate_actions__AAPL-adjustments-2023"): spans("intrinio", "actions", "AAPL"),
    ("intrinio", "quotes__AAPL-realtime-iex"): quotes("intrinio", "AAPL"),
    ("nasdaq_data_link", "macro_series__EIA-PET_RBRTE_D"): spans("nasdaq_data_link", "facts", "macro:EIA.PET-RBRTE-D"),
    ("polygon", "bars_daily__AAPL-2023-01"): bars("polygon", "AAPL"),
    ("polygon", "splits__v3-reference-splits"): spans("polygon", "actions", "GOOG"),
    ("polygon", "instruments__v3-reference-tickers"): listing("polygon"),
    ("polygon", "snapshot__v2-snapshot-locale-us-markets-stocks-tickers-index"): quotes("polygon", "BCAT"),
    ("sec_edgar", "company_facts__CIK0000320193"): spans("sec_edgar", "facts", "AAPL", "0000320193"),
    ("sec_edgar", "instruments__company_tickers"): spans("sec_edgar", "facts", "AAPL"),
    ("tiingo", "bars_daily__AAPL-2023-02-dividend"): bars("tiingo", "AAPL"),
    ("tiingo", "bars_intraday__GOOGL-30Min-iex"): bars("tiingo", "GOOGL", Interval.MINUTES_15),
    ("tiingo", "bars_daily__btcusd-fldcbtc"): bars("tiingo", "crypto:BTC-USD"),
    ("twelve_data", "bars_daily__AAPL-1day"): bars("twelve_data", "AAPL"),
    ("twelve_data", "bars_intraday__DJI-5min"): bars("twelve_data", "index:DJI", Interval.MINUTES_5),
    ("twelve_data", "dividends__AAPL"): spans("twelve_data", "actions", "AAPL", "dividends"),
    ("twelve_data", "quotes__AAPL-quote"): quotes("twelve_data", "AAPL"),
    ("yahoo", "bars_daily__AAPL-2020-autumn-after-split"): bars("yahoo", "AAPL"),
}


def places(body: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a body, at most the first three of a list."""
    keys = list(body) if isinstance(body, dict) else list(range(min(len(body), 3))) if isinstance(body, list) else []
    for key in keys:
        yield body, key
        yield from places(body[key])


@pytest.mark.parametrize("answer", ANSWERS, ids="/".join)
def test_one_odd_value_makes_rows_or_a_typed_error(shared: Path, answer: tuple[str, str]) -> None:
    parse, whole = ANSWERS[answer], recorded(shared, *answer)
    body, chance = json.loads(whole.body), random.Random("/".join(answer))
    short = _shortened(body)
    for _ in range(CASES):
        changed = copy.deepcopy(short)
        container, key = chance.choice(list(places(changed)))
        if chance.random() < 0.2 and isinstance(container, dict):
            del container[key]
        else:
            container[key] = chance.choice(ODD)
        with contextlib.suppress(SourceFailed, UnknownName):
            parse(Response(200, json.dumps(changed).encode(), (), LATE))


def _shortened(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: _shortened(body[key]) for key in list(body)[:40]}
    return [_shortened(each) for each in body[:5]] if isinstance(body, list) else body

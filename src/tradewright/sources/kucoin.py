"""KuCoin spot: candles, prices and pairs without a key.

`GET /api/v1/market/candles` answers `{"code": "200000", "data": [...]}` with up to 1,500 arrays of texts, newest
first: start in seconds, open, close, high, low, volume, turnover (not in the usual order). An interval without a trade
may be missing. Errors have another code, often with status 200 or 400.
Source: KuCoin API documentation, spot market data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import arrays_of, bars_frame, on_grid, quotes_frame, rows_of, whole_numbers
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "kucoin", "KuCoin spot", "crypto:BTC-USDT"
BASE_URL = "https://api.kucoin.com"
PAGE_ROWS = 1_500

_SECOND = 1_000_000
_TYPES = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "1hour", "1d": "1day"}
_OURS = {"BCHSV": "BSV"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `BTC-USDT` or `crypto:BTC-USDT`. Raises UnknownName."""
    base, quote = symbols.coins(text, TITLE, EXAMPLE).symbol.split("-")
    return symbols.pair(_OURS.get(base, base), quote)


def symbol_of(instrument: Instrument) -> str:
    """Return what KuCoin calls an instrument."""
    base, quote = instrument.symbol.split("-")
    return f"{_THEIRS.get(base, base)}-{quote}"


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles by their starts; the last one is taken in whether or not `endAt` is meant to."""
    first, last = query.starts(_SECOND)
    asked = {
        "type": _TYPES[query.interval.value],
        "symbol": query.symbol,
        "startAt": str(first),
        "endAt": str(last + 1),
    }
    return Request(f"{BASE_URL}/api/v1/market/candles", query=tuple(asked.items()), weight=3)


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer, newest first."""
    data = _data(response, query.symbol)
    if not isinstance(data, list):
        raise answers.changed(response, TITLE, "list of candles")
    start, opened, close, high, low, volume = arrays_of(data, 6, TITLE)
    starts_us = on_grid(whole_numbers(start, TITLE, _SECOND), query.interval, TITLE)
    values = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of one pair."""
    return Request(f"{BASE_URL}/api/v1/market/orderbook/level1", query=(("symbol", wanted[0]),), weight=2)


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask with the time of KuCoin; nothing for a pair it does not know."""
    symbol = next(iter(wanted))
    data = _data(response, symbol)
    columns = rows_of([] if data is None else [data], ("time", "price", "bestBid", "bestAsk"), TITLE)
    times_us = whole_numbers(columns["time"], TITLE, 1_000)
    named = {
        "symbol": [symbol] * len(times_us),
        "price": columns["price"],
        "bid": columns["bestBid"],
        "ask": columns["bestAsk"],
    }
    return quotes_frame(wanted, named, times_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every pair."""
    return Request(f"{BASE_URL}/api/v2/symbols", weight=4)


def parse_listing(response: Response) -> ListingPage:
    """Return every pair with its steps."""
    data = _data(response, "")
    if not isinstance(data, list):
        raise answers.changed(response, TITLE, "list of pairs")
    listed, skipped = [], 0
    for entry in data:
        try:
            base = entry["baseCurrency"]
            instrument = symbols.pair(
                _OURS.get(base, base),
                entry["quoteCurrency"],
                tick=entry["priceIncrement"],
                lot=entry["baseIncrement"],
                minimum_notional=entry.get("minFunds"),
            )
            listed.append(Listed(entry["symbol"], instrument, bool(entry["enableTrading"])))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _data(response: Response, symbol: str) -> Any:
    body = answers.answered(response, TITLE, NAME)
    if not isinstance(body, dict) or "code" not in body:
        raise answers.changed(response, TITLE, "object with a code")
    code, said = str(body["code"]), str(body.get("msg", ""))
    if code == "200000":
        if "data" not in body:
            raise answers.changed(response, TITLE, "data")
        return body["data"]
    if code == "900001" or "symbol" in said.lower():
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if code in ("429000", "1015"):
        raise answers.limited(response, TITLE, said)
    if code == "400302":
        raise answers.refused_place(response, TITLE, NAME)
    if code in ("500000", "230003", "503000"):
        raise answers.busy(response, TITLE, said)
    raise answers.failed(response, TITLE, f"code {code}: {said}")


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(2_000, 30.0),),
    licence="market data terms of KuCoin: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars, sparse=True),
    quotes=Quotes(1, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=("an interval without a trade may have no bar", "does not serve some countries"),
)

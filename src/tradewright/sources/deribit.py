"""Deribit spot: candles, prices and pairs without a key.

`GET /api/v2/public/get_tradingview_chart_data` answers `{"result": {"status", "ticks", "open", ..., "volume"}}`,
columns of numbers, oldest first; ticks are starts in milliseconds, volume is in coins. An interval without a trade is
filled with the last price and volume 0. Most of Deribit are options, futures and perpetuals: only its spot pairs
(`BTC_USDC`) are instruments here. Errors are `{"error": {"code", "message"}}`.
Source: Deribit API v2 documentation, market data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, on_grid, quotes_frame, rows_of, whole_numbers
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "deribit", "Deribit spot", "crypto:BTC-USDC"
BASE_URL = "https://www.deribit.com"
PAGE_ROWS = 1_000
QUOTE_CURRENCIES = ("USDC", "USDT", "USDE", "USYC", "EURR", "BTC", "ETH", "USD")

_RESOLUTIONS = {"1m": "1", "5m": "5", "15m": "15", "1h": "60"}
_VALUES = ("open", "high", "low", "close", "volume")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `BTC_USDC` or `crypto:BTC-USDC`; options, futures and perpetuals are refused.

    Raises UnknownName.
    """
    read = symbols.coins(text, TITLE, EXAMPLE, QUOTE_CURRENCIES)
    if read.currency not in QUOTE_CURRENCIES:
        raise symbols.no_such(text, TITLE, EXAMPLE)
    return read


def symbol_of(instrument: Instrument) -> str:
    """Return what Deribit calls an instrument: `crypto:BTC-USDC` is `BTC_USDC`."""
    return instrument.symbol.replace("-", "_")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles by their starts, both included."""
    first, last = query.starts(1_000)
    asked = {
        "instrument_name": query.symbol,
        "start_timestamp": str(first),
        "end_timestamp": str(last),
        "resolution": _RESOLUTIONS[query.interval.value],
    }
    return Request(f"{BASE_URL}/api/v2/public/get_tradingview_chart_data", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer."""
    result = _result(response, query.symbol)
    names = ("ticks", *_VALUES)
    if not isinstance(result, dict) or any(not isinstance(result.get(name, []), list) for name in names):
        raise answers.changed(response, TITLE, "columns of candles")
    if result.get("status") not in ("ok", "no_data") or (result["status"] == "ok" and not result.keys() >= set(names)):
        raise answers.changed(response, TITLE, "columns of candles")
    starts_us = on_grid(whole_numbers(result.get("ticks", []), TITLE, 1_000), query.interval, TITLE)
    values = {name: result.get(name, []) for name in _VALUES}
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of one pair."""
    return Request(f"{BASE_URL}/api/v2/public/ticker", query=(("instrument_name", wanted[0]),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask with the time of Deribit."""
    result = _result(response, ", ".join(wanted))
    names = ("instrument_name", "last_price", "best_bid_price", "best_ask_price", "timestamp")
    columns = rows_of([result], names, TITLE)
    times_us = whole_numbers(columns.pop("timestamp"), TITLE, 1_000)
    renamed = dict(zip(("symbol", "price", "bid", "ask"), columns.values(), strict=True))
    return quotes_frame(wanted, renamed, times_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every spot pair."""
    asked = (("currency", "any"), ("kind", "spot"), ("expired", "false"))
    return Request(f"{BASE_URL}/api/v2/public/get_instruments", query=asked)


def parse_listing(response: Response) -> ListingPage:
    """Return every spot pair with its steps; everything else is skipped."""
    result = _result(response, "")
    if not isinstance(result, list):
        raise answers.changed(response, TITLE, "list of instruments")
    listed, skipped = [], 0
    for entry in result:
        try:
            if entry["kind"] != "spot":
                raise KeyError("kind")
            instrument = symbols.pair(
                entry["base_currency"],
                entry["quote_currency"],
                tick=entry["tick_size"],
                lot=entry["contract_size"],
            )
            listed.append(Listed(entry["instrument_name"], instrument, bool(entry["is_active"])))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _result(response: Response, symbol: str) -> Any:
    body = answers.answered(response, TITLE, NAME)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    error = body.get("error")
    if isinstance(error, dict):
        code, said = error.get("code"), f"{error.get('message', '')} {error.get('data') or ''}".strip()
        if code == 13020 or (code == -32602 and "instrument" in said):
            raise answers.unknown(TITLE, symbol, said, EXAMPLE)
        if code in (10028, 10040):
            raise answers.limited(response, TITLE, said)
        if code in (10047, 11051, 13028):
            raise answers.busy(response, TITLE, said)
        raise answers.failed(response, TITLE, f"code {code}: {said}")
    if response.status != 200:
        raise answers.failed(response, TITLE)
    if "result" not in body:
        raise answers.changed(response, TITLE, "result")
    return body["result"]


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(20, 1.0),),
    licence="market data terms of Deribit: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(
        (Interval.MINUTE, Interval.MINUTES_5, Interval.MINUTES_15, Interval.HOUR),
        PAGE_ROWS,
        Paging.WINDOWS,
        bars_request,
        parse_bars,
    ),
    quotes=Quotes(1, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=(
        "spot only: options, futures and perpetuals are no instruments here",
        "no bars of days: it is not documented at which hour its days begin",
        "an interval without a trade is a flat bar of volume 0",
    ),
)

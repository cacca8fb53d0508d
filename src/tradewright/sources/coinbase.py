"""Coinbase Exchange: candles, prices and products without a key.

`GET /products/BTC-USD/candles` answers up to 300 arrays of six numbers, newest first, in an order of its own: start in
seconds, low, high, open, close, volume. An interval without a trade is not there. Errors are `{"message": ...}`; a
span before the first candle is refused with "End is too old", which is no rows.
Source: Coinbase Exchange API documentation, products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.clock import format_us
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.candles import Candles
from tradewright.sources.coinbase_stream import STREAM
from tradewright.sources.rows import bars_frame, moments, on_grid, quotes_frame
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "coinbase", "Coinbase Exchange", "crypto:BTC-USD"
BASE_URL = "https://api.exchange.coinbase.com"
PAGE_ROWS = 300
_SECOND = 1_000_000
CANDLES = Candles(("start", "low", "high", "open", "close", "volume"), 6)


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `BTC-USD` or `crypto:BTC-USD`. Raises UnknownName."""
    return symbols.coins(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Coinbase calls an instrument."""
    return instrument.symbol


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles, asked by their starts, both included."""
    first, last = query.starts(_SECOND)
    asked = {
        "granularity": str(query.interval.us // _SECOND),
        "start": format_us(first * _SECOND),
        "end": format_us(last * _SECOND),
    }
    return Request(f"{BASE_URL}/products/{query.symbol}/candles", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of a candles answer, newest first."""
    values = CANDLES.read(response)
    if values is None:
        candles = answers.listed(_read(response, query.symbol), response, TITLE, "list of candles")
        values = CANDLES.columns(candles, TITLE)
    starts_us = on_grid(values.pop("start"), query.interval, TITLE, _SECOND)
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of one product."""
    return Request(f"{BASE_URL}/products/{wanted[0]}/ticker")


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the price of the last trade with its time; the answer does not name its product."""
    symbol = next(iter(wanted))
    body = _read(response, symbol)
    if not isinstance(body, dict) or "price" not in body or "time" not in body:
        raise answers.changed(response, TITLE, "ticker")
    columns = {"symbol": [symbol], "price": [body["price"]], "bid": [body.get("bid")], "ask": [body.get("ask")]}
    return quotes_frame(wanted, columns, moments([body["time"]], TITLE), TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every product."""
    return Request(f"{BASE_URL}/products")


def parse_listing(response: Response) -> ListingPage:
    """Return every product with its steps."""
    body = answers.listed(_read(response, ""), response, TITLE, "list of products")
    listed, skipped = [], 0
    for entry in body:
        try:
            instrument = symbols.pair(
                entry["base_currency"],
                entry["quote_currency"],
                tick=entry["quote_increment"],
                lot=entry["base_increment"],
                minimum_notional=entry.get("min_market_funds"),
            )
            trades = entry["status"] == "online" and not entry["trading_disabled"]
            listed.append(Listed(entry["id"], instrument, trades))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _read(response: Response, symbol: str) -> Any:
    body = answers.answered(response, TITLE, NAME)
    if response.status == 200:
        return body
    said = str(body.get("message", "")) if isinstance(body, dict) else response.start_of_body
    if response.status == 404:
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if response.status == 400 and "too old" in said:
        return []
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(10, 1.0),),
    licence="market data terms of Coinbase: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars, sparse=True),
    quotes=Quotes(1, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=STREAM,
    notes=("an interval without a trade has no bar",),
)

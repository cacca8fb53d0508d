"""Bitstamp: candles, prices and pairs without a key.

`GET /api/v2/ohlc/btcusd/` answers `{"data": {"pair": "BTC/USD", "ohlc": [...]}}` with up to 1,000 objects of texts,
oldest first: timestamp (start in seconds), open, high, low, close, volume. An interval without a trade is flat with
volume 0. A pair that is not known is answered with 404.
Source: Bitstamp HTTP API documentation, market data.
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

NAME, TITLE, EXAMPLE = "bitstamp", "Bitstamp", "crypto:BTC-USD"
BASE_URL = "https://www.bitstamp.net"
PAGE_ROWS = 1_000
QUOTE_CURRENCIES = ("PYUSD", "RLUSD", "USDT", "USDC", "BTC", "ETH", "EUR", "GBP", "PAX", "DAI", "USD")

_SECOND = 1_000_000
_VALUES = ("open", "high", "low", "close", "volume")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `btcusd`, `BTC/USD` or `crypto:BTC-USD`. Raises UnknownName."""
    return symbols.coins(text, TITLE, EXAMPLE, QUOTE_CURRENCIES)


def symbol_of(instrument: Instrument) -> str:
    """Return what Bitstamp calls an instrument: `crypto:BTC-USD` is `btcusd`."""
    return instrument.symbol.replace("-", "").lower()


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles by their starts; the last one is taken in whether or not `end` is meant to."""
    first, last = query.starts(_SECOND)
    asked = {
        "step": str(query.interval.us // _SECOND),
        "limit": str(query.limit),
        "start": str(first),
        "end": str(last + 1),
    }
    return Request(f"{BASE_URL}/api/v2/ohlc/{query.symbol}/", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer."""
    body = _read(response, query.symbol)
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("ohlc"), list):
        raise answers.changed(response, TITLE, "list of candles")
    columns = rows_of(data["ohlc"], ("timestamp", *_VALUES), TITLE)
    starts_us = on_grid(whole_numbers(columns.pop("timestamp"), TITLE, _SECOND), query.interval, TITLE)
    return BarsPage(bars_frame(NAME, query, response.received_at_us, columns, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of one pair."""
    return Request(f"{BASE_URL}/api/v2/ticker/{wanted[0]}/")


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask with the time of Bitstamp; the answer does not name its pair."""
    symbol = next(iter(wanted))
    columns = rows_of([_read(response, symbol)], ("timestamp", "last", "bid", "ask"), TITLE)
    times_us = whole_numbers(columns.pop("timestamp"), TITLE, _SECOND)
    named = {"symbol": [symbol], "price": columns["last"], "bid": columns["bid"], "ask": columns["ask"]}
    return quotes_frame(wanted, named, times_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every pair."""
    return Request(f"{BASE_URL}/api/v2/trading-pairs-info/")


def parse_listing(response: Response) -> ListingPage:
    """Return every pair with its steps; pairs of two national currencies are skipped."""
    body = answers.listed(_read(response, ""), response, TITLE, "list of pairs")
    listed, skipped = [], 0
    for entry in body:
        try:
            base, quote = entry["name"].split("/")
            instrument = symbols.pair(
                base,
                quote,
                tick=f"1e-{int(entry['counter_decimals'])}",
                lot=f"1e-{int(entry['base_decimals'])}",
                minimum_notional=entry["minimum_order"].split(" ")[0],
            )
            listed.append(Listed(entry["url_symbol"], instrument, entry["trading"] == "Enabled"))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _read(response: Response, symbol: str) -> Any:
    if response.status == 404:
        raise answers.unknown(TITLE, symbol, response.start_of_body, EXAMPLE)
    body = answers.answered(response, TITLE, NAME)
    if response.status == 200 and not (isinstance(body, dict) and ("error" in body or body.get("status") == "error")):
        return body
    said = response.start_of_body
    if isinstance(body, dict) and body.get("response_code") in ("400.002", "400.067", "400.068"):
        raise answers.limited(response, TITLE, said)
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(400, 1.0), Limit(10_000, 600.0)),
    licence="market data terms of Bitstamp: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars),
    quotes=Quotes(1, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=("an interval without a trade is a flat bar of volume 0",),
)

"""Gemini: the latest candles, prices and pairs without a key.

`GET /v2/candles/btcusd/5m` answers arrays of numbers, newest first, the first one running: start in milliseconds,
open, high, low, close, volume. It takes no span: only the latest candles are there. An interval without a trade is
flat with volume 0. Errors are `{"result": "error", "reason", "message"}`.
Source: Gemini REST API documentation, public APIs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.candles import Candles
from tradewright.sources.rows import bars_frame, on_grid, quotes_frame, rows_of
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "gemini", "Gemini", "crypto:BTC-USD"
BASE_URL = "https://api.gemini.com"
PAGE_ROWS = 1_440
CANDLES = Candles(("start", "open", "high", "low", "close", "volume"), 6)
QUOTE_CURRENCIES = (
    "RLUSD", "GUSD", "USDT", "USDC", "BTC", "ETH", "BCH", "LTC", "FIL", "SOL", "DAI", "EUR", "GBP", "SGD", "USD",
)  # fmt: skip

_FRAMES = {"1m": "1m", "5m": "5m", "15m": "15m", "1h": "1hr"}


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `btcusd`, `BTC/USD` or `crypto:BTC-USD`. Raises UnknownName."""
    return symbols.coins(text, TITLE, EXAMPLE, QUOTE_CURRENCIES)


def symbol_of(instrument: Instrument) -> str:
    """Return what Gemini calls an instrument: `crypto:BTC-USD` is `btcusd`."""
    return instrument.symbol.replace("-", "").lower()


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the latest candles."""
    return Request(f"{BASE_URL}/v2/candles/{query.symbol}/{_FRAMES[query.interval.value]}")


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer, newest first. Raises SourceFailed when the span lies before them."""
    values = CANDLES.read(response)
    if values is None:
        candles = answers.listed(_read(response, query.symbol), response, TITLE, "list of candles")
        values = CANDLES.columns(candles, TITLE)
    starts_us = on_grid(values.pop("start"), query.interval, TITLE, 1_000)
    if len(starts_us) and query.end_us < starts_us.min():
        raise answers.only_latest(TITLE, int(starts_us.min()))
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of one pair."""
    return Request(f"{BASE_URL}/v1/pubticker/{wanted[0]}")


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask; the answer does not name its pair, its time is that of the answer."""
    symbol = next(iter(wanted))
    columns = rows_of([_read(response, symbol)], ("last", "bid", "ask"), TITLE)
    named = {"symbol": [symbol], "price": columns["last"], "bid": columns["bid"], "ask": columns["ask"]}
    return quotes_frame(wanted, named, response.received_at_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every pair."""
    return Request(f"{BASE_URL}/v1/symbols")


def parse_listing(response: Response) -> ListingPage:
    """Return every pair; the list gives names only, so steps are unknown. Perpetuals are skipped."""
    body = answers.listed(_read(response, ""), response, TITLE, "list of pairs")
    listed, skipped = [], 0
    for entry in body:
        try:
            listed.append(Listed(entry, instrument_of(entry)))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _read(response: Response, symbol: str) -> Any:
    body = answers.answered(response, TITLE, NAME)
    if response.status == 200 and not (isinstance(body, dict) and body.get("result") == "error"):
        return body
    reason = str(body.get("reason", "")) if isinstance(body, dict) else ""
    said = f"{reason}: {body.get('message', '')}" if isinstance(body, dict) else response.start_of_body
    if reason in ("InvalidSymbol", "UnsupportedSymbol", "EndpointNotFound"):
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if reason in ("RateLimit", "RateLimitExceeded"):
        raise answers.limited(response, TITLE, said)
    if reason in ("Maintenance", "System", "TechnicalIssue"):
        raise answers.busy(response, TITLE, said)
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(120, 60.0),),
    licence="market data terms of Gemini: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(
        (Interval.MINUTE, Interval.MINUTES_5, Interval.MINUTES_15, Interval.HOUR),
        PAGE_ROWS,
        Paging.WHOLE,
        bars_request,
        parse_bars,
        reach_rows=PAGE_ROWS,
    ),
    quotes=Quotes(1, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=(
        "only the latest candles: it takes no span, so a day of minutes and some weeks of hours",
        "no bars of days: it is not documented at which hour its days begin",
        "an interval without a trade is a flat bar of volume 0",
    ),
)

"""Finnhub: latest prices of US shares with a free key; candles of shares, currencies and coins with a paid one.

`GET /stock/candle`, `/forex/candle` and `/crypto/candle` answer arrays side by side: `o, h, l, c, v, t` with starts in
seconds, oldest first, and `s: "no_data"` for none. A day begins at midnight of the exchange, in UTC or at 17:00 New
York of the day before, so half a day later lies within the day that is meant. `/quote` answers zeros for an unknown
symbol.
Source: Finnhub API documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from tradewright.clock import DAY_US
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, finnhub_stream, symbols
from tradewright.sources.rows import bars_frame, rows_of, whole_numbers
from tradewright.sources.source import (
    Auth,
    Bars,
    BarsPage,
    BarsQuery,
    Credentials,
    Listed,
    Listing,
    ListingPage,
    Paging,
    Quotes,
    Source,
)
from tradewright.sources.tables import in_sessions, quotes_frame
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "finnhub", "Finnhub", "equity:AAPL"
BASE_URL = "https://finnhub.io"
PAGE_ROWS = 20_000

_FRAMES = {"1m": "1", "5m": "5", "15m": "15", "1h": "60", "1d": "D"}
_PATHS = {Kind.EQUITY: "stock", Kind.FX: "forex", Kind.CRYPTO: "crypto"}
_VALUES = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_EXCHANGES = {Kind.FX: "OANDA", Kind.CRYPTO: "BINANCE"}
_COIN_QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY")
_DAYS = 100_000  # from 1970, up to the year 2243


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `OANDA:EUR_USD`, `BINANCE:BTCUSDT` or an instrument id. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    if symbol.startswith("OANDA:") or kind == "fx":
        return symbols.currencies(f"fx:{symbol.removeprefix('OANDA:')}", TITLE, "fx:EUR-USD")
    if symbol.startswith("BINANCE:") or kind == "crypto":
        return symbols.coins(f"crypto:{symbol.removeprefix('BINANCE:')}", TITLE, "crypto:BTC-USDT", _COIN_QUOTES)
    return symbols.share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Finnhub calls an instrument: `fx:EUR-USD` is `OANDA:EUR_USD`."""
    if instrument.kind is Kind.EQUITY:
        return instrument.symbol
    return f"{_EXCHANGES[instrument.kind]}:{instrument.symbol.replace('-', '_' if instrument.kind is Kind.FX else '')}"


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its header."""
    return request.saying(X_Finnhub_Token=credentials["api_key"])


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles, asked by their starts; a day begins up to a day and some hours before its end."""
    before_us = DAY_US + DAY_US // 4 if query.interval is Interval.DAY else query.interval.us
    asked = {
        "symbol": query.symbol,
        "resolution": _FRAMES[query.interval.value],
        "from": str(max(query.start_us - before_us, 0) // 1_000_000),
        "to": str(max(query.end_us, 0) // 1_000_000),
    }
    return Request(f"{BASE_URL}/api/v1/{_PATHS[query.instrument.kind]}/candle", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer."""
    body = answers.accepted(response, TITLE, NAME, query.symbol, EXAMPLE)
    if not isinstance(body, dict) or body.get("s") not in ("ok", "no_data"):
        raise answers.changed(response, TITLE, "candles")
    columns: dict[str, Any] = {
        name: body.get(name, [] if body["s"] == "no_data" else None) for name in (*_VALUES.values(), "t")
    }
    if any(not isinstance(column, list) for column in columns.values()):
        raise answers.changed(response, TITLE, "arrays of candles")
    values = {name: columns[short] for name, short in _VALUES.items()}
    starts_us = whole_numbers(columns["t"], TITLE, 1_000_000)
    if query.interval is Interval.DAY:
        frame = bars_frame(NAME, query, response.received_at_us, values, on_days=_days(starts_us))
        return BarsPage(frame)
    frame = bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us)
    return BarsPage(in_sessions(frame, query.instrument.calendar, query.interval))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest price of one share."""
    return Request(f"{BASE_URL}/api/v1/quote", query=(("symbol", wanted[0]),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the latest price; zeros are those of a symbol that Finnhub does not know and make no row."""
    body = answers.accepted(response, TITLE, NAME, ", ".join(wanted), EXAMPLE)
    columns = rows_of([body], ("c", "t"), TITLE)
    (time_us,) = whole_numbers(columns["t"], TITLE, 1_000_000)
    if time_us == 0:
        return quotes_frame((), (), (), TITLE)
    return quotes_frame(list(wanted.values())[:1], [time_us], columns["c"], TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every share of the United States."""
    return Request(f"{BASE_URL}/api/v1/stock/symbol", query=(("exchange", "US"),))


def parse_listing(response: Response) -> ListingPage:
    """Return every share that is listed."""
    body: Any = answers.accepted(response, TITLE, NAME, "", EXAMPLE)
    if not isinstance(body, list):
        raise answers.changed(response, TITLE, "list of shares")
    listed, skipped = [], 0
    for entry in body:
        try:
            listed.append(Listed(entry["symbol"], symbols.share(entry["symbol"], TITLE, EXAMPLE)))
        except answers.REFUSED_ENTRY:
            skipped += 1
    if skipped and not listed:
        raise answers.changed(response, TITLE, "list of shares")
    return ListingPage(tuple(listed), skipped)


def _days(starts_us: Sequence[int]) -> list[date]:
    since = [(start_us + DAY_US // 2) // DAY_US for start_us in starts_us]
    if any(abs(each) > _DAYS for each in since):
        raise SourceFailed(f"{TITLE} sent a time far from any market; the answer may have changed its form")
    first = date(1970, 1, 1).toordinal()
    return [date.fromordinal(first + each) for each in since]


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.FX, Kind.CRYPTO),
    limits=(Limit(60, 60.0), Limit(30, 1.0)),
    licence="Finnhub terms: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "make a free key at https://finnhub.io/register"),
    bars=Bars(
        tuple(Interval), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars, adjusted=True, revised=True, sparse=True
    ),
    quotes=Quotes(1, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=finnhub_stream.STREAM,
    markets={Kind.CRYPTO: "binance"},
    notes=(
        "coins are those of Binance: compared with `binance` both have one vote",
        "candles need a paid plan; the free one has quotes, the list of shares and the stream",
        "a symbol that Finnhub does not know has candles without rows",
    ),
)

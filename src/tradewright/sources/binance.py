"""Binance spot: candles, prices, pairs and trades without a key.

`GET /api/v3/klines` answers up to 1,000 arrays of twelve, oldest first, the last one possibly still running: open time,
open, high, low, close, volume, close time, quote volume, trades, taker base, taker quote, unused; times in milliseconds
(microseconds in files since 2025), prices as text. Errors are `{"code": -1121, "msg": ...}` with a 4xx status.
Source: Binance spot API documentation, market data endpoints and web socket streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.binance_stream import STREAM
from tradewright.sources.candles import Candles
from tradewright.sources.rows import QUOTES, bars_frame, numbers, on_grid, rows_of
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE = "binance", "Binance spot"
BASE_URL = "https://api.binance.com"
PAGE_ROWS = 1_000
QUOTE_CURRENCIES = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "DAI", "BTC", "ETH", "BNB", "EUR", "GBP", "TRY", "BRL", "JPY", "USD",
)  # fmt: skip
FIELDS = 12
CANDLES = Candles(("start", "open", "high", "low", "close", "volume"), FIELDS)
MICROSECONDS_FROM = 10**14  # a time beyond this is in microseconds: in milliseconds it would be after the year 5000
EXAMPLE = "crypto:BTC-USDT"

_UNKNOWN_SYMBOL = -1121
_TOO_MANY = frozenset({-1003, -1015})


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `BTCUSDT`, `BTC-USDT` or `crypto:BTC-USDT`, priced in its quote currency.

    Raises UnknownName when it is no pair of this source.
    """
    kind, symbol = symbols.split(text)
    if "-" not in symbol:
        quote = next((q for q in QUOTE_CURRENCIES if symbol.endswith(q) and len(symbol) > len(q)), "")
        symbol = f"{symbol.removesuffix(quote)}-{quote}" if quote else symbol
    if kind not in ("", "crypto") or symbol.count("-") != 1:
        raise symbols.no_such(text, TITLE, f"{EXAMPLE} or BTCUSDT")
    return symbols.coins(f"crypto:{symbol}", TITLE, f"{EXAMPLE} or BTCUSDT", separators="-")


def symbol_of(instrument: Instrument) -> str:
    """Return what Binance calls an instrument: `crypto:BTC-USDT` is `BTCUSDT`."""
    return instrument.symbol.replace("-", "")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles; it asks by their starts."""
    first_open_ms = -(-(query.start_us - query.interval.us) // 1_000)
    last_open_ms = (query.end_us - query.interval.us) // 1_000
    asked = {
        "symbol": query.symbol,
        "interval": query.interval.value,
        "startTime": str(max(first_open_ms, 0)),
        "endTime": str(max(last_open_ms, 0)),
        "limit": str(query.limit),
    }
    return Request(f"{BASE_URL}/api/v3/klines", query=tuple(asked.items()), weight=2)


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of a klines answer, in the order received."""
    values = CANDLES.read(response) or CANDLES.columns(_candles(response, query.symbol), TITLE)
    starts = values.pop("start")
    unit_us = 1 if len(starts) and np.min(starts) >= MICROSECONDS_FROM else 1_000
    starts_us = on_grid(starts, query.interval, TITLE, unit_us)
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def _candles(response: Response, symbol: str) -> list[Any]:
    body = _read(response, symbol)
    if not isinstance(body, list) or not all(isinstance(row, list) and len(row) >= FIELDS for row in body):
        raise answers.changed(response, TITLE, "list of candles")
    return body


def quotes_request(symbols: Sequence[str]) -> Request:
    """Return the request for the best bid and ask of each symbol."""
    wanted = msgspec.json.encode(list(symbols)).decode()
    return Request(f"{BASE_URL}/api/v3/ticker/bookTicker", query=(("symbols", wanted),), weight=4)


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the middle, bid and ask of each; Binance gives no time, so it is that of the answer."""
    body = answers.listed(_read(response, ", ".join(wanted)), response, TITLE, "list of quotes")
    columns = rows_of(body, ("symbol", "bidPrice", "askPrice"), TITLE)
    bid, ask = numbers(columns["bidPrice"], TITLE), numbers(columns["askPrice"], TITLE)
    frame = pl.DataFrame({"symbol": pl.Series(columns["symbol"], dtype=pl.String), "bid": bid, "ask": ask})
    known = {symbol: instrument.id for symbol, instrument in wanted.items()}
    return frame.filter(pl.col("symbol").is_in(list(known))).select(
        pl.col("symbol").replace_strict(known, return_dtype=pl.String).alias("instrument"),
        pl.lit(response.received_at_us, pl.Int64).alias("time"),
        ((pl.col("bid") + pl.col("ask")) / 2).alias("price"),
        "bid",
        "ask",
    ).select(list(QUOTES))  # fmt: skip


def listing_request(token: str) -> Request:
    """Return the request for every pair."""
    return Request(f"{BASE_URL}/api/v3/exchangeInfo", weight=20)


def parse_listing(response: Response) -> ListingPage:
    """Return every pair with its smallest steps."""
    body = _read(response, "")
    if not isinstance(body, dict) or not isinstance(body.get("symbols"), list):
        raise answers.changed(response, TITLE, "list of pairs")
    listed, skipped = [], 0
    for entry in body["symbols"]:
        try:
            filters = {each["filterType"]: each for each in entry.get("filters", ())}
            notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
            instrument = symbols.pair(
                entry["baseAsset"],
                entry["quoteAsset"],
                tick=filters.get("PRICE_FILTER", {}).get("tickSize"),
                lot=filters.get("LOT_SIZE", {}).get("stepSize"),
                minimum_notional=notional.get("minNotional"),
            )
            listed.append(Listed(entry["symbol"], instrument, entry.get("status", "TRADING") == "TRADING"))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _read(response: Response, symbol: str) -> Any:
    body = answers.json_of(response, TITLE)
    if response.status == 200 and not (isinstance(body, dict) and "code" in body):
        return body
    code = body.get("code") if isinstance(body, dict) else None
    said = str(body.get("msg", "")) if isinstance(body, dict) else response.start_of_body
    if code == _UNKNOWN_SYMBOL:
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if code in _TOO_MANY or response.status in (418, 429):
        raise answers.limited(response, TITLE, said)
    if response.status == 451:
        raise SourceFailed(
            f"{TITLE} refuses this location (451): {said}; set TRADEWRIGHT_BINANCE_URL to an address that serves "
            "yours, for example https://api.binance.us",
            status=451,
        )
    raise answers.failed(response, TITLE, f"code {code}: {said}")


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(6_000, 60.0),),
    licence="market data terms of Binance: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.ADVANCE, bars_request, parse_bars),
    quotes=Quotes(100, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=STREAM,
)

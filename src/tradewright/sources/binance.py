"""Binance spot: candles without a key.

`GET /api/v3/klines` answers up to 1,000 arrays of twelve, oldest first, the last one possibly still running: open time,
open, high, low, close, volume, close time, quote volume, trades, taker base, taker quote, unused; times in milliseconds
(microseconds in files since 2025), prices as text. Errors are `{"code": -1121, "msg": ...}` with a 4xx status.
Source: Binance spot API documentation, market data endpoints.
"""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.frames import canonical
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources.source import Source
from tradewright.transport.messages import Request, Response

NAME = "binance"
BASE_URL = "https://api.binance.com"
PAGE_ROWS = 1_000
QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "DAI", "BTC", "ETH", "BNB", "EUR", "GBP", "TRY", "BRL", "JPY", "USD")
FIELDS = 12
MICROSECONDS_FROM = 10**14  # a time beyond this is in microseconds: in milliseconds it would be after the year 5000

_UNKNOWN_SYMBOL = -1121
_TOO_MANY = frozenset({-1003, -1015})


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `BTCUSDT`, `BTC-USDT` or `crypto:BTC-USDT`, priced in its quote currency.

    Raises UnknownName when it is no pair of this source.
    """
    symbol = text.removeprefix("crypto:").upper()
    base, dash, quote = symbol.rpartition("-")
    if not dash:
        quote = next((q for q in QUOTES if symbol.endswith(q) and len(symbol) > len(q)), "")
        base = symbol[: -len(quote)] if quote else ""
    if not (base.isalnum() and quote.isalnum()) or text.partition(":")[0] in ("equity", "index", "fx", "macro"):
        raise UnknownName(f"{text!r} is no pair of Binance; write it like crypto:BTC-USDT or BTCUSDT", name=text)
    return Instrument(f"crypto:{base}-{quote}", currency=quote, name=f"{base}/{quote}")


def symbol_of(instrument: Instrument) -> str:
    """Return what Binance calls an instrument: `crypto:BTC-USDT` is `BTCUSDT`."""
    return instrument.symbol.replace("-", "")


def bars_request(symbol: str, interval: Interval, start_us: int, end_us: int, limit: int = PAGE_ROWS) -> Request:
    """Return the request for up to `limit` bars whose ends lie in start_us..end_us, both included."""
    first_open_ms = -(-(start_us - interval.us) // 1_000)
    last_open_ms = (end_us - interval.us) // 1_000
    query = {
        "symbol": symbol,
        "interval": interval.value,
        "startTime": str(max(first_open_ms, 0)),
        "endTime": str(max(last_open_ms, 0)),
        "limit": str(limit),
    }
    return Request(f"{BASE_URL}/api/v3/klines", query=tuple(query.items()))


def parse_bars(response: Response, instrument: Instrument, interval: Interval) -> pl.DataFrame:
    """Return the complete bars of a klines answer as a canonical frame, in the order received.

    A bar is complete when its close time had passed when the answer came in. Raises UnknownName, SourceLimited,
    SourceFailed as the port says.
    """
    body = _decoded(response)
    if response.status != 200 or isinstance(body, dict):
        raise _refusal(response, body, instrument)
    if not isinstance(body, list) or any(not isinstance(row, list) or len(row) != FIELDS for row in body):
        raise SourceFailed(f"Binance sent no list of candles but {response.start_of_body}; its API may have changed")
    columns = list(zip(*body, strict=True)) if body else [()] * FIELDS
    try:
        raw = pl.DataFrame(
            {"opened": pl.Series(columns[0], dtype=pl.Int64), "closed": pl.Series(columns[6], dtype=pl.Int64)}
            | {
                name: pl.Series(columns[at], dtype=pl.String).cast(pl.Float64)
                for at, name in enumerate(("open", "high", "low", "close", "volume"), start=1)
            }
        )
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise SourceFailed(f"Binance sent a candle that cannot be read: {error}") from error
    factor = pl.when(pl.col("opened") >= MICROSECONDS_FROM).then(1).otherwise(1_000)
    bars = raw.with_columns((pl.col("opened") * factor + interval.us).alias("time"))
    complete = bars.filter((pl.col("time") <= response.received_at_us) & (pl.col("closed") > pl.col("opened")))
    return canonical(
        complete.drop("opened", "closed"),
        source=NAME,
        instrument=instrument.id,
        interval=interval.value,
        observed_at_us=response.received_at_us,
    )


def _decoded(response: Response) -> Any:
    try:
        return msgspec.json.decode(response.body)
    except msgspec.DecodeError as error:
        raise SourceFailed(
            f"Binance answered {response.status}, not in JSON: {response.start_of_body!r}; "
            "a proxy or a block page may stand in between",
            status=response.status,
        ) from error


def _refusal(response: Response, body: Any, instrument: Instrument) -> Exception:
    code = body.get("code") if isinstance(body, dict) else None
    said = body.get("msg", "") if isinstance(body, dict) else response.start_of_body
    if code == _UNKNOWN_SYMBOL:
        return UnknownName(
            f"Binance does not know {symbol_of(instrument)!r} ({said}); look the pair up and write it like "
            "crypto:BTC-USDT",
            name=instrument.id,
            source=NAME,
        )
    if code in _TOO_MANY or response.status in (418, 429):
        return SourceLimited(f"Binance asks us to slow down: {said}", status=response.status, source_code=code)
    if response.status == 451:
        return SourceFailed(
            f"Binance refuses this location (451): {said}; set TRADEWRIGHT_BINANCE_URL to an address that serves "
            "yours, for example https://api.binance.us",
            status=451,
        )
    return SourceFailed(f"Binance refused ({response.status}, code {code}): {said}", status=response.status)


SOURCE = Source(
    name=NAME,
    title="Binance spot",
    kinds=(Kind.CRYPTO,),
    intervals=tuple(Interval),
    auth="none",
    page_rows=PAGE_ROWS,
    limits="6,000 request weight a minute and address; a page of candles weighs 2",
    licence="market data terms of Binance: own use, not for passing on",
    base_url=BASE_URL,
    base_url_variable="TRADEWRIGHT_BINANCE_URL",
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    bars_request=bars_request,
    parse_bars=parse_bars,
)

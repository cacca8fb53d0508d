"""Bybit spot, API v5: candles, prices and pairs without a key.

`GET /v5/market/kline` answers `{"retCode": 0, "result": {"category", "symbol", "list": [...]}}` with up to 1,000
arrays, newest first, the first one possibly still running: start in milliseconds, open, high, low, close, volume,
turnover, as text. `category` is required; in other categories than spot volumes are contracts, so only spot is read.
Errors come with status 200 and another `retCode`; some countries get a page with 403.
Source: Bybit API v5 documentation, market.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.bybit_stream import STREAM
from tradewright.sources.rows import arrays_of, bars_frame, on_grid, quotes_frame, rows_of, whole_numbers
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "bybit", "Bybit spot", "crypto:BTC-USDT"
BASE_URL = "https://api.bybit.com"
PAGE_ROWS = 1_000
QUOTE_CURRENCIES = (
    "USDTB", "RLUSD", "XUSD", "USDT", "USDC", "USDE", "USDR", "USDQ", "USD1", "BRL", "BRZ", "DAI", "EUR", "PLN", "TRY",
    "BTC", "ETH", "MNT", "SOL",
)  # fmt: skip

_INTERVALS = {"1m": "1", "5m": "5", "15m": "15", "1h": "60", "1d": "D"}
_SPOT = ("category", "spot")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `BTCUSDT`, `BTC-USDT` or `crypto:BTC-USDT`. Raises UnknownName."""
    return symbols.coins(text, TITLE, EXAMPLE, QUOTE_CURRENCIES)


def symbol_of(instrument: Instrument) -> str:
    """Return what Bybit calls an instrument."""
    return instrument.symbol.replace("-", "")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles, asked by their starts, both included."""
    first, last = query.starts(1_000)
    asked = {
        "symbol": query.symbol,
        "interval": _INTERVALS[query.interval.value],
        "start": str(first),
        "end": str(last),
        "limit": str(query.limit),
    }
    return Request(f"{BASE_URL}/v5/market/kline", query=(_SPOT, *asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of a kline answer, newest first."""
    listed = _listed(response, query.symbol)
    start, opened, high, low, close, volume = arrays_of(listed, 6, TITLE)
    starts_us = on_grid(whole_numbers(start, TITLE, 1_000), query.interval, TITLE)
    values = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest prices: of one pair, or of all when there are several."""
    only = (("symbol", wanted[0]),) if len(wanted) == 1 else ()
    return Request(f"{BASE_URL}/v5/market/tickers", query=(_SPOT, *only))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask of each; the time is that of the answer."""
    listed = _listed(response, ", ".join(wanted))
    columns = rows_of(listed, ("symbol", "lastPrice", "bid1Price", "ask1Price"), TITLE)
    renamed = dict(zip(("symbol", "price", "bid", "ask"), columns.values(), strict=True))
    return quotes_frame(wanted, renamed, response.received_at_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every pair; spot comes in one page."""
    return Request(f"{BASE_URL}/v5/market/instruments-info", query=(_SPOT,))


def parse_listing(response: Response) -> ListingPage:
    """Return every pair with its steps; contracts are skipped."""
    listed, skipped = [], 0
    for entry in _listed(response, ""):
        try:
            if "contractType" in entry:
                raise KeyError("contractType")
            lots = entry["lotSizeFilter"]
            instrument = symbols.pair(
                entry["baseCoin"],
                entry["quoteCoin"],
                tick=entry["priceFilter"]["tickSize"],
                lot=lots["basePrecision"],
                minimum_notional=lots.get("minOrderAmt"),
            )
            listed.append(Listed(entry["symbol"], instrument, entry["status"] == "Trading"))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _listed(response: Response, symbol: str) -> list[Any]:
    body = answers.answered(response, TITLE, NAME)
    if not isinstance(body, dict) or "retCode" not in body:
        raise answers.changed(response, TITLE, "object with a retCode")
    code, said = str(body["retCode"]), str(body.get("retMsg", ""))
    if code == "10001" and "symbol" in said.lower():
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if code in ("10006", "10018"):
        raise answers.limited(response, TITLE, said)
    if code in ("10000", "10016"):
        raise answers.busy(response, TITLE, f"code {code}: {said}")
    if code == "10009" or code == "10024":
        raise answers.refused_place(response, TITLE, NAME)
    if code in ("10003", "10004", "10005", "33004"):
        raise answers.refused_key(response, TITLE, NAME, said)
    if code != "0":
        raise answers.failed(response, TITLE, f"code {code}: {said}")
    result = body.get("result")
    if not isinstance(result, dict) or not isinstance(result.get("list"), list):
        raise answers.changed(response, TITLE, "list")
    if result.get("category", "spot") != "spot":
        raise SourceFailed(
            f"{TITLE} answered with the category {result['category']!r}, whose volumes are contracts; only spot is read"
        )
    return list(result["list"])


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(600, 5.0),),
    licence="market data terms of Bybit: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars),
    quotes=Quotes(1_000, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=STREAM,
    notes=("spot only: futures and swaps have volumes in contracts", "does not serve some countries (403)"),
)

"""OKX spot, API v5: candles, prices and pairs without a key.

`GET /api/v5/market/history-candles` answers `{"code": "0", "data": [...]}` with up to 100 arrays, newest first: start
in milliseconds, open, high, low, close, volume, volume in the quote currency twice, and "1" when the candle is
complete. `after` asks for older ones than a time, `before` for newer ones. Days begin at 16:00 UTC unless the bar is
`1Dutc`. The volume of swaps is in contracts, so only spot is read. Errors come with a code, often with status 200.
Source: OKX API v5 documentation, order book trading, market data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.okx_stream import STREAM
from tradewright.sources.rows import arrays_of, bars_frame, on_grid, quotes_frame, rows_of, whole_numbers
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "okx", "OKX spot", "crypto:BTC-USDT"
BASE_URL = "https://www.okx.com"
PAGE_ROWS = 100

_BARS = {"1m": "1m", "5m": "5m", "15m": "15m", "1h": "1H", "1d": "1Dutc"}
_LIMITED = ("50011", "50013", "50061")
_BUSY = ("50001", "50004", "50026")
_KEY = ("50100", "50101", "50103", "50104", "50105", "50111", "50112", "50113", "50119")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `BTC-USDT` or `crypto:BTC-USDT`; swaps and futures are refused. Raises UnknownName."""
    return symbols.coins(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what OKX calls an instrument."""
    return instrument.symbol


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles; both bounds are left out by OKX, so they are one millisecond further apart."""
    first, last = query.starts(1_000)
    asked = {
        "instId": query.symbol,
        "bar": _BARS[query.interval.value],
        "before": str(max(first - 1, 0)),
        "after": str(last + 1),
        "limit": str(query.limit),
    }
    return Request(f"{BASE_URL}/api/v5/market/history-candles", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the bars that OKX says are complete, newest first."""
    columns = arrays_of(_data(response, query.symbol), 9, TITLE)
    complete = [at for at, flag in enumerate(columns[8]) if flag == "1"]
    start, *rest = ([column[at] for at in complete] for column in columns[:6])
    starts_us = on_grid(whole_numbers(start, TITLE, 1_000), query.interval, TITLE)
    values = dict(zip(("open", "high", "low", "close", "volume"), rest, strict=True))
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest prices: of one pair, or of all when there are several."""
    if len(wanted) == 1:
        return Request(f"{BASE_URL}/api/v5/market/ticker", query=(("instId", wanted[0]),))
    return Request(f"{BASE_URL}/api/v5/market/tickers", query=(("instType", "SPOT"),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask of each with the time of OKX."""
    columns = rows_of(_data(response, ", ".join(wanted)), ("instId", "last", "bidPx", "askPx", "ts"), TITLE)
    times_us = whole_numbers(columns.pop("ts"), TITLE, 1_000)
    renamed = dict(zip(("symbol", "price", "bid", "ask"), columns.values(), strict=True))
    return quotes_frame(wanted, renamed, times_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every pair of the spot market."""
    return Request(f"{BASE_URL}/api/v5/public/instruments", query=(("instType", "SPOT"),))


def parse_listing(response: Response) -> ListingPage:
    """Return every pair with its steps; swaps, futures and options are skipped. OKX gives no smallest notional."""
    listed, skipped = [], 0
    for entry in _data(response, ""):
        try:
            if entry["instType"] != "SPOT":
                raise KeyError("instType")
            instrument = symbols.pair(entry["baseCcy"], entry["quoteCcy"], tick=entry["tickSz"], lot=entry["lotSz"])
            listed.append(Listed(entry["instId"], instrument, entry["state"] == "live"))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _data(response: Response, symbol: str) -> list[Any]:
    body = answers.answered(response, TITLE, NAME)
    if not isinstance(body, dict) or "code" not in body:
        raise answers.changed(response, TITLE, "object with a code")
    code, said = str(body["code"]), str(body.get("msg", ""))
    if code in ("51001", "51000") and "inst" in said.lower():
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if code in _LIMITED:
        raise answers.limited(response, TITLE, said)
    if code in _BUSY:
        raise answers.busy(response, TITLE, f"code {code}: {said}")
    if code in _KEY:
        raise answers.refused_key(response, TITLE, NAME, said)
    if code != "0":
        raise answers.failed(response, TITLE, f"code {code}: {said}")
    if not isinstance(body.get("data"), list):
        raise answers.changed(response, TITLE, "list of data")
    return list(body["data"])


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(20, 2.0),),
    licence="market data terms of OKX: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars),
    quotes=Quotes(1_000, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=STREAM,
    notes=("spot only: swaps and futures have volumes in contracts", "does not serve some countries"),
)

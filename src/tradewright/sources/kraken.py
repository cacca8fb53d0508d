"""Kraken spot: candles, prices and pairs without a key.

`GET /0/public/OHLC` answers `{"error": [], "result": {NAME: [...], "last": ...}}` with at most the latest 720 candles
whatever `since` says, oldest first, the last one running: start in seconds, open, high, low, close, mean, volume,
trades, as text. NAME is Kraken's own (XXBTZUSD for XBTUSD); XBT is bitcoin, XDG dogecoin. A minute without a trade
comes as a flat candle of volume 0. Errors come with status 200 and no result.
Source: Kraken spot REST documentation, market data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.kraken_names import EXAMPLE, TITLE, instrument_of, ours, plain, symbol_of
from tradewright.sources.kraken_stream import STREAM
from tradewright.sources.rows import arrays_of, bars_frame, on_grid, quotes_frame, whole_numbers
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME = "kraken"
BASE_URL = "https://api.kraken.com"
PAGE_ROWS = 720

_SECOND = 1_000_000
_UNKNOWN = ("EQuery:Unknown asset pair", "EGeneral:Unknown asset pair")
_LIMITED = ("EGeneral:Too many requests", "EAPI:Rate limit exceeded", "EGeneral:Temporary lockout")
_BUSY = ("EService:Unavailable", "EService:Busy", "EService:Timeout", "EGeneral:Internal error")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles that begin after a second."""
    first, _ = query.starts(_SECOND)
    asked = {
        "pair": query.symbol,
        "interval": str(query.interval.us // (60 * _SECOND)),
        "since": str(max(first - 1, 0)),
    }
    return Request(f"{BASE_URL}/0/public/OHLC", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer. Raises SourceFailed when the span lies before the candles it still has."""
    result = _read(response, query.symbol)
    found = [rows for name, rows in result.items() if name != "last"]
    if len(found) != 1 or not isinstance(found[0], list):
        raise answers.changed(response, TITLE, "list of candles")
    start, opened, high, low, close, _, volume = arrays_of(found[0], 7, TITLE)
    starts_us = on_grid(whole_numbers(start, TITLE, _SECOND), query.interval, TITLE)
    if len(starts_us) and query.end_us < starts_us[0]:
        raise answers.only_latest(TITLE, int(starts_us[0]))
    values = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of each pair."""
    return Request(f"{BASE_URL}/0/public/Ticker", query=(("pair", ",".join(wanted)),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask of each; Kraken gives no time, so it is that of the answer."""
    result = _read(response, ", ".join(wanted))
    try:
        columns = {
            "symbol": [name if name in wanted else plain(name) for name in result],
            "price": [each["c"][0] for each in result.values()],
            "bid": [each["b"][0] for each in result.values()],
            "ask": [each["a"][0] for each in result.values()],
        }
    except (KeyError, IndexError, TypeError):
        raise answers.changed(response, TITLE, "object of tickers") from None
    return quotes_frame(wanted, columns, response.received_at_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every pair."""
    return Request(f"{BASE_URL}/0/public/AssetPairs")


def parse_listing(response: Response) -> ListingPage:
    """Return every pair with its steps; dark pools are skipped."""
    listed, skipped = [], 0
    for entry in _read(response, "").values():
        try:
            base, quote = entry["wsname"].split("/")
            instrument = symbols.pair(
                ours(base),
                ours(quote),
                tick=entry.get("tick_size") or f"1e-{int(entry['pair_decimals'])}",
                lot=f"1e-{int(entry['lot_decimals'])}",
                minimum_notional=entry.get("costmin"),
            )
            listed.append(Listed(entry["altname"], instrument, entry.get("status", "online") == "online"))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _read(response: Response, symbol: str) -> dict[str, Any]:
    body = answers.answered(response, TITLE, NAME)
    if not isinstance(body, dict) or not isinstance(body.get("error"), list):
        raise answers.changed(response, TITLE, "object with errors and a result")
    said = ", ".join(str(each) for each in body["error"])
    if not said:
        result = body.get("result")
        if not isinstance(result, dict):
            raise answers.changed(response, TITLE, "result")
        return result
    if said.startswith(_UNKNOWN):
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if said.startswith(_LIMITED):
        raise answers.limited(response, TITLE, said)
    if said.startswith(_BUSY):
        raise answers.busy(response, TITLE, said)
    if said.startswith("EAPI:Invalid"):
        raise answers.refused_key(response, TITLE, NAME, said)
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(1, 1.0),),
    licence="market data terms of Kraken: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.WHOLE, bars_request, parse_bars, reach_rows=PAGE_ROWS),
    quotes=Quotes(20, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=STREAM,
    notes=(
        "only the latest 720 candles of an interval: half a day of minutes, almost two years of days",
        "an interval without a trade is a flat bar of volume 0",
    ),
)

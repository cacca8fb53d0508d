"""Bitfinex: candles, prices and pairs without a key.

`GET /v2/candles/trade:1m:tBTCUSD/hist` answers arrays of numbers, with `sort=1` oldest first, up to 10,000: start in
milliseconds, open, close, high, low, volume (not in the usual order). An interval without a trade is not there. A pair
is `tBTCUSD`, or `tDUSK:USD` where a name has more than three letters; UST is tether, UDC is USD coin. Errors are
`["error", CODE, TEXT]`, mostly with status 500.
Source: Bitfinex API v2 documentation, public endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.candles import Candles
from tradewright.sources.rows import arrays_of, bars_frame, on_grid, quotes_frame
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "bitfinex", "Bitfinex", "crypto:BTC-USD"
BASE_URL = "https://api-pub.bitfinex.com"
PAGE_ROWS = 10_000
CANDLES = Candles(("start", "open", "close", "high", "low", "volume"), 6)

_FRAMES = {"1m": "1m", "5m": "5m", "15m": "15m", "1h": "1h", "1d": "1D"}
_OURS = {"UST": "USDT", "UDC": "USDC", "IOT": "IOTA", "DSH": "DASH", "ALG": "ALGO", "ATO": "ATOM", "TSD": "TUSD"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_PAIR = re.compile(r"t?([A-Z0-9]{3})([A-Z0-9]{3})|t?([A-Z0-9]{2,12}):([A-Z0-9]{2,12})")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `tBTCUSD`, `tDUSK:USD`, `BTC-USD` or `crypto:BTC-USD`. Raises UnknownName."""
    found = _PAIR.fullmatch(text.strip())
    if found is None or symbols.split(text)[0]:
        return symbols.coins(text, TITLE, EXAMPLE)
    base, quote = found.group(1) or found.group(3), found.group(2) or found.group(4)
    return symbols.coins(f"{_OURS.get(base, base)}-{_OURS.get(quote, quote)}", TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Bitfinex calls an instrument: `crypto:BTC-USDT` is `tBTCUST`."""
    base, quote = (_THEIRS.get(part, part) for part in instrument.symbol.split("-"))
    return f"t{base}{'' if len(base) == len(quote) == 3 else ':'}{quote}"


def bars_request(query: BarsQuery) -> Request:
    """Return the request for candles by their starts, oldest first."""
    first, last = query.starts(1_000)
    asked = {"start": str(first), "end": str(last + 1), "limit": str(query.limit), "sort": "1"}
    place = f"trade:{_FRAMES[query.interval.value]}:{query.symbol}"
    return Request(f"{BASE_URL}/v2/candles/{place}/hist", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer."""
    values = CANDLES.read(response) or CANDLES.columns(_read(response, query.symbol), TITLE)
    starts_us = on_grid(values.pop("start"), query.interval, TITLE, 1_000)
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of each pair."""
    return Request(f"{BASE_URL}/v2/tickers", query=(("symbols", ",".join(wanted)),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask of each; Bitfinex gives no time, so it is that of the answer."""
    columns = arrays_of(_read(response, ", ".join(wanted)), 8, TITLE)
    named = {"symbol": columns[0], "price": columns[7], "bid": columns[1], "ask": columns[3]}
    return quotes_frame(wanted, named, response.received_at_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every pair that trades on the exchange, without derivatives."""
    return Request(f"{BASE_URL}/v2/conf/pub:list:pair:exchange")


def parse_listing(response: Response) -> ListingPage:
    """Return every pair; Bitfinex prices have five significant digits, so there is no tick."""
    body = _read(response, "")
    if len(body) != 1 or not isinstance(body[0], list):
        raise answers.changed(response, TITLE, "list of pairs")
    listed, skipped = [], 0
    for entry in body[0]:
        try:
            instrument = instrument_of(f"t{entry}")
            listed.append(Listed(symbol_of(instrument), instrument))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _read(response: Response, symbol: str) -> list[Any]:
    body = answers.answered(response, TITLE, NAME)
    if isinstance(body, list) and body[:1] == ["error"]:
        code, said = (str(each) for each in (*body[1:3], "", "")[:2])
        if code == "11010" or "ratelimit" in said:
            raise answers.limited(response, TITLE, said)
        if code == "20060":
            raise answers.busy(response, TITLE, said)
        if "symbol" in said:
            raise answers.unknown(TITLE, symbol, said, EXAMPLE)
        raise answers.failed(response, TITLE, f"code {code}: {said}")
    if isinstance(body, dict) and body.get("error") == "ERR_RATE_LIMIT":
        raise answers.limited(response, TITLE)
    if response.status != 200:
        raise answers.failed(response, TITLE)
    if not isinstance(body, list):
        raise answers.changed(response, TITLE, "list")
    return body


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(30, 60.0),),
    licence="market data terms of Bitfinex: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.ADVANCE, bars_request, parse_bars, sparse=True),
    quotes=Quotes(50, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=("an interval without a trade has no bar", "refusals come with status 500 and are tried again first"),
)

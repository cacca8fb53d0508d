"""Coinbase Advanced Trade, its public part: candles, prices and products without a key.

`GET /api/v3/brokerage/market/products/BTC-USD/candles` answers `{"candles": [...]}` with up to 350 objects of texts,
newest first: start in seconds, low, high, open, close, volume. An interval without a trade is not there. It is the
market of `coinbase` through another door, with more products. Errors are `{"error", "message"}`.
Source: Coinbase Advanced Trade API documentation, public endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, moments, on_grid, quotes_frame, rows_of, whole_numbers
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Quotes, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "coinbase_advanced", "Coinbase Advanced", "crypto:BTC-USD"
BASE_URL = "https://api.coinbase.com"
PAGE_ROWS = 350

_PRODUCTS = f"{BASE_URL}/api/v3/brokerage/market/products"
_SECOND = 1_000_000
_VALUES = ("open", "high", "low", "close", "volume")
_GRANULARITY = {
    "1m": "ONE_MINUTE", "5m": "FIVE_MINUTE", "15m": "FIFTEEN_MINUTE", "1h": "ONE_HOUR", "1d": "ONE_DAY",
}  # fmt: skip


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
        "start": str(first),
        "end": str(last),
        "granularity": _GRANULARITY[query.interval.value],
        "limit": str(query.limit),
    }
    return Request(f"{_PRODUCTS}/{query.symbol}/candles", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of a candles answer, newest first."""
    columns = rows_of(_listed(response, query.symbol, "candles"), ("start", *_VALUES), TITLE)
    starts_us = on_grid(whole_numbers(columns.pop("start"), TITLE, _SECOND), query.interval, TITLE)
    return BarsPage(bars_frame(NAME, query, response.received_at_us, columns, starts_us=starts_us))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the last trade and the best bid and ask of one product."""
    return Request(f"{_PRODUCTS}/{wanted[0]}/ticker", query=(("limit", "1"),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the price of the latest trade with its time; nothing when there is no trade."""
    latest = _listed(response, ", ".join(wanted), "trades")[:1]
    trades = rows_of(latest, ("product_id", "price", "time"), TITLE)
    body = answers.json_of(response, TITLE)
    columns = {"symbol": trades["product_id"], "price": trades["price"]}
    columns |= {side: [body.get(f"best_{side}")] * len(latest) for side in ("bid", "ask")}
    return quotes_frame(wanted, columns, moments(trades["time"], TITLE), TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every spot product."""
    return Request(_PRODUCTS, query=(("product_type", "SPOT"),))


def parse_listing(response: Response) -> ListingPage:
    """Return every spot product with its steps; futures are skipped."""
    listed, skipped = [], 0
    for entry in _listed(response, "", "products"):
        try:
            if entry["product_type"] != "SPOT":
                raise KeyError("product_type")
            instrument = symbols.pair(
                entry["base_currency_id"],
                entry["quote_currency_id"],
                tick=entry["price_increment"],
                lot=entry["base_increment"],
                minimum_notional=entry.get("quote_min_size"),
            )
            trades = entry["status"] == "online" and not entry["trading_disabled"]
            listed.append(Listed(entry["product_id"], instrument, trades))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _listed(response: Response, symbol: str, what: str) -> list[Any]:
    body = answers.answered(response, TITLE, NAME)
    if response.status == 200 and isinstance(body, dict) and isinstance(body.get(what), list):
        return list(body[what])
    said = str(body.get("message") or body.get("error") or "") if isinstance(body, dict) else ""
    if response.status == 404 or "ProductID" in said or "product_id" in said:
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if response.status == 200 and not said:
        raise answers.changed(response, TITLE, f"list of {what}")
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
    markets={Kind.CRYPTO: "coinbase"},
    notes=("an interval without a trade has no bar", "the same market as `coinbase`, asked another way"),
)

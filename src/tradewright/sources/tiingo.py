"""Tiingo: US shares with raw prices, splits and dividends in every daily row, minutes of IEX, coins; with a key.

`GET /tiingo/daily/<ticker>/prices` answers an array, oldest first, `date` the trading day, prices as traded beside
adjusted ones, `divCash` and `splitFactor` on the ex day. `/iex/<ticker>/prices` and `/tiingo/crypto/prices` have bars
by their start in UTC. Refusals are `{"detail": ...}` or plain text.
Source: Tiingo API documentation, end of day, IEX, crypto, supported tickers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tradewright.clock import from_us
from tradewright.errors import InvalidInput
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days, moments, no_actions, rows_of, texts
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
    Source,
)
from tradewright.sources.tables import actions_frame, asked_days, in_sessions, table_of, unpacked
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "tiingo", "Tiingo", "equity:AAPL"
BASE_URL = "https://api.tiingo.com"
LISTING_URL = "https://apimedia.tiingo.com/docs/tiingo/daily/supported_tickers.zip"
PAGE_ROWS = 2_000
EXCHANGES = frozenset({"NASDAQ", "NYSE", "NYSE ARCA", "NYSE MKT", "AMEX", "BATS", "ARCA"})
STILL = timedelta(days=10)  # a share whose last price is younger than this trades

_FRAMES = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "1hour", "1d": "1day"}
_COIN_QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH", "JPY", "AUD")
_NAMES = ("open", "high", "low", "close")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `BRK-B`, `btcusd`'s `crypto:BTC-USD` or an instrument id. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    if kind == "crypto":
        return symbols.coins(text, TITLE, EXAMPLE, _COIN_QUOTES)
    if kind == "" and text.strip().islower() and symbol.endswith(_COIN_QUOTES):
        return symbols.coins(f"crypto:{symbol}", TITLE, EXAMPLE, _COIN_QUOTES)
    return symbols.dashed_share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Tiingo calls an instrument: `equity:BRK.B` is `BRK-B`, `crypto:BTC-USD` is `btcusd`."""
    if instrument.kind is Kind.CRYPTO:
        return instrument.symbol.replace("-", "").lower()
    return symbols.dashed(instrument)


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the token in its header."""
    return request.saying(Authorization=f"Token {credentials['token']}")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the bars of a span of days."""
    first, last = asked_days(query.start_us, query.end_us)
    if query.instrument.kind is Kind.CRYPTO:
        asked = {"tickers": query.symbol, "startDate": first, "endDate": last}
        asked |= {"resampleFreq": _FRAMES[query.interval.value]}
        return Request(f"{BASE_URL}/tiingo/crypto/prices", query=tuple(asked.items()))
    asked = {"startDate": first, "endDate": last, "format": "json"}
    if query.interval is Interval.DAY:
        return Request(
            f"{BASE_URL}/tiingo/daily/{query.symbol}/prices", query=(*asked.items(), ("resampleFreq", "daily"))
        )
    asked |= {"resampleFreq": _FRAMES[query.interval.value], "columns": "open,high,low,close,volume"}
    return Request(f"{BASE_URL}/iex/{query.symbol}/prices", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer, and of days the splits and dividends too."""
    rows = _read(response, query.symbol)
    if query.instrument.kind is Kind.CRYPTO:
        lists = rows_of(rows, ("ticker", "priceData"), TITLE)
        own = dict(zip(texts(lists["ticker"], TITLE), lists["priceData"], strict=True)).get(query.symbol, [])
        rows = own if isinstance(own, list) else [own]
    columns = rows_of(rows, ("date", *_NAMES), TITLE)
    values: dict[str, Sequence[Any]] = {name: columns[name] for name in _NAMES}
    values["volume"] = [row.get("volume") for row in rows]
    if query.interval is not Interval.DAY or query.instrument.kind is Kind.CRYPTO:
        starts_us = moments([_zoned(at) for at in columns["date"]], TITLE)
        frame = bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us)
        return BarsPage(in_sessions(frame, query.instrument.calendar, query.interval))
    on_days = days(columns["date"], TITLE)
    frame = bars_frame(NAME, query, response.received_at_us, values, on_days=on_days)
    dated = rows_of(rows, ("divCash", "splitFactor"), TITLE)
    acts = (
        actions_frame(query.instrument, on_days, dated["splitFactor"], dated["divCash"], TITLE)
        if rows
        else no_actions()
    )
    return BarsPage(frame, acts)


def listing_request(token: str) -> Request:
    """Return the request for the archive of every ticker; it needs no key."""
    return Request(LISTING_URL)


def parse_listing(response: Response) -> ListingPage:
    """Return the shares and funds of the exchanges of the United States; everything else counts as skipped."""
    if response.status != 200:
        raise answers.refusal(response, TITLE, NAME, "", response.start_of_body, EXAMPLE)
    names = ("ticker", "exchange", "assetType", "priceCurrency", "endDate")
    table = table_of(unpacked(response, TITLE), TITLE, names)
    since = (from_us(max(response.received_at_us, 0)) - STILL).date().isoformat()
    listed, skipped = [], 0
    for ticker, exchange, _, currency, last in zip(*(table[name] for name in names), strict=True):
        try:
            if exchange not in EXCHANGES or currency != "USD" or not last:
                raise ValueError(exchange)
            listed.append(Listed(ticker, symbols.dashed_share(ticker, TITLE, EXAMPLE), last >= since))
        except (ValueError, InvalidInput):
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _zoned(text: Any) -> str:
    plain = str(text)
    return plain if plain[-1:] == "Z" or plain[-6:-5] in ("+", "-") else f"{plain}Z"


def _read(response: Response, symbol: str) -> list[Any]:
    plain = response.body.strip()
    if b"run over your" in plain[:400]:
        raise answers.limited(response, TITLE, response.start_of_body)
    if response.status == 403 and b"ermission" not in plain[:400]:
        raise answers.refused_key(response, TITLE, NAME, response.start_of_body)
    body = answers.accepted(response, TITLE, NAME, symbol, EXAMPLE)
    if isinstance(body, dict) and "detail" in body:
        raise answers.failed(response, TITLE, str(body["detail"]))
    if not isinstance(body, list):
        raise answers.changed(response, TITLE, "list of prices")
    return body


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.CRYPTO),
    limits=(Limit(50, 3_600.0), Limit(1_000, 86_400.0)),
    licence="Tiingo terms: own, internal use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("token",), sign, "make a free account at https://www.tiingo.com and copy the token of its API page"),
    bars=Bars(
        tuple(Interval), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars, sparse=True, with_actions=(Interval.DAY,)
    ),
    listing=Listing(listing_request, parse_listing),
    notes=(
        "the free plan has 500 symbols a month",
        "minutes are those of the exchange IEX alone, a few per cent of the volume",
    ),
)

"""Twelve Data: shares of the United States, currencies, coins and a few indices; with a free key.

`GET /time_series` answers `{meta, values}`, newest first unless `order=asc`, texts, `datetime` the wall time of the
exchange at the start of the bar or the date of a day. Days are adjusted for splits. The newest value may still be
running. What is wrong comes as `{code, message, status: "error"}`, by some reports with status 200; a span without
data is one of these.
Source: Twelve Data API documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.clock import from_us
from tradewright.errors import UnknownName
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days, numbers, rows_of, texts, wall_times, whole_numbers
from tradewright.sources.source import (
    Actions,
    ActionsPage,
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
    SpanQuery,
)
from tradewright.sources.tables import actions_frame, asked_days, in_sessions, own_currency, quotes_frame
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "twelve_data", "Twelve Data", "equity:AAPL"
BASE_URL = "https://api.twelvedata.com"
PAGE_ROWS = 5_000
ZONE = "America/New_York"
INDICES = frozenset({"DJI", "IXIC", "NDX", "RUT", "SPX", "VIX"})  # names of indices that are no share's

_FRAMES = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "1h", "1d": "1day"}
_NAMES = ("open", "high", "low", "close")
_SPLITS, _DIVIDENDS = "splits", "dividends"
_NO_DATA = "no data is available"
_TIME = "%Y-%m-%d %H:%M:%S"


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `EUR/USD`, `BTC/USD`, `SPX` or an instrument id. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    if kind in ("fx", "crypto") or "/" in symbol:
        return symbols.money_or_coins(text, TITLE, EXAMPLE)
    if kind == "index" or (kind == "" and symbol in INDICES):
        if symbol not in INDICES:
            raise symbols.no_such(text, TITLE, "index:SPX")
        return symbols.index(text, TITLE, EXAMPLE)
    return symbols.share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Twelve Data calls an instrument: `fx:EUR-USD` is `EUR/USD`."""
    pair = instrument.kind in (Kind.FX, Kind.CRYPTO)
    return instrument.symbol.replace("-", "/") if pair else instrument.symbol


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its header."""
    return request.saying(Authorization=f"apikey {credentials['api_key']}")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the bars of a span, oldest first: by whole days, or by the starts of bars in UTC."""
    asked = {"symbol": query.symbol, "interval": _FRAMES[query.interval.value], "order": "asc"}
    asked |= {"outputsize": str(min(query.limit, PAGE_ROWS))}
    if "/" in query.symbol and query.interval is not Interval.DAY:
        first, last = from_us(query.start_us - query.interval.us), from_us(query.end_us)
        asked |= {"start_date": first.strftime(_TIME), "end_date": last.strftime(_TIME), "timezone": "UTC"}
    else:
        first_day, last_day = asked_days(query.start_us, query.end_us)
        asked |= {"start_date": first_day, "end_date": f"{last_day} 23:59:59"}
    asked |= {"country": "United States"} if query.instrument.kind is Kind.EQUITY else {}
    return Request(f"{BASE_URL}/time_series", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer."""
    body = _read(response, query.symbol)
    if not isinstance(body.get("values"), list):
        raise answers.changed(response, TITLE, "list of values")
    rows = body["values"]
    columns = rows_of(rows, ("datetime", *_NAMES), TITLE)
    values: dict[str, Sequence[Any]] = {name: columns[name] for name in _NAMES}
    values["volume"] = [row.get("volume") for row in rows]
    if query.interval is Interval.DAY:
        on_days = days(columns["datetime"], TITLE)
        return BarsPage(bars_frame(NAME, query, response.received_at_us, values, on_days=on_days))
    meta = body.get("meta")
    zone = "UTC" if "/" in query.symbol or not isinstance(meta, dict) else meta.get("exchange_timezone") or ZONE
    starts_us = wall_times(columns["datetime"], str(zone), TITLE)
    frame = bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us)
    return BarsPage(in_sessions(frame, query.instrument.calendar, query.interval))


def actions_request(query: SpanQuery) -> Request:
    """Return the request for splits, then for dividends, which a paid plan gives."""
    if query.instrument.kind is not Kind.EQUITY:
        raise UnknownName(f"{TITLE} has splits and dividends of shares only, like {EXAMPLE}", name=query.symbol)
    first, last = asked_days(query.start_us, query.end_us)
    asked = (("symbol", query.symbol), ("country", "United States"), ("start_date", first), ("end_date", last))
    return Request(f"{BASE_URL}/{query.token or _SPLITS}", query=asked)


def parse_actions(response: Response, query: SpanQuery) -> ActionsPage:
    """Return the splits or the dividends. `ratio` is 0.25 where one unit became four."""
    part = query.token or _SPLITS
    body = _read(response, query.symbol)
    entries = body.get(part, body.get("values"))
    if not isinstance(entries, list):
        raise answers.changed(response, TITLE, f"list of {part}")
    if part == _DIVIDENDS:
        paid = rows_of(entries, ("ex_date", "amount"), TITLE)
        meta, ones = body.get("meta"), [1.0] * len(entries)
        currencies = [meta.get("currency") if isinstance(meta, dict) else None] * len(entries)
        amounts, other = own_currency(query.instrument, paid["ex_date"], paid["amount"], currencies, TITLE)
        return ActionsPage(actions_frame(query.instrument, paid["ex_date"], ones, amounts, TITLE), "", other)
    split = rows_of(entries, ("date", "ratio"), TITLE)
    ratios = (1.0 / numbers(split["ratio"], f"{TITLE}, ratio")).to_list()
    frame = actions_frame(query.instrument, split["date"], ratios, [0.0] * len(entries), TITLE)
    return ActionsPage(frame, _DIVIDENDS)


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest price of each symbol; each counts against the limits."""
    return Request(f"{BASE_URL}/quote", query=(("symbol", ",".join(wanted)),), weight=len(wanted))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the latest price of each symbol that has one."""
    body = _read(response, ", ".join(wanted))
    entries = [body] if "symbol" in body else list(body.values())
    known = [each for each in entries if not isinstance(each, dict) or each.get("status") != "error"]
    columns = rows_of(known, ("symbol", "timestamp", "close"), TITLE)
    rows = [at for at, symbol in enumerate(texts(columns["symbol"], TITLE)) if symbol in wanted]
    last_at = [each.get("last_quote_at") or each["timestamp"] for each in known]
    return quotes_frame(
        [wanted[columns["symbol"][at]] for at in rows],
        whole_numbers([last_at[at] for at in rows], TITLE, 1_000_000),
        [columns["close"][at] for at in rows],
        TITLE,
    )


def listing_request(token: str) -> Request:
    """Return the request for every share of the United States."""
    return Request(f"{BASE_URL}/stocks", query=(("country", "United States"),))


def parse_listing(response: Response) -> ListingPage:
    """Return every share that is listed."""
    body = _read(response, "")
    if not isinstance(body.get("data"), list):
        raise answers.changed(response, TITLE, "list of shares")
    listed, skipped = [], 0
    for entry in body["data"]:
        try:
            listed.append(Listed(entry["symbol"], symbols.share(entry["symbol"], TITLE, EXAMPLE)))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _read(response: Response, symbol: str) -> Mapping[str, Any]:
    body = answers.json_of(response, TITLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    if response.status == 200 and body.get("status") != "error":
        return body
    said = str(body.get("message") or "")
    code = body.get("code")
    told = Response(code if isinstance(code, int) else response.status, response.body)
    if _NO_DATA in said.lower():
        return {"values": []}
    if "symbol" in said and any(word in said for word in ("invalid", "not found", "missing")):
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    raise answers.refusal(told, TITLE, NAME, symbol, said or response.start_of_body, EXAMPLE)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.FX, Kind.CRYPTO, Kind.INDEX),
    limits=(Limit(8, 60.0), Limit(800, 86_400.0)),
    licence="Twelve Data terms: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "make a free key at https://twelvedata.com/apikey"),
    bars=Bars(
        tuple(Interval),
        PAGE_ROWS,
        Paging.WINDOWS,
        bars_request,
        parse_bars,
        adjusted=True,
        raw_intervals=tuple(each for each in Interval if each is not Interval.DAY),
        revised=True,
        sparse=True,
    ),
    actions=Actions(actions_request, parse_actions),
    quotes=Quotes(8, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=(
        "days are adjusted for splits, shorter bars are as traded",
        "splits and dividends need a paid plan",
    ),
)

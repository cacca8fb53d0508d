"""Alpaca: US shares and coins, raw bars, splits and dividends, latest quotes; with a key.

`GET /v2/stocks/bars` answers `{"bars": {SYMBOL: [{t, o, h, l, c, v}]}, "next_page_token"}`, oldest first, a page of up
to 10,000; a symbol without data is absent. `t` is the start of the bar in RFC 3339; that of a day is midnight in New
York. Coins stand under `/v1beta3/crypto/us/bars` as BTC/USD. `adjustment=raw` leaves prices as they were. The free plan
refuses bars of shares of the last 15 minutes, so that is their lag; coins have none. A stock dividend of rate 0.03
gives 3 shares for 100, a split of 1.03; a spin-off, a right or a unit that falls apart is neither split nor dividend.
Source: Alpaca Market Data API documentation; for the lag its FAQ: SIP data of the last 15 minutes needs a paid plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.clock import DAY_US, format_us
from tradewright.errors import SourceFailed
from tradewright.market.dated import LeftOut
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import alpaca_stream, answers, symbols
from tradewright.sources.rows import QUOTES, bars_frame, moments, no_actions, numbers, rows_of
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
from tradewright.sources.tables import actions_frame, left_out
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "alpaca", "Alpaca", "equity:AAPL"
BASE_URL = "https://data.alpaca.markets"
TRADING_URL = "https://paper-api.alpaca.markets"
PAGE_ROWS = 10_000
LAG_US = 15 * 60 * 1_000_000

_FRAMES = {"1m": "1Min", "5m": "5Min", "15m": "15Min", "1h": "1Hour", "1d": "1Day"}
_ACTIONS = "cash_dividend,stock_dividend,forward_split,reverse_split,unit_split,spin_off,rights_distribution"
_SYMBOLS = ("symbol", "source_symbol", "old_symbol", "acquiree_symbol")  # of whose price is changed
_DAYS = ("ex_date", "effective_date", "process_date")
_VALUES = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `BRK.B`, `BTC/USD` or an instrument id. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    if kind == "crypto" or "/" in symbol:
        return symbols.coins(text, TITLE, "crypto:BTC-USD")
    return symbols.share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Alpaca calls an instrument."""
    return instrument.symbol.replace("-", "/") if instrument.kind is Kind.CRYPTO else instrument.symbol


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the two headers of the key."""
    return request.saying(APCA_API_KEY_ID=credentials["key_id"], APCA_API_SECRET_KEY=credentials["secret_key"])


def bars_request(query: BarsQuery) -> Request:
    """Return the request for a page of raw bars, asked by their starts; a day begins up to a day before its end."""
    coins = query.instrument.kind is Kind.CRYPTO
    asked = {
        "symbols": query.symbol,
        "timeframe": _FRAMES[query.interval.value],
        "start": format_us(query.start_us - (DAY_US if query.interval is Interval.DAY else query.interval.us)),
        "end": format_us(query.end_us),
        "limit": str(query.limit),
        "sort": "asc",
    }
    asked |= {} if coins else {"adjustment": "raw"}
    asked |= {"page_token": query.token} if query.token else {}
    return Request(f"{BASE_URL}/{'v1beta3/crypto/us' if coins else 'v2/stocks'}/bars", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of a page."""
    body = _read(response, query.symbol)
    bars = body.get("bars")
    if bars is None or not isinstance(bars, dict | list):
        raise answers.changed(response, TITLE, "object of bars")
    listed = bars if isinstance(bars, list) else bars.get(query.symbol) or []
    if not isinstance(listed, list):
        raise answers.changed(response, TITLE, "list of bars")
    columns = rows_of(listed, ("t", *_VALUES.values()), TITLE)
    values = {name: columns[short] for name, short in _VALUES.items()}
    lag_us = 0 if query.instrument.kind is Kind.CRYPTO else LAG_US
    starts_us = moments(columns["t"], TITLE)
    frame = bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us, lag_us=lag_us)
    return BarsPage(frame, token=_token(body))


def actions_request(query: SpanQuery) -> Request:
    """Return the request for a page of what changes prices, by ex date."""
    asked = {
        "symbols": query.symbol,
        "types": _ACTIONS,
        "start": format_us(query.start_us)[:10],
        "end": format_us(query.end_us)[:10],
        "limit": "1000",
        "sort": "asc",
    }
    asked |= {"page_token": query.token} if query.token else {}
    return Request(f"{BASE_URL}/v1/corporate-actions", query=tuple(asked.items()))


def parse_actions(response: Response, query: SpanQuery) -> ActionsPage:
    """Return the actions of a page, and apart what no action can hold. Alpaca does not say when one was announced, so
    it counts as known a day before."""
    body = _read(response, query.symbol)
    found = body.get("corporate_actions")
    if not isinstance(found, dict):
        raise answers.changed(response, TITLE, "object of corporate actions")
    parts = [no_actions()]
    others: tuple[LeftOut, ...] = ()
    for kind, entries in found.items():
        listed = entries if isinstance(entries, list) else [entries]
        own = [each for each in listed if not isinstance(each, dict) or query.symbol in map(each.get, _SYMBOLS)]
        changes = _changes(kind, own)
        if changes is None:
            others += left_out(query.instrument, [_noun(kind)] * len(own), _days_of(own), TITLE)
            continue
        columns = rows_of(own, ("ex_date",), TITLE)
        parts.append(actions_frame(query.instrument, columns["ex_date"], *changes, TITLE))
    return ActionsPage(pl.concat(parts), _token(body), others)


def _changes(kind: str, entries: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]] | None:
    # splits and dividends of entries, None for a kind that is neither
    if kind in ("forward_splits", "reverse_splits"):
        columns = rows_of(entries, ("new_rate", "old_rate"), TITLE)
        ratios = numbers(columns["new_rate"], TITLE) / numbers(columns["old_rate"], TITLE)
        return ratios.to_list(), [0.0] * len(entries)
    if kind == "stock_dividends":
        rates = numbers(rows_of(entries, ("rate",), TITLE)["rate"], TITLE)
        if (rates < 0.0).any():
            raise SourceFailed(f"{TITLE} sent a stock dividend that cannot be: {rates.to_list()}")
        return (1.0 + rates).to_list(), [0.0] * len(entries)
    if kind == "cash_dividends":
        return [1.0] * len(entries), rows_of(entries, ("rate",), TITLE)["rate"]
    return None


def _days_of(entries: Sequence[Any]) -> list[Any]:
    rows_of(entries, (), TITLE)
    return [next((each[name] for name in _DAYS if each.get(name)), None) for each in entries]


def _noun(kind: str) -> str:
    return kind[:40].replace("_", " ").removesuffix("s")


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest quote of each symbol; shares and coins cannot be mixed."""
    coins = "/" in wanted[0]
    place = "v1beta3/crypto/us/latest/quotes" if coins else "v2/stocks/quotes/latest"
    return Request(f"{BASE_URL}/{place}", query=(("symbols", ",".join(wanted)),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the middle, bid and ask of each symbol that has a quote."""
    body = _read(response, ", ".join(wanted))
    found = body.get("quotes")
    if not isinstance(found, dict):
        raise answers.changed(response, TITLE, "object of quotes")
    names = [symbol for symbol in found if symbol in wanted]
    columns = rows_of([found[symbol] for symbol in names], ("t", "bp", "ap"), TITLE)
    frame = pl.DataFrame(
        {
            "instrument": pl.Series([wanted[symbol].id for symbol in names], dtype=pl.String),
            "time": pl.Series(moments(columns["t"], TITLE), dtype=pl.Int64),
            "bid": numbers(columns["bp"], TITLE),
            "ask": numbers(columns["ap"], TITLE),
        }
    ).with_columns(
        pl.when(pl.col("bid") > 0).then("bid"), pl.when(pl.col("ask") > 0).then("ask")
    )  # 0: that side is empty
    return frame.with_columns(((pl.col("bid") + pl.col("ask")) / 2).alias("price")).select(list(QUOTES))


def listing_request(token: str) -> Request:
    """Return the request for every asset, shares and coins."""
    return Request(f"{TRADING_URL}/v2/assets", query=(("status", "active"),))


def parse_listing(response: Response) -> ListingPage:
    """Return every asset that we have a class for."""
    body = answers.json_of(response, TITLE)
    entries = body if isinstance(body, list) and response.status == 200 else [_read(response, "assets")]
    listed, skipped = [], 0
    for entry in entries:
        try:
            instrument = instrument_of(entry["symbol"])
            active = bool(entry["tradable"]) and entry["status"] == "active"
            listed.append(Listed(entry["symbol"], instrument, active))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _token(body: Mapping[str, Any]) -> str:
    token = body.get("next_page_token")
    return token if isinstance(token, str) else ""


def _read(response: Response, symbol: str) -> Mapping[str, Any]:
    body = answers.json_of(response, TITLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    said = str(body.get("message", ""))
    if response.status == 200:
        return body
    if response.status == 429:
        raise answers.limited(response, TITLE, said)
    if response.status == 403 and "subscription" in said:
        raise answers.not_in_plan(response, TITLE, said)
    if response.status in (401, 403):
        raise answers.refused_key(response, TITLE, NAME, said)
    if response.status in (404, 422) or (response.status == 400 and "symbol" in said):
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.CRYPTO),
    limits=(Limit(200, 60.0),),
    licence="Alpaca market data terms: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("key_id", "secret_key"), sign, "make an API key in the dashboard of a free paper account"),
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.TOKEN, bars_request, parse_bars, sparse=True, lag_us=LAG_US),
    actions=Actions(actions_request, parse_actions),
    quotes=Quotes(100, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=alpaca_stream.STREAM,
    notes=(
        "the free plan has the whole market's bars only when they are older than 15 minutes",
        "a stock dividend is a split; spin-offs, rights and split units are told of (`actions_left_out`), not booked",
    ),
)

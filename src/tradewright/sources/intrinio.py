"""Intrinio: daily prices of US shares as traded, their splits and dividends; with a key of a paid plan or a trial.

`GET /securities/<symbol>/prices` answers `{stock_prices, next_page}`, newest first, prices as traded beside adjusted
ones, `intraperiod` true while the day runs. `/prices/adjustments` has `split_ratio` and `dividend` on the ex day. The
token of the next page goes into `next_page`. Realtime prices have a bid and ask of 0 outside trading hours.
Source: Intrinio API documentation, securities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days, moments, rows_of
from tradewright.sources.source import (
    Actions,
    ActionsPage,
    Auth,
    Bars,
    BarsPage,
    BarsQuery,
    Credentials,
    Paging,
    Quotes,
    Source,
    SpanQuery,
)
from tradewright.sources.tables import actions_frame, asked_days, own_currency, quotes_frame
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "intrinio", "Intrinio", "equity:AAPL"
BASE_URL = "https://api-v2.intrinio.com"
PAGE_ROWS = 100

_NAMES = ("open", "high", "low", "close", "volume")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `BRK.B` or an instrument id. Raises UnknownName."""
    return symbols.share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Intrinio calls a share."""
    return instrument.symbol


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its header."""
    return request.saying(Authorization=f"Bearer {credentials['api_key']}")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for a page of days."""
    first, last = asked_days(query.start_us, query.end_us)
    asked = {"start_date": first, "end_date": last, "frequency": "daily", "page_size": str(PAGE_ROWS)}
    asked |= {"next_page": query.token} if query.token else {}
    return Request(f"{BASE_URL}/securities/{query.symbol}/prices", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete days of a page, and the splits and dividends among them."""
    body = _read(response, query.symbol)
    rows = _listed(body, "stock_prices", response)
    columns = rows_of(rows, ("date", "intraperiod", "split_ratio", "dividend", *_NAMES), TITLE)
    ended = [at for at, running in enumerate(columns["intraperiod"]) if running is not True]
    values = {name: [columns[name][at] for at in ended] for name in _NAMES}
    on_days = [days(columns["date"], TITLE)[at] for at in ended]
    frame = bars_frame(NAME, query, response.received_at_us, values, on_days=on_days)
    ratios = [1.0 if columns["split_ratio"][at] is None else columns["split_ratio"][at] for at in ended]
    dividends = [0.0 if columns["dividend"][at] is None else columns["dividend"][at] for at in ended]
    return BarsPage(frame, actions_frame(query.instrument, on_days, ratios, dividends, TITLE), _token(body))


def actions_request(query: SpanQuery) -> Request:
    """Return the request for a page of adjustments."""
    first, last = asked_days(query.start_us, query.end_us)
    asked = {"start_date": first, "end_date": last, "page_size": str(PAGE_ROWS)}
    asked |= {"next_page": query.token} if query.token else {}
    return Request(f"{BASE_URL}/securities/{query.symbol}/prices/adjustments", query=tuple(asked.items()))


def parse_actions(response: Response, query: SpanQuery) -> ActionsPage:
    """Return the splits and dividends of a page."""
    body = _read(response, query.symbol)
    rows = _listed(body, "stock_price_adjustments", response)
    columns = rows_of(rows, ("date", "split_ratio", "dividend"), TITLE)
    dividends = [0.0 if each is None else each for each in columns["dividend"]]
    ratios = [1.0 if each is None else each for each in columns["split_ratio"]]
    currencies = [row.get("dividend_currency") for row in rows]
    paid, other = own_currency(query.instrument, columns["date"], dividends, currencies, TITLE)
    return ActionsPage(actions_frame(query.instrument, columns["date"], ratios, paid, TITLE), _token(body), other)


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest price of one share."""
    return Request(f"{BASE_URL}/securities/{wanted[0]}/prices/realtime", query=(("source", "iex"),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade of the share, its bid and its ask."""
    body = _read(response, ", ".join(wanted))
    names = ("last_price", "last_time", "bid_price", "ask_price")
    columns = rows_of([body], names, TITLE)
    if columns["last_price"][0] is None:
        return quotes_frame((), (), (), TITLE)
    price, at, bid, ask = (columns[name] for name in names)
    return quotes_frame(list(wanted.values())[:1], moments(at, TITLE), price, TITLE, bid, ask)


def _listed(body: Mapping[str, Any], name: str, response: Response) -> list[Any]:
    rows = body.get(name)
    if not isinstance(rows, list):
        raise answers.changed(response, TITLE, f"list of {name}")
    return rows


def _token(body: Mapping[str, Any]) -> str:
    token = body.get("next_page")
    return token if isinstance(token, str) else ""


def _read(response: Response, symbol: str) -> Mapping[str, Any]:
    body = answers.accepted(response, TITLE, NAME, symbol, EXAMPLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    return body


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY,),
    limits=(Limit(100, 1.0),),
    licence="Intrinio terms: by plan, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "start a trial at https://intrinio.com and copy the key of the account page"),
    bars=Bars((Interval.DAY,), PAGE_ROWS, Paging.TOKEN, bars_request, parse_bars),
    actions=Actions(actions_request, parse_actions),
    quotes=Quotes(1, quotes_request, parse_quotes),
)

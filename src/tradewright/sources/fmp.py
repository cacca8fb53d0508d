"""Financial Modeling Prep: daily prices, splits and dividends of US shares; with a free key.

`GET /stable/historical-price-eod/full?symbol=&from=&to=` answers an array, newest first, `date` the trading day,
prices adjusted for splits. `/stable/splits` and `/stable/dividends` answer arrays of dated actions, dividends per
share of their day. Refusals are `{"Error Message": ...}`, with status 200 as well as with 401, 402, 403 and 429; an
unknown symbol is an empty array.
Source: FMP API documentation, stable endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.errors import UnknownName
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days, numbers, rows_of, texts, whole_numbers
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
from tradewright.sources.tables import actions_frame, asked_days, quotes_frame
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "fmp", "Financial Modeling Prep", "equity:AAPL"
BASE_URL = "https://financialmodelingprep.com"
PAGE_ROWS = 5_000

_NAMES = ("open", "high", "low", "close", "volume")
_SPLITS, _DIVIDENDS = "splits", "dividends"


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `BRK-B` or an instrument id.

    Raises UnknownName, also for pairs of currencies, coins and metals, which FMP writes like shares: EURUSD, GCUSD.
    """
    _, symbol = symbols.split(text)
    if (len(symbol) > 4 and symbol.endswith(("USD", "USX"))) or (len(symbol) > 5 and symbol[-3:] in symbols.MONEY):
        raise UnknownName(
            f"{text!r} is no share at {TITLE} but looks like a pair of currencies, coins or metals, which are not read "
            f"from there; write a share like {EXAMPLE}",
            name=text,
        )
    return symbols.dashed_share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what FMP calls a share: `equity:BRK.B` is `BRK-B`."""
    return symbols.dashed(instrument)


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its header."""
    return request.saying(apikey=credentials["api_key"])


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the days of a span."""
    first, last = asked_days(query.start_us, query.end_us)
    asked = (("symbol", query.symbol), ("from", first), ("to", last))
    return Request(f"{BASE_URL}/stable/historical-price-eod/full", query=asked)


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete days of an answer."""
    rows = _rows(response, query.symbol)
    columns = rows_of(rows, ("symbol", "date", *_NAMES), TITLE)
    if any(symbol != query.symbol for symbol in columns["symbol"]):
        raise answers.changed(response, TITLE, f"prices of {query.symbol}")
    values = {name: columns[name] for name in _NAMES}
    on_days = days(columns["date"], TITLE)
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, on_days=on_days))


def actions_request(query: SpanQuery) -> Request:
    """Return the request for splits, then for dividends."""
    return Request(f"{BASE_URL}/stable/{query.token or _SPLITS}", query=(("symbol", query.symbol),))


def parse_actions(response: Response, query: SpanQuery) -> ActionsPage:
    """Return the splits or the dividends. A dividend is known from the end of the day it was declared."""
    rows = _rows(response, query.symbol)
    if query.token == _DIVIDENDS:
        columns = rows_of(rows, ("date", "dividend"), TITLE)
        told = [row.get("declarationDate") for row in rows]
        frame = actions_frame(query.instrument, columns["date"], [1.0] * len(rows), columns["dividend"], TITLE, told)
        return ActionsPage(frame)
    columns = rows_of(rows, ("date", "numerator", "denominator"), TITLE)
    ratios = numbers(columns["numerator"], TITLE) / numbers(columns["denominator"], TITLE)
    frame = actions_frame(query.instrument, columns["date"], ratios.to_list(), [0.0] * len(rows), TITLE)
    return ActionsPage(frame, _DIVIDENDS)


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest price of one share."""
    return Request(f"{BASE_URL}/stable/quote", query=(("symbol", wanted[0]),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the latest price of each share that FMP knows."""
    rows = _rows(response, ", ".join(wanted))
    columns = rows_of(rows, ("symbol", "price", "timestamp"), TITLE)
    known = [at for at, symbol in enumerate(texts(columns["symbol"], TITLE)) if symbol in wanted]
    return quotes_frame(
        [wanted[columns["symbol"][at]] for at in known],
        whole_numbers([columns["timestamp"][at] for at in known], TITLE, 1_000_000),
        [columns["price"][at] for at in known],
        TITLE,
    )


def _rows(response: Response, symbol: str) -> list[Any]:
    if response.body.lstrip()[:1] == b"{":
        told = answers.json_of(response, TITLE)
        said = str(told.get("Error Message") or told.get("message") or "")
        if said:
            raise _refusal(response, symbol, said)
    body = answers.accepted(response, TITLE, NAME, symbol, EXAMPLE)
    if not isinstance(body, list):
        raise answers.changed(response, TITLE, "list")
    return body


def _refusal(response: Response, symbol: str, said: str) -> Exception:
    if "API KEY" in said.upper():
        return answers.refused_key(response, TITLE, NAME, said)
    if "limit reach" in said.lower():
        return answers.limited(response, TITLE, said)
    if any(word in said.lower() for word in ("subscription", "exclusive", "premium", "legacy", "upgrade")):
        return answers.not_in_plan(response, TITLE, said)
    return answers.refusal(response, TITLE, NAME, symbol, said, EXAMPLE)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY,),
    limits=(Limit(250, 86_400.0),),
    licence="FMP terms: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "make a free key at https://site.financialmodelingprep.com/developer/docs"),
    bars=Bars((Interval.DAY,), PAGE_ROWS, Paging.WINDOWS, bars_request, parse_bars, adjusted=True, revised=True),
    actions=Actions(actions_request, parse_actions),
    quotes=Quotes(1, quotes_request, parse_quotes),
    notes=("the free plan has about five years of days", "a symbol that FMP does not know has no rows"),
)

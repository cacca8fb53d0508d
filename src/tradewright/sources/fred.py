"""FRED, Federal Reserve Bank of St. Louis: US macro series with every vintage; with a free key.

`GET /fred/series/observations` with a real-time span from 1776-07-04 to 9999-12-31 answers every vintage of every
observation: `{date, realtime_start, realtime_end, value}`, values as text, "." for none, at most 100,000 a page by
`offset`. `date` is the first day of the period; its end follows from the frequency, which is told by the distances of
the dates. A vintage is dated by the day in US Central time; what hour it came is not said, so it counts as known at the
end of that day. Errors are 400 with `error_message`, for unknown series too.
Source: FRED API documentation, series/observations.
"""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from tradewright.clock import DAY_US, from_us
from tradewright.market.dated import FACTS
from tradewright.market.instruments import Instrument, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import days, end_of_day_us, numbers, rows_of
from tradewright.sources.source import Auth, Credentials, Facts, FactsPage, Source, SpanQuery
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "fred", "FRED", "macro:CPIAUCSL"
BASE_URL = "https://api.stlouisfed.org"
PAGE_ROWS = 100_000
ZONE = "America/Chicago"
_MONTHS = ((27, 32, 1), (58, 63, 2), (88, 93, 3), (180, 185, 6), (363, 368, 12))  # days apart, from and to; months


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `CPIAUCSL` or `macro:CPIAUCSL`. Raises UnknownName."""
    return symbols.series(text, TITLE, EXAMPLE, r"[A-Z0-9]{1,25}")


def symbol_of(instrument: Instrument) -> str:
    """Return what FRED calls a series."""
    return instrument.symbol


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its query, where FRED wants it."""
    return request.asking(api_key=credentials["api_key"])


def facts_request(query: SpanQuery) -> Request:
    """Return the request for a page of vintages. A period of up to a year may begin before the span that it ends in."""
    first = from_us(query.start_us - 367 * DAY_US).date()
    asked = {
        "series_id": query.symbol,
        "file_type": "json",
        "realtime_start": "1776-07-04",
        "realtime_end": "9999-12-31",
        "observation_start": max(first, date(1776, 7, 4)).isoformat(),
        "observation_end": from_us(query.end_us).date().isoformat(),
        "limit": str(PAGE_ROWS),
        "offset": query.token or "0",
    }
    return Request(f"{BASE_URL}/fred/series/observations", query=tuple(asked.items()))


def parse_facts(response: Response, query: SpanQuery) -> FactsPage:
    """Return every vintage of a page; an observation without a value is left out."""
    body = _read(response, query.symbol)
    if not isinstance(body.get("observations"), list):
        raise answers.changed(response, TITLE, "list of observations")
    kept = [row for row in body["observations"] if not isinstance(row, dict) or row.get("value") != "."]
    columns = rows_of(kept, ("date", "realtime_start", "value"), TITLE)
    begins, published = days(columns["date"], TITLE), days(columns["realtime_start"], TITLE)
    months = _months_apart(sorted(set(begins)))
    ends = {begin: _end_us(begin, months) for begin in set(begins)}
    known = {day: end_of_day_us(day, ZONE) for day in set(published)}
    frame = pl.DataFrame(
        {
            "period_start": pl.Series([_midnight_us(begin) for begin in begins], dtype=pl.Int64),
            "period_end": pl.Series([ends[begin] for begin in begins], dtype=pl.Int64),
            "known_at": pl.Series(
                [max(known[day], ends[begin]) for day, begin in zip(published, begins, strict=True)], dtype=pl.Int64
            ),
            "value": numbers(columns["value"], f"{TITLE}, value"),
        }
    ).with_columns(pl.lit(query.instrument.id).alias("instrument"), pl.lit("").alias("name"), pl.lit("").alias("unit"))
    reached = int(body.get("offset", 0)) + len(body["observations"])
    more = body["observations"] and reached < int(body.get("count", 0))
    return FactsPage(frame.select(list(FACTS)), str(reached) if more else "")


def _months_apart(begins: list[date]) -> int:
    gaps = sorted((b - a).days for a, b in pairwise(begins))
    usual = gaps[len(gaps) // 2] if gaps else 1
    return next((months for low, high, months in _MONTHS if low <= usual <= high), -usual if 1 < usual < 15 else 0)


def _end_us(begin: date, months: int) -> int:
    if months <= 0:  # a day, or a span of so many days dated by its last one
        return _midnight_us(begin + timedelta(days=1))
    at = begin.month - 1 + months
    return _midnight_us(begin.replace(year=begin.year + at // 12, month=at % 12 + 1, day=1))


def _midnight_us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US


def _read(response: Response, symbol: str) -> dict[str, Any]:
    body = answers.json_of(response, TITLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    if response.status == 200 and "error_code" not in body:
        return body
    said = str(body.get("error_message", ""))
    if response.status == 429:
        raise answers.limited(response, TITLE, said)
    if "api_key" in said:
        raise answers.refused_key(response, TITLE, NAME, said)
    if "does not exist" in said:
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title="FRED, Federal Reserve Bank of St. Louis",
    kinds=(Kind.MACRO,),
    limits=(Limit(120, 60.0),),
    licence="FRED terms of use; single series may belong to third parties",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "make a free key at https://fred.stlouisfed.org/docs/api/api_key.html"),
    facts=Facts(facts_request, parse_facts, vintages=True),
)

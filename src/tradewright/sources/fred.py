"""FRED, Federal Reserve Bank of St. Louis: US macro series with every vintage; with a free key.

`GET /fred/series` tells the frequency of a series. `GET /fred/series/observations` with a real-time span from
1776-07-04 to 9999-12-31 answers every vintage of every observation: `{date, realtime_start, realtime_end, value}`,
values as text, "." for none, at most 100,000 a page by `offset`. `date` is the first day of a month, quarter or year,
and the last one of a week. A vintage is dated by the day in US Central time; what hour it came is not said, so it
counts as known at the end of that day. Errors are 400 with `error_message`, for unknown series too.

A span of more than 2,000 vintages, which a daily series has, is refused: `There are 2004 vintage dates in the specified
real-time period ... This exceeds the maximum`. Then it is asked in slices of a few years. FRED dates a value that was
known before a slice by the first day of it, so each slice begins with the last day of the one before and what is dated
that day is left out: it came with that one.
Source: FRED API documentation, series/observations.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from tradewright.clock import DAY_US, from_us
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import days, end_of_day_us, numbers, rows_of, whole_numbers
from tradewright.sources.source import Auth, Credentials, Facts, FactsPage, Source, SpanQuery
from tradewright.sources.tables import facts_frame, midnight_us
from tradewright.transport.messages import Request, Response, shortened
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "fred", "FRED", "macro:CPIAUCSL"
BASE_URL = "https://api.stlouisfed.org"
PAGE_ROWS = 100_000
ZONE = "America/Chicago"
FIRST_DAY, LAST_DAY = "1776-07-04", "9999-12-31"  # what FRED takes as ever
_MONTHS = {"M": 1, "Q": 3, "SA": 6, "A": 12, "5Y": 60}
_WEEKS = {"W": 7, "BW": 14}  # in days
_SLICES_FROM, _SLICE_YEARS = 1996, 5  # five years of days are below the 2,000 vintages of one answer
_TOO_MANY, _NOT_THERE = "maximum number of vintage dates", "does not exist"


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
    """Return the request for the frequency of the series, then for a page of vintages.

    token: `frequency|offset`, and in slices `frequency|offset|first day|last day`. A period of up to five years may
    begin before the span that it ends in.
    """
    if not query.token:
        return Request(f"{BASE_URL}/fred/series", query=(("series_id", query.symbol), ("file_type", "json")))
    frequency, offset, first, last = _place(query.token)
    before = 5 * 366 if frequency == "5Y" else 367
    asked = {
        "series_id": query.symbol,
        "file_type": "json",
        "realtime_start": first,
        "realtime_end": last,
        "observation_start": max(from_us(query.start_us - before * DAY_US).date().isoformat(), FIRST_DAY),
        "observation_end": from_us(query.end_us).date().isoformat(),
        "limit": str(PAGE_ROWS),
        "offset": str(offset),
    }
    return Request(f"{BASE_URL}/fred/series/observations", query=tuple(asked.items()))


def parse_facts(response: Response, query: SpanQuery) -> FactsPage:
    """Return every vintage of a page; an observation without a value is left out. No rows come of the series itself,
    and of a refusal for having too many vintages, behind which the slices begin."""
    slices = _slices(response) if query.token.count("|") == 1 and _says(response, _TOO_MANY) else ()
    if slices:
        first, last = slices[0]
        token = f"{query.token.partition('|')[0]}|0|{first}|{last}"
        return FactsPage(facts_frame(query.instrument, [], response.received_at_us), token)
    early = query.token.count("|") > 1 and _says(response, _NOT_THERE)  # a slice from before the series began
    body: dict[str, Any] = {"count": 0, "observations": []} if early else _read(response, query.symbol)
    if not query.token:
        series = body.get("seriess")
        columns = rows_of(series if isinstance(series, list) else [series], ("frequency_short",), TITLE)
        if len(columns["frequency_short"]) != 1:
            raise answers.changed(response, TITLE, "series")
        return FactsPage(
            facts_frame(query.instrument, [], response.received_at_us), f"{columns['frequency_short'][0]}|0"
        )
    if not isinstance(body.get("observations"), list):
        raise answers.changed(response, TITLE, "list of observations")
    frequency, offset, first, last = _place(query.token)
    kept = [row for row in body["observations"] if not isinstance(row, dict) or row.get("value") != "."]
    columns = rows_of(kept, ("date", "realtime_start", "value"), TITLE)
    dated, published = days(columns["date"], TITLE), days(columns["realtime_start"], TITLE)
    spans = {day: _span_us(day, frequency) for day in set(dated)}
    known = {day: end_of_day_us(day, ZONE) for day in set(published)}
    values = numbers(columns["value"], f"{TITLE}, value")
    records = [
        ("", "", *spans[day], max(known[told], spans[day][1]), value)
        for day, told, value in zip(dated, published, values, strict=True)
        if first == FIRST_DAY or told.isoformat() > first
    ]
    (count,) = whole_numbers([body.get("count", 0)], TITLE)
    reached = offset + len(body["observations"])
    span = "" if query.token.count("|") == 1 else f"|{first}|{last}"
    token = f"{frequency}|{reached}{span}" if body["observations"] and reached < count else ""
    if not token and last != LAST_DAY:
        following = next((each for each in _slices(response) if each[0] == last), (last, LAST_DAY))
        token = f"{frequency}|0|{following[0]}|{following[1]}"
    return FactsPage(facts_frame(query.instrument, records, response.received_at_us), token)


def _place(token: str) -> tuple[str, int, str, str]:
    frequency, offset, first, last = (*token.split("|"), FIRST_DAY, LAST_DAY)[:4]
    return frequency, int(offset), first, last


def _slices(response: Response) -> list[tuple[str, str]]:
    this_year = from_us(response.received_at_us).year
    ends = [f"{year}-12-31" for year in range(_SLICES_FROM, this_year, _SLICE_YEARS)]
    return list(zip([FIRST_DAY, *ends], [*ends, LAST_DAY], strict=True))


def _says(response: Response, words: str) -> bool:
    return response.status == 400 and words in response.body.decode("utf-8", "replace")


def _span_us(day: date, frequency: str) -> tuple[int, int]:
    if frequency in _WEEKS:  # dated by the last day
        return midnight_us(day - timedelta(days=_WEEKS[frequency] - 1)), midnight_us(day + timedelta(days=1))
    if frequency not in _MONTHS:
        return midnight_us(day), midnight_us(day + timedelta(days=1))
    at = day.month - 1 + _MONTHS[frequency]
    return midnight_us(day), midnight_us(day.replace(year=day.year + at // 12, month=at % 12 + 1, day=1))


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
    if _TOO_MANY in said:
        raise SourceFailed(
            f"{TITLE} has more vintages of {symbol!r} in five years than one answer holds: {shortened(said, 200)}; use "
            "a series of a longer period, or bring its vintages in from a file of ALFRED",
            status=response.status,
        )
    if _NOT_THERE in said:
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

"""Bars and quotes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec

from tradewright.api import encoded, representations
from tradewright.api.adjusted import adjusted_rows
from tradewright.api.market_data import BarRow, SeriesKey, ServedSeries
from tradewright.api.operations import Call, Operation, Raw
from tradewright.api.pages import Encoded
from tradewright.api.pagination import PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.representations import ARROW, CSV, JSON
from tradewright.api.wire import (
    INSTRUMENT_PATTERN,
    Feed,
    InstrumentId,
    IntervalName,
    Moment,
    Rfc3339,
    SourceName,
    VerdictName,
    feed_of,
    market_time_of,
    micros,
    session_of,
    sources_of_feed,
)
from tradewright.clock import format_us
from tradewright.market.adjustment import Adjustment
from tradewright.storage import runs, series

_MOST_AS_OF = 5  # instruments of a read as of a moment, which nothing in memory answers
_IN_A_THREAD = 1_000  # rows from which an answer is encoded beside the event loop
_ID = re.compile(INSTRUMENT_PATTERN)
Ids = Annotated[
    str,
    msgspec.Meta(
        min_length=3,
        max_length=8_000,
        description="Ids, separated by commas.",
        examples=["crypto:AAA-USD"],
        extra_json_schema={"pattern": f"^{INSTRUMENT_PATTERN}(,{INSTRUMENT_PATTERN})*$"},
    ),
]
Price = Annotated[float, msgspec.Meta(examples=[101.5])]


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One bar; `time` is the moment it was complete. Values a source does not give are null."""

    instrument: InstrumentId
    time: Rfc3339
    open: Price | None
    high: Price | None
    low: Price | None
    close: Price | None
    volume: float | None
    source: str


class BarSeries(msgspec.Struct, frozen=True):
    """What bars of an answer were taken from, and its verdict now. pre_adjusted: the source adjusts its prices."""

    instrument: InstrumentId
    source: str
    verdict: VerdictName
    pre_adjusted: bool


class BarPage(msgspec.Struct, frozen=True):
    """Bars, ascending by time, then instrument. adjustment: as asked for, or `pre_adjusted` where the source of one of
    the series adjusts its prices. series: one for each instrument asked for, in that order."""

    data: list[Bar]
    has_more: bool
    next_cursor: str | None
    interval: IntervalName
    adjustment: Literal["raw", "split", "all", "pre_adjusted"]
    series: list[BarSeries]
    feed: Feed | None


class BarQuery(PageQuery, frozen=True, kw_only=True):
    """Which bars. Without `end`, a replay's bars end at its market time."""

    instruments: Ids
    interval: IntervalName = "1d"
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000, description="Rows on a page.")] = 500
    order: Literal["asc"] = "asc"
    start: Annotated[Moment, msgspec.Meta(description="First bar time, included.")] | None = None
    end: Annotated[Moment, msgspec.Meta(description="Last bar time, excluded.")] | None = None
    as_of: (
        Annotated[Moment, msgspec.Meta(description="Only what could be known at that moment; up to 5 instruments.")]
        | None
    ) = None
    adjustment: Annotated[
        Literal["raw", "split", "all"],
        msgspec.Meta(
            description="Prices and volumes as of the last moment asked for: adjusted for splits, or for splits and "
            "dividends, that the source told of and that had taken place. What a source adjusted itself is served as "
            "it is: raw."
        ),
    ] = "raw"
    source: Annotated[SourceName, msgspec.Meta(description="Needed where several sources have it.")] | None = None


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The latest price of an instrument: the close of the last closed row; null before the first one."""

    instrument: InstrumentId
    price: Price | None
    time: Rfc3339 | None
    source: str
    interval: IntervalName


class Quotes(msgspec.Struct, frozen=True):
    """A quote for each instrument, in the order asked for."""

    data: list[Quote]
    feed: Feed | None


class QuoteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which quotes."""

    instruments: Ids
    source: Annotated[SourceName, msgspec.Meta(description="Needed where several sources have it.")] | None = None


_QUOTES_READ = (runs.latest_feed_session, series.get_data_set, series.candidates, series.versions)


async def _list_bars(call: Call) -> Raw:
    media_type = representations.chosen(call.headers.get("accept"), _BARS)
    part = await _page_of_bars(call, media_type)
    headers = {"vary": "accept", **part.headers}
    if media_type != JSON:
        return Raw(part.body, part.media_type, headers={"etag": part.etag, **headers})
    answer = encoded.with_feed(part, await feed_of(call))
    return Raw(answer.body, answer.media_type, headers={**answer.headers, **headers})


async def _page_of_bars(call: Call, media_type: str) -> Encoded:
    query: BarQuery = call.query
    read = (series.candidates, series.versions, *((runs.latest_feed_session,) if query.end is None else ()))
    pages, state = call.services.pages, call.services.database.state(*read)
    key = ("bars", *call.tenant, query, media_type)
    in_memory = query.as_of is None and query.adjustment == "raw"  # else from the tables, past what is in memory
    part = pages.get(key, state) if in_memory else None
    if part is not None:
        return part
    served, end = await _series_and_end(call)
    if not in_memory:
        return await _bars(call, served, end, media_type)
    data, keys = call.services.market_data, [each.key for each in served]
    versions = await data.versions(keys)
    after = decode_cursor(call, tuple[int, str])
    end = await data.end_of_page(keys, micros(query.start), end, after, query.limit + 1)
    version = (tuple(served), end, versions)
    part = pages.renewed(key, state, version)
    return part or pages.put(key, state, version, await _bars(call, served, end, media_type))


async def _series_and_end(call: Call) -> tuple[list[ServedSeries], int | None]:
    query: BarQuery = call.query
    wanted = listed_ids(query.instruments, 100 if query.as_of is None else _MOST_AS_OF)
    start, end = micros(query.start), micros(query.end)
    refuse_empty(start, end)
    if end is None:
        shown_until = await market_time_of(call)
        end = None if shown_until is None else shown_until + 1
    organization = call.principal.organization
    served = await call.services.market_data.series_of(organization, wanted, query.interval, query.source)
    if query.adjustment != "raw":
        _refuse_adjusted_by_source(served)
    return served, end


async def _bars(call: Call, served: Sequence[ServedSeries], end: int | None, media_type: str) -> Encoded:
    query: BarQuery = call.query
    keys = [each.key for each in served]
    after = decode_cursor(call, tuple[int, str])
    rows = await call.services.market_data.page(
        keys, micros(query.start), end, micros(query.as_of), after, query.limit + 1
    )
    if query.adjustment != "raw":
        rows = await _adjusted(call, keys, rows)
    if len(rows) > _IN_A_THREAD:
        return await asyncio.to_thread(_encoded, call, served, rows, media_type)
    return _encoded(call, served, rows, media_type)


def _refuse_adjusted_by_source(served: Sequence[ServedSeries]) -> None:
    wrong = [f"{each.key.instrument} from {each.key.source}" for each in served if each.pre_adjusted]
    if wrong:
        text = f"the prices of {', '.join(wrong[:20])} were adjusted by their source; they are served as they are: raw"
        raise Refused("invalid_input", text, [FieldError("query:adjustment", text)])


async def _adjusted(call: Call, keys: Sequence[SeriesKey], rows: list[BarRow]) -> list[BarRow]:
    query: BarQuery = call.query
    as_of = micros(query.as_of)
    shown_until = await market_time_of(call) if query.end is None else None
    until = next(us for us in (as_of, shown_until, call.services.clock.now_us()) if us is not None)
    kind = Adjustment.parse(query.adjustment)
    data = call.services.market_data
    return await adjusted_rows(data, call.principal.organization, keys, rows, kind, as_of, until)


def _encoded(call: Call, served: Sequence[ServedSeries], rows: list[BarRow], media_type: str) -> Encoded:
    query: BarQuery = call.query
    keys = [(row.time, row.key.instrument) for row in rows]
    if media_type == JSON:
        listed = page(call, rows, keys, _bar)
        adjustment = "pre_adjusted" if any(each.pre_adjusted for each in served) else query.adjustment
        told = [BarSeries(each.key.instrument, each.key.source, each.verdict, each.pre_adjusted) for each in served]  # type: ignore[arg-type]  # verdict: one of its words
        return encoded.before_feed(
            BarPage(listed.data, listed.has_more, listed.next_cursor, query.interval, adjustment, told, None)
        )
    listed = page(call, rows, keys, lambda row: None)
    body = (representations.csv_of if media_type == CSV else representations.arrow_of)(rows[: query.limit])
    shown = f"{CSV}; charset=utf-8; header=present" if media_type == CSV else media_type
    headers = {"data-verdict": representations.verdicts_of(served)}
    if listed.has_more and listed.next_cursor:
        headers["link"] = _next_link(query, listed.next_cursor)
    return encoded.whole(body, shown, headers)


def _next_link(query: BarQuery, cursor: str) -> str:
    given = msgspec.to_builtins(query) | {"cursor": cursor}
    return f'</v1/bars?{urlencode({name: value for name, value in given.items() if value is not None})}>; rel="next"'


async def _list_quotes(call: Call) -> Raw:
    query: QuoteQuery = call.query
    pages, state = call.services.pages, call.services.database.state(*_QUOTES_READ)
    key = ("quotes", *call.tenant, query)
    part = pages.get(key, state)
    if part is None:
        data, seen_until = call.services.market_data, await market_time_of(call)
        keys = await _quoted(call)
        version = (tuple(keys), seen_until, await data.versions(keys))
        part = pages.renewed(key, state, version)
        if part is None:
            closes = await data.last_closes(keys, seen_until)
            quotes = [_quote(key, close) for key, close in zip(keys, closes, strict=True)]
            part = pages.put(key, state, version, encoded.before_feed(Quotes(quotes, None)))
    return encoded.with_feed(part, await feed_of(call))


async def _quoted(call: Call) -> list[SeriesKey]:
    query: QuoteQuery = call.query
    wanted = listed_ids(query.instruments, 500)
    session = await session_of(call)
    interval = session["interval"] if session else "1d"
    preferred = await sources_of_feed(call)
    served = await call.services.market_data.series_of(
        call.principal.organization, wanted, interval, query.source, preferred
    )
    return [each.key for each in served]


def _quote(key: SeriesKey, close: tuple[int, float] | None) -> Quote:
    time, price = (None, None) if close is None else (format_us(close[0]), close[1])
    return Quote(key.instrument, price, time, key.source, key.interval)  # type: ignore[arg-type]


def refuse_empty(start_us: int | None, end_us: int | None) -> None:
    """Raise Refused when no moment lies from start on and before end."""
    if start_us is None or end_us is None or start_us < end_us:
        return
    text = f"start must lie before end: {format_us(start_us)} is included, {format_us(end_us)} is not"
    text += f"; for the row of {format_us(start_us)} alone name a later end" if start_us == end_us else ""
    raise Refused("invalid_input", text, [FieldError("query:start", "not before end")])


def listed_ids(text: str, most: int) -> list[str]:
    """Return the ids of `instruments=`, each once. Raises Refused for more than `most` and for what is no id."""
    names = list(dict.fromkeys(text.split(",")))
    if len(names) > most:
        fault = FieldError("query:instruments", f"at most {most} at a time; got {len(names)}")
        raise Refused("invalid_input", "too many instruments", [fault])
    wrong = [name for name in names if not _ID.fullmatch(name)]
    if wrong:
        text = f"an id is a class and a symbol, like equity:AAPL; got {wrong[0][:60]!r}"
        raise Refused("invalid_input", text, [FieldError("query:instruments", text)])
    return names


def _bar(row: BarRow) -> Bar:
    key, time, opened, high, low, close, volume = row
    return Bar(key.instrument, format_us(time), opened, high, low, close, volume, key.source)


_BARS = (JSON, CSV, ARROW)
OPERATIONS = [
    Operation(
        "GET", "/v1/bars", "list_bars", "Bars of one or more instruments", "market data", "market:read",
        _list_bars, BarPage, BarQuery, cacheable=True, media_types=_BARS, errors=("not_found", "not_acceptable"),
        description="Ascending, up to 100 instruments and 10,000 rows a page, raw or adjusted, as JSON, CSV or an "
        "Arrow stream by `Accept`, with the verdict of each series. CSV and Arrow name the next page in the `Link` "
        "header, the verdicts in `Data-Verdict`. The ETag changes with the verdicts, not with the age of the feed.",
    ),
    Operation(
        "GET", "/v1/quotes", "list_quotes", "Latest prices", "market data", "market:read",
        _list_quotes, Quotes, QuoteQuery, cacheable=True, errors=("not_found",),
        description="The last close that the feed of this environment has shown, for up to 500 instruments; never "
        "later than the market time of the feed.",
    ),
]  # fmt: skip

"""Instruments, bars, verdicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tradewright.api.market_data import BarRow
from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import (
    Amount,
    Feed,
    InstrumentId,
    IntervalName,
    Moment,
    amount,
    feed_of,
    found,
    market_time_of,
    micros,
    moment,
)
from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.market.verdicts import Verdict
from tradewright.storage import series

_SERIES_ERRORS = ("not_found",)


class Instrument(msgspec.Struct, frozen=True):
    """What is traded. tick, lot and minimum_notional are null where unknown."""

    id: InstrumentId
    kind: str
    symbol: str
    name: str
    currency: str
    calendar: str
    tick: Amount | None
    lot: Amount | None
    minimum_notional: Amount | None
    multiplier: Amount
    listed: str | None
    delisted: str | None


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One bar; `time` is the moment it was complete. Values a source does not give are null."""

    instrument: str
    time: str
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    source: str


class BarPage(msgspec.Struct, frozen=True):
    """Bars, ascending by time, then instrument."""

    data: list[Bar]
    has_more: bool
    next_cursor: str | None
    interval: str
    adjustment: str
    feed: Feed | None


class BarQuery(PageQuery, frozen=True, kw_only=True):
    """Which bars. Without `end`, a replay's bars end at its market time."""

    instruments: Annotated[
        str,
        msgspec.Meta(min_length=3, max_length=2048, description="Ids, separated by commas.", examples=["equity:AAPL"]),
    ]
    interval: IntervalName = "1d"
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000, description="Rows on a page.")] = 500
    order: Literal["asc"] = "asc"
    start: Moment | None = None
    end: Moment | None = None
    as_of: Moment | None = None
    adjustment: Literal["raw"] = "raw"
    source: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class Finding(msgspec.Struct, frozen=True):
    """One thing a check saw. rows: bar times of the first rows concerned."""

    code: str
    severity: str
    detail: str
    count: int
    rows: list[str]


class SeriesVerdict(msgspec.Struct, frozen=True):
    """How far one series can be trusted, and why."""

    source: str
    instrument: str
    interval: str
    owner: str
    verdict: str
    findings: list[Finding]
    rows: int
    first_time: str | None
    last_time: str | None
    pre_adjusted: bool
    close_only: bool
    revised: bool
    data_version: str
    checked_at: str | None


class VerdictQuery(PageQuery, frozen=True, kw_only=True):
    """Which series."""

    instrument: InstrumentId | None = None
    interval: IntervalName | None = None
    source: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    order: Literal["asc"] = "asc"


async def _list_instruments(call: Call) -> Page[Instrument]:
    query: PageQuery = call.query
    after = decode_cursor(query, str)
    rows = await call.services.database.read_short_async(
        series.list_instruments, after_id=after, limit=query.limit + 1, descending=query.order == "desc"
    )
    return page(query, rows, [row["id"] for row in rows], _instrument)


async def _get_instrument(call: Call) -> Instrument:
    key = call.path["id"]
    row = await call.services.database.read_short_async(series.get_instrument, key)
    return _instrument(found(row, "instrument", key))


async def _list_bars(call: Call) -> BarPage:
    query: BarQuery = call.query
    wanted = list(dict.fromkeys(query.instruments.split(",")))
    if len(wanted) > 100:
        fault = FieldError("query:instruments", f"at most 100 at a time; got {len(wanted)}")
        raise Refused("invalid_input", "too many instruments", [fault])
    start, end = micros(query.start), micros(query.end)
    if start is not None and end is not None and start >= end:
        raise Refused("invalid_input", "start must lie before end", [FieldError("query:start", "not before end")])
    if end is None:
        shown_until = await market_time_of(call)
        end = None if shown_until is None else shown_until + 1
    data = call.services.market_data
    keys = await data.series_of(call.principal.organization, wanted, query.interval, query.source)
    after = decode_cursor(query, tuple[int, str])
    rows = await data.page(keys, start, end, micros(query.as_of), after, query.limit + 1)
    listed = page(query, rows, [(row.time, row.key.instrument) for row in rows], _bar)
    feed = await feed_of(call)
    return BarPage(listed.data, listed.has_more, listed.next_cursor, query.interval, query.adjustment, feed)


async def _list_verdicts(call: Call) -> Page[SeriesVerdict]:
    query: VerdictQuery = call.query
    rows = await call.services.database.read_short_async(
        series.list_series,
        Owner(call.principal.organization),
        instruments=None if query.instrument is None else [query.instrument],
        interval=query.interval,
        source=query.source,
        after=decode_cursor(query, tuple[str, str, str, str]),
        limit=query.limit + 1,
    )
    keys = [(row["instrument"], row["interval"], row["source"], row["owner"]) for row in rows]
    return page(query, rows, keys, _verdict)


def _instrument(row: dict[str, Any]) -> Instrument:
    kind, _, symbol = row["id"].partition(":")
    optional = {name: row[name] for name in ("tick", "lot", "minimum_notional")}
    return Instrument(
        id=row["id"],
        kind=kind,
        symbol=symbol,
        name=row["name"],
        currency=row["currency"],
        calendar=row["calendar"],
        multiplier=amount(row["multiplier"]),
        listed=moment(row["listed"]),
        delisted=moment(row["delisted"]),
        **{name: None if value is None else amount(value) for name, value in optional.items()},
    )


def _bar(row: BarRow) -> Bar:
    key, time, opened, high, low, close, volume = row
    return Bar(key.instrument, format_us(time), opened, high, low, close, volume, key.source)


def _verdict(row: dict[str, Any]) -> SeriesVerdict:
    return SeriesVerdict(
        source=row["source"],
        instrument=row["instrument"],
        interval=row["interval"],
        owner=row["owner"],
        verdict=row["verdict"],
        findings=[_finding(f) for f in row["findings"]],
        rows=row["rows"],
        first_time=moment(row["first_time"]),
        last_time=moment(row["last_time"]),
        pre_adjusted=row["pre_adjusted"],
        close_only=row["close_only"],
        revised=row["revised"],
        data_version=row["data_version"],
        checked_at=moment(row["checked_at"]),
    )


def _finding(stored: dict[str, Any]) -> Finding:
    severity = stored["severity"]
    label = Verdict(severity).label if isinstance(severity, int) else severity
    rows = [moment(time) or "" for time in stored["rows"]]
    return Finding(stored["code"], label, stored["detail"], stored["count"], rows)


OPERATIONS = [
    Operation(
        "GET", "/v1/instruments", "list_instruments", "Instruments", "market data", "market:read",
        _list_instruments, Page[Instrument], PageQuery,
    ),
    Operation(
        "GET", "/v1/instruments/{id}", "get_instrument", "One instrument", "market data", "market:read",
        _get_instrument, Instrument, errors=("not_found",),
    ),
    Operation(
        "GET", "/v1/bars", "list_bars", "Bars of one or more instruments", "market data", "market:read",
        _list_bars, BarPage, BarQuery, errors=_SERIES_ERRORS,
    ),
    Operation(
        "GET", "/v1/verdicts", "list_verdicts", "What the checks say about each series", "market data", "market:read",
        _list_verdicts, Page[SeriesVerdict], VerdictQuery,
    ),
]  # fmt: skip

"""Facts: values of a period or a moment that are no bars, as they were known."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tradewright.api.dated_data import FactKey, FactsWanted
from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.routes.market import Ids, listed_ids, refuse_empty
from tradewright.api.wire import InstrumentId, Moment, Rfc3339, market_time_of, micros, moment
from tradewright.clock import format_us

_MOST = 20  # instruments: nothing in memory answers
_SourceName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["sec_edgar"])]


class Fact(msgspec.Struct, frozen=True):
    """One value, in its latest vintage. name: the concept, empty where the instrument is the series itself.
    period_start: null for a value at a moment. known_at: when anybody could know it; observed_at: when we did."""

    source: _SourceName
    instrument: InstrumentId
    name: Annotated[str, msgspec.Meta(examples=["us-gaap:Revenues"])]
    unit: Annotated[str, msgspec.Meta(examples=["USD"])]
    period_start: Rfc3339 | None
    period_end: Rfc3339
    known_at: Rfc3339
    observed_at: Rfc3339
    value: Annotated[float, msgspec.Meta(examples=[90753000000.0])]


class FactQuery(PageQuery, frozen=True, kw_only=True):
    """Which facts, ascending by source, instrument, name, unit and period. Without `as_of`, a replay shows what was
    known by its market time."""

    instruments: Ids
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000, description="Rows on a page.")] = 500
    order: Literal["asc"] = "asc"
    names: (
        Annotated[
            str,
            msgspec.Meta(
                min_length=1, max_length=4_000, description="Concepts, separated by commas.",
                examples=["us-gaap:Revenues"],
            ),
        ]
        | None
    ) = None  # fmt: skip
    start: Annotated[Moment, msgspec.Meta(description="First end of a period, included.")] | None = None
    end: Annotated[Moment, msgspec.Meta(description="Last end of a period, excluded.")] | None = None
    as_of: Annotated[Moment, msgspec.Meta(description="Only what could be known at that moment.")] | None = None
    source: _SourceName | None = None


async def _list(call: Call) -> Page[Fact]:
    query: FactQuery = call.query
    start, end = micros(query.start), micros(query.end)
    refuse_empty(start, end)
    wanted = FactsWanted(
        instruments=tuple(listed_ids(query.instruments, _MOST)),
        names=None if query.names is None else tuple(query.names.split(",")),
        source=query.source,
        start_us=start,
        end_us=end,
        as_of_us=await market_time_of(call) if query.as_of is None else micros(query.as_of),
    )
    after = decode_cursor(call, FactKey)
    data = call.services.market_data.dated
    rows = await data.facts(call.principal.organization, wanted, after, query.limit + 1)
    names = ("source", "instrument", "name", "unit", "period_start", "period_end")
    return page(call, rows, [tuple(row[name] for name in names) for row in rows], _fact)


def _fact(row: dict[str, Any]) -> Fact:
    return Fact(
        source=row["source"],
        instrument=row["instrument"],
        name=row["name"],
        unit=row["unit"],
        period_start=moment(row["period_start"]),
        period_end=format_us(row["period_end"]),
        known_at=format_us(row["known_at"]),
        observed_at=format_us(row["observed_at"]),
        value=row["value"],
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/facts", "list_facts", "Facts about instruments", "market data", "market:read",
        _list, Page[Fact], FactQuery, cacheable=True, cost=2,
        description="Figures of companies and macro series of up to 20 instruments, each in the vintage known last, or "
        "known by `as_of`. Those that came with credentials of another organization are not among them.",
    ),
]  # fmt: skip

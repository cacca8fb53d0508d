"""Sources of data, and the rows that were not taken from them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import Refused
from tradewright.api.wire import InstrumentId, IntervalName, Rfc3339, moment
from tradewright.ids import Owner
from tradewright.sources.registry import SOURCES
from tradewright.sources.source import Source as Module
from tradewright.storage import series

SourceName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["binance"])]


class Limit(msgspec.Struct, frozen=True):
    """At most so many units of weight within so many seconds."""

    units: Annotated[int, msgspec.Meta(examples=[6000])]
    window_s: Annotated[float, msgspec.Meta(examples=[60.0])]


class Declared(msgspec.Struct, frozen=True):
    """What the module of a source says about it. offers: which of bars, facts, actions, quotes, listing and stream it
    has. credentials: names of what it wants to be handed, none for a keyless source; optional: it also answers without.
    limits: as documented by the source. lag_s: from the end of a bar until anyone can have it. adjusted: prices were
    adjusted by the source. revised: its history changes. opt_in: why it is off unless a setting names it."""

    title: Annotated[str, msgspec.Meta(examples=["Binance spot"])]
    offers: list[str]
    kinds: list[str]
    intervals: list[IntervalName]
    credentials: list[str]
    optional: bool
    limits: list[Limit]
    licence: str
    base_url: str
    lag_s: float
    adjusted: bool
    revised: bool
    opt_in: str
    notes: list[str]


class Source(msgspec.Struct, frozen=True):
    """A third party. declared: null for data that came as a file. series: how many the caller sees. last_time: of the
    newest bar; checked_at: when bars of it were last taken in."""

    name: SourceName
    declared: Declared | None
    series: int
    last_time: Rfc3339 | None
    checked_at: Rfc3339 | None


class Sources(msgspec.Struct, frozen=True):
    """Every source by name."""

    data: list[Source]


class QuarantinedRow(msgspec.Struct, frozen=True):
    """A row that was not taken. code: of the check that it failed. row: as it came."""

    id: str
    source: SourceName
    instrument: InstrumentId
    interval: str
    time: Rfc3339 | None
    code: Annotated[str, msgspec.Meta(examples=["high_below_low"])]
    detail: str
    row: dict[str, Any]
    ingestion: str
    status: Annotated[str, msgspec.Meta(examples=["held"])]
    owner: Annotated[str, msgspec.Meta(examples=["system"])]
    created_at: Rfc3339


class QuarantineQuery(PageQuery, frozen=True, kw_only=True):
    """Which rows."""

    source: SourceName | None = None
    instrument: InstrumentId | None = None
    interval: IntervalName | None = None
    status: Annotated[str, msgspec.Meta(min_length=1, max_length=32, examples=["held"])] | None = None


async def _list(call: Call) -> Sources:
    seen = await call.services.database.read_replica_async(series.sources_seen, Owner(call.principal.organization))
    return Sources([_source(name, seen.get(name)) for name in sorted({*SOURCES, *seen})])


async def _get(call: Call) -> Source:
    name = call.path["name"]
    seen = await call.services.database.read_replica_async(series.sources_seen, Owner(call.principal.organization))
    if name not in SOURCES and name not in seen:
        raise Refused("not_found", f"there is no source {name!r} here; GET /v1/sources lists them")
    return _source(name, seen.get(name))


async def _list_quarantine(call: Call) -> Page[QuarantinedRow]:
    query: QuarantineQuery = call.query
    given = {name: getattr(query, name) for name in ("source", "instrument", "interval", "status")}
    wanted = {name: value for name, value in given.items() if value is not None}
    after = decode_cursor(query, str)
    rows = await call.services.database.read_replica_async(
        series.page_quarantine,
        Owner(call.principal.organization),
        wanted,
        query.limit + 1,
        query.order == "desc",
        after,
    )
    return page(query, rows, [row["id"] for row in rows], _row)


def _source(name: str, seen: dict[str, Any] | None) -> Source:
    module = SOURCES.get(name)
    declared = None if module is None else _declared(module)
    if seen is None:
        return Source(name, declared, 0, None, None)
    return Source(name, declared, int(seen["series"]), moment(seen["last_time"]), moment(seen["checked_at"]))


def _declared(module: Module) -> Declared:
    bars = module.bars
    return Declared(
        title=module.title,
        offers=list(module.offers),
        kinds=[kind.value for kind in module.kinds],
        intervals=[] if bars is None else [interval.value for interval in bars.intervals],
        credentials=list(module.auth.fields),
        optional=not module.auth.needed,
        limits=[Limit(limit.units, limit.window_s) for limit in module.limits],
        licence=module.licence,
        base_url=module.base_url,
        lag_s=0.0 if bars is None else bars.lag_us / 1e6,
        adjusted=bars is not None and bars.adjusted,
        revised=bars is not None and bars.revised,
        opt_in=module.opt_in,
        notes=list(module.notes),
    )


def _row(row: dict[str, Any]) -> QuarantinedRow:
    names = ("id", "source", "instrument", "interval", "code", "detail", "row", "ingestion", "status", "owner")
    return QuarantinedRow(
        **{name: row[name] for name in names}, time=moment(row["time"]), created_at=moment(row["created_at"]) or ""
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/sources", "list_sources", "Sources of data", "sources", "sources:read", _list, Sources,
        cacheable=True, description="What each third party offers, its limits and lag, and what came from it.",
    ),
    Operation(
        "GET", "/v1/sources/{name}", "get_source", "One source", "sources", "sources:read", _get, Source,
        cacheable=True, errors=("not_found",), description="What it offers, and what came from it.",
    ),
    Operation(
        "GET", "/v1/quarantine", "list_quarantine", "Rows that were not taken", "sources", "sources:read",
        _list_quarantine, Page[QuarantinedRow], QuarantineQuery,
        description="Rows that a check rejected, kept aside as they came, newest first.",
    ),
]  # fmt: skip

"""Rows that a check rejected, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from tradewright.api.market_data import SeriesKey
from tradewright.api.operations import Call, Effect, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import Refused
from tradewright.api.routes.sources import SourceName
from tradewright.api.wire import InstrumentId, Rfc3339, SeriesInterval, found, moment
from tradewright.ids import SYSTEM, Owner
from tradewright.market.release import hindrance, overtaken
from tradewright.storage import audit, jobs, quarantine, series
from tradewright.storage.database import Tx


class QuarantinedRow(msgspec.Struct, frozen=True):
    """A row that was not taken. code: of the check that it failed. row: as it came. status: held until somebody
    decides; releasing until `tradewright worker` or `up` has put it into the catalog, released then."""

    id: str
    source: SourceName
    instrument: InstrumentId
    interval: str
    time: Rfc3339 | None
    code: Annotated[str, msgspec.Meta(examples=["high_below_low"])]
    detail: str
    row: dict[str, Any]
    ingestion: str
    status: Literal["held", "discarded", "releasing", "released"]
    owner: Annotated[str, msgspec.Meta(examples=["system"])]
    created_at: Rfc3339


class QuarantineQuery(PageQuery, frozen=True, kw_only=True):
    """Which rows."""

    source: SourceName | None = None
    instrument: InstrumentId | None = None
    interval: SeriesInterval | None = None
    status: Annotated[str, msgspec.Meta(min_length=1, max_length=32, examples=["held"])] | None = None


async def _list_quarantine(call: Call) -> Page[QuarantinedRow]:
    query: QuarantineQuery = call.query
    given = {name: getattr(query, name) for name in ("source", "instrument", "interval", "status")}
    wanted = {name: value for name, value in given.items() if value is not None}
    after = decode_cursor(call, str)
    rows = await call.services.database.read_replica_async(
        series.page_quarantine,
        Owner(call.principal.organization),
        wanted,
        query.limit + 1,
        query.order == "desc",
        after,
    )
    return page(call, rows, [row["id"] for row in rows], _row)


async def _get(call: Call) -> QuarantinedRow:
    key, owner = call.path["id"], Owner(call.principal.organization)
    row = await call.services.database.read_async(quarantine.get, owner, key)
    return _row(found(row, "row in quarantine", key))


async def _release(call: Call) -> Effect:
    now_us = call.services.clock.now_us()
    late = await _overtaken(call)

    def decide(tx: Tx, row: dict[str, Any]) -> str:
        if row["status"] in (quarantine.RELEASING, quarantine.RELEASED):
            return str(row["status"])
        why = hindrance(row, now_us)
        place = {name: row[name] for name in ("owner", "source", "instrument", "interval")}
        if not why and series.get_series(tx, **place) is None:
            why = "its ingestion has not come to an end, and may be asked for again"
        why = why or late
        if why:
            raise Refused("conflict", f"the row cannot be released: {why}")
        jobs.enqueue(tx, *call.tenant, "release", place, now_us)
        return quarantine.RELEASING

    return _decided(call, "quarantine.release", decide)


async def _overtaken(call: Call) -> str:
    # read before the transaction, since it reads files; the job looks again
    row = await call.services.database.read_async(quarantine.get, Owner(call.principal.organization), call.path["id"])
    if row is None or row["owner"] == SYSTEM or hindrance(row, call.services.clock.now_us()):
        return ""
    key = SeriesKey(*(row[name] for name in SeriesKey._fields))
    return overtaken(row, await call.services.market_data.bar_at(key, row["time"]))


async def _discard(call: Call) -> Effect:
    def decide(tx: Tx, row: dict[str, Any]) -> str:
        if row["status"] not in (quarantine.HELD, quarantine.DISCARDED):
            raise Refused("conflict", "the row was released, and stays in the catalog")
        return quarantine.DISCARDED

    return _decided(call, "quarantine.discard", decide)


def _decided(call: Call, action: str, decide: Callable[[Tx, dict[str, Any]], str]) -> Effect:
    key, now_us = call.path["id"], call.services.clock.now_us()

    def effect(tx: Tx) -> QuarantinedRow:
        owner = Owner(call.principal.organization)
        row = found(quarantine.get(tx, owner, key, lock=True), "row in quarantine", key)
        if row["owner"] == SYSTEM:
            raise Refused("conflict", "the row concerns data that everybody sees; no organization decides about it")
        status = decide(tx, row)
        if status != row["status"]:
            quarantine.mark(tx, [key], status, row["status"])
            detail = {name: row[name] for name in ("source", "instrument", "interval", "code")}
            audit.record(tx, *call.tenant, call.who, action, key, detail, now_us)
        return _row(row | {"status": status})

    return Effect(effect)


def _row(row: dict[str, Any]) -> QuarantinedRow:
    names = ("id", "source", "instrument", "interval", "code", "detail", "row", "ingestion", "status", "owner")
    return QuarantinedRow(
        **{name: row[name] for name in names}, time=moment(row["time"]), created_at=moment(row["created_at"]) or ""
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/quarantine", "list_quarantine", "Rows that were not taken", "sources", "sources:read",
        _list_quarantine, Page[QuarantinedRow], QuarantineQuery,
        description="Rows that a check rejected, kept aside as they came, newest first.",
    ),
    Operation(
        "GET", "/v1/quarantine/{id}", "get_quarantined_row", "One row that was not taken", "sources", "sources:read",
        _get, QuarantinedRow, cacheable=True, errors=("not_found",),
        description="The row as it came, why it was rejected, and what became of it.",
    ),
    Operation(
        "POST", "/v1/quarantine/{id}/release", "release_quarantined_row", "Take a row all the same", "sources",
        "sources:write", _release, QuarantinedRow, status=202, idempotent=True, cost=5,
        errors=("not_found", "conflict"),
        description="It goes into the catalog in the background, as observed now, once `tradewright worker` or `up` "
        "runs (`tradewright api` alone does no such work); follow its status. The verdict of "
        "the series is made anew and says how many rows were released. Rows of `system`, and such in whose place "
        "another bar came later, stay held: 409.",
    ),
    Operation(
        "POST", "/v1/quarantine/{id}/discard", "discard_quarantined_row", "Leave a row out", "sources",
        "sources:write", _discard, QuarantinedRow, idempotent=True, errors=("not_found", "conflict"),
        description="It stays listed, may be released later, and no longer counts in the verdict of the series when "
        "that is next made. Rows of `system` stay held: 409.",
    ),
]  # fmt: skip

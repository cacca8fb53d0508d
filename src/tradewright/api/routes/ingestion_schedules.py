"""Schedules: ingestions that are asked for again and again."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tradewright import ids
from tradewright.api import dispatch
from tradewright.api.operations import Call, Effect, Operation, Raw
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.routes.ingestions import IngestionRequest, SourceName, Symbol, checked
from tradewright.api.wire import InstrumentId, IntervalName, Rfc3339, found, moment
from tradewright.errors import Conflict
from tradewright.ids import Owner
from tradewright.sources import turns
from tradewright.storage import audit, bounds, ingestion_schedules
from tradewright.storage.database import Tx

Every = Annotated[
    str,
    msgspec.Meta(
        pattern=turns.PATTERN,
        examples=["1h"],
        extra={"words": "15m, 1h, 4h, 1d or a time of day from 00:00 to 23:59, UTC"},
    ),
]
Symbols = Annotated[list[Symbol], msgspec.Meta(min_length=1, max_length=100)]


class IngestionScheduleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to bring in again and again. every: `15m`, `1h`, `4h`, `1d`, or a time of day in UTC such as `06:30`. The
    rest is as in an ingestion without `start` and `end`."""

    source: SourceName
    instruments: Symbols
    every: Every
    interval: IntervalName = "1d"
    enabled: bool = True


class IngestionScheduleChange(msgspec.Struct, frozen=True, kw_only=True):
    """What may change; a field left out stays as it is. enabled: false pauses it."""

    instruments: Symbols | msgspec.UnsetType = msgspec.UNSET
    every: Every | msgspec.UnsetType = msgspec.UNSET
    interval: IntervalName | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class LastTurn(msgspec.Struct, frozen=True):
    """The last turn of a schedule. status: of its ingestion; `refused` when none was made, `waiting` before the first
    one. left_out: turns since that came before it had ended; they are had at once by the next one."""

    at: Rfc3339 | None
    ingestion: Annotated[str, msgspec.Meta(examples=["ing_01k3v9h2m4qzt6x8b0c2d4e6f8"])] | None
    status: Annotated[str, msgspec.Meta(examples=["succeeded"])]
    message: Annotated[str, msgspec.Meta(examples=["12 new rows"])]
    left_out: int


class IngestionSchedule(msgspec.Struct, frozen=True):
    """Ingestions that are asked for again and again. owner: whose the data is, as in an ingestion; it stays when
    credentials are kept or forgotten later. next_at: null while it is paused. failures: in a row, refusals included.
    last: null before the first turn."""

    id: str
    source: SourceName
    owner: Annotated[str, msgspec.Meta(examples=["system"])]
    instruments: list[InstrumentId]
    interval: IntervalName
    every: Every
    enabled: bool
    next_at: Rfc3339 | None
    failures: int
    last: LastTurn | None
    created_at: Rfc3339


class _Kept(msgspec.Struct, frozen=True):
    # what of a schedule changes only when somebody changes it: what its ETag stands for
    id: str
    instruments: list[str]
    interval: str
    every: str
    enabled: bool


async def _create(call: Call) -> Effect:
    asked: IngestionScheduleRequest = call.body
    wanted = IngestionRequest(source=asked.source, instruments=asked.instruments, interval=asked.interval)
    owner, request = await checked(call, wanted)
    key, now_us = ids.new("isc"), call.services.clock.now_us()
    organization, environment = call.tenant
    row = {
        "id": key,
        "organization": organization,
        "environment": environment,
        "owner": owner,
        "source": asked.source,
        "instruments": request["instruments"],
        "interval": asked.interval,
        "every": asked.every,
        "next_at": turns.first_turn(asked.every, now_us) if asked.enabled else None,
        "created_at": now_us,
    }

    def effect(tx: Tx) -> IngestionSchedule:
        if bounds.held(tx, "ingestion_schedules", organization) >= turns.MAX_SCHEDULES:
            raise Conflict(
                f"the organization has {turns.MAX_SCHEDULES} schedules, and may have no more; one takes up to 100 "
                "instruments of a source"
            )
        ingestion_schedules.add(tx, row)
        detail = {"source": asked.source, "every": asked.every}
        audit.record(tx, *call.tenant, call.who, "ingestion_schedule.create", key, detail, now_us)
        return _schedule(found(ingestion_schedules.get(tx, *call.tenant, key), "schedule", key))

    return Effect(effect)


async def _list(call: Call) -> Page[IngestionSchedule]:
    query: PageQuery = call.query
    rows = await call.services.database.read_async(
        ingestion_schedules.list_page, *call.tenant, query.limit + 1, query.order == "desc", decode_cursor(call, str)
    )
    return page(call, rows, [row["id"] for row in rows], _schedule)


async def _get(call: Call) -> Raw:
    row = await _row(call)
    headers = {"etag": dispatch.etag_of(dispatch.encode(_kept(row)))}
    return Raw(dispatch.encode(_schedule(row)), "application/json", headers=headers)


async def _change(call: Call) -> Effect:
    key, change, now_us = call.path["id"], call.body, call.services.clock.now_us()
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
    before = await _row(call)
    if "instruments" in given or "interval" in given:
        wanted = IngestionRequest(
            source=before["source"],
            instruments=given.get("instruments", before["instruments"]),
            interval=given.get("interval", before["interval"]),
        )
        _, request = await checked(call, wanted, Owner(before["owner"]))
        given |= {name: request[name] for name in ("instruments", "interval") if name in given}

    def effect(tx: Tx) -> IngestionSchedule:
        row = found(ingestion_schedules.get(tx, *call.tenant, key, lock=True), "schedule", key)
        dispatch.match(call, _kept(row))
        now = {**row, "enabled": row["next_at"] is not None}
        changed = {name: value for name, value in given.items() if value != now[name]}
        enabled = changed.pop("enabled", now["enabled"])
        if now["enabled"] and not enabled:
            changed |= {"next_at": None}
        elif enabled and (not now["enabled"] or "every" in changed):  # it begins like a new one
            changed |= {"next_at": turns.first_turn(changed.get("every", row["every"]), now_us), "failures": 0}
        if changed:
            ingestion_schedules.change(tx, key, **changed)
            detail = {"changed": sorted(given)}
            audit.record(tx, *call.tenant, call.who, "ingestion_schedule.update", key, detail, now_us)
        return _schedule({**row, **changed})

    return Effect(effect)


async def _delete(call: Call) -> Effect:
    key, now_us = call.path["id"], call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        gone = ingestion_schedules.remove(tx, *call.tenant, key)
        found(gone or None, "schedule", key)
        audit.record(tx, *call.tenant, call.who, "ingestion_schedule.delete", key, {}, now_us)

    return Effect(effect)


async def _row(call: Call) -> dict[str, Any]:
    key = call.path["id"]
    return found(await call.services.database.read_async(ingestion_schedules.get, *call.tenant, key), "schedule", key)


def _kept(row: dict[str, Any]) -> _Kept:
    return _Kept(row["id"], row["instruments"], row["interval"], row["every"], row["next_at"] is not None)


def _schedule(row: dict[str, Any]) -> IngestionSchedule:
    return IngestionSchedule(
        id=row["id"],
        source=row["source"],
        owner=row["owner"],
        instruments=row["instruments"],
        interval=row["interval"],
        every=row["every"],
        enabled=row["next_at"] is not None,
        next_at=moment(row["next_at"]),
        failures=row["failures"],
        last=_last(row),
        created_at=moment(row["created_at"]) or "",
    )


def _last(row: dict[str, Any]) -> LastTurn | None:
    if row["turn_at"] is None and not row["said"]:
        return None
    status = row["status"] if row["ingestion"] is not None else "refused" if row["turn_at"] is not None else "waiting"
    return LastTurn(moment(row["turn_at"]), row["ingestion"], status, message_of(row), row["left_out"])


def message_of(row: dict[str, Any]) -> str:
    """Return what there is to say about the last turn of a schedule, one line."""
    if row["said"]:
        return str(row["said"])
    if row["left_out"]:
        return f"{row['left_out']} turn(s) left out: it has not ended"
    if row["error"] is not None:
        return str(row["error"]["message"])
    return (
        f"{row['report']['stored']} new rows"
        if row["status"] == "succeeded" and row["report"]
        else row["message"] or ""
    )


_LATER = ("not_found",)
OPERATIONS = [
    Operation(
        "POST", "/v1/ingestion-schedules", "create_ingestion_schedule", "Bring data in again and again", "sources",
        "sources:write", _create, IngestionSchedule, body=IngestionScheduleRequest, status=201, idempotent=True,
        cost=20, errors=("unknown_name", "conflict", "source_refused"),
        example={"source": "binance", "instruments": ["crypto:BTC-USDT"], "interval": "1h", "every": "1h"},
        description="A period begins at once; a time of day, at that time. Each turn is an ingestion that goes on "
        "where the stored series end. A turn that comes before the last ingestion has ended is left out, and those "
        "that were missed are had once. At most 100 an organization.",
    ),
    Operation(
        "GET", "/v1/ingestion-schedules", "list_ingestion_schedules", "Schedules of ingestions", "sources",
        "sources:read", _list, Page[IngestionSchedule], PageQuery,
        description="Of this environment, newest first, with what became of the last turn of each.",
    ),
    Operation(
        "GET", "/v1/ingestion-schedules/{id}", "get_ingestion_schedule", "One schedule", "sources", "sources:read",
        _get, IngestionSchedule, errors=_LATER,
        description="When it has its next turn, and what became of the last. The ETag stands for what PATCH changes.",
    ),
    Operation(
        "PATCH", "/v1/ingestion-schedules/{id}", "update_ingestion_schedule", "Change or pause a schedule", "sources",
        "sources:write", _change, IngestionSchedule, body=IngestionScheduleChange, cost=20,
        errors=("not_found", "unknown_name", "precondition_failed", "source_refused"), example={"enabled": False},
        description="A merge patch: what is left out stays as it is. Resumed, or with another `every`, it begins like "
        "a new one. What it has already asked for goes on.",
    ),
    Operation(
        "DELETE", "/v1/ingestion-schedules/{id}", "delete_ingestion_schedule", "Remove a schedule", "sources",
        "sources:write", _delete, status=204, errors=_LATER,
        description="What it has brought in stays; an ingestion that it asked for goes on.",
    ),
]  # fmt: skip

"""Ingestions: data asked for from a source, followed, cancelled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tradewright.api.operations import Call, Effect, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import Id, InstrumentId, IntervalName, Moment, Rfc3339, found, micros, moment
from tradewright.clock import format_us, parse_us
from tradewright.errors import Conflict, InvalidInput
from tradewright.ids import SYSTEM, Owner
from tradewright.market.instruments import Interval
from tradewright.sources import asking
from tradewright.sources.continuing import Wanted, read_begins
from tradewright.sources.registry import SOURCES
from tradewright.storage import bounds, ingestions, jobs, third_parties
from tradewright.storage.database import Tx

_FIRST_US, _LAST_US = parse_us("0001-01-01"), parse_us("9999-12-31")
SourceName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["binance"])]
Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["crypto:BTC-USDT"])]


Kind = Literal["data", "instruments"]


class IngestionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to bring in. kind: `data` of the instruments that are named, or `instruments`: what the source lists, with
    its names and smallest steps for them; nothing else is said then. instruments: ids, or what the source calls them.
    start, end: of the times when bars were complete, both included; without `end` until now. Without `start` each
    instrument begins five bars before the end of what is stored of it (a year, where splits and dividends come with the
    bars), or 500 days before the end where nothing is. Facts have no interval: for a source that has only those it says
    nothing."""

    source: SourceName
    kind: Kind = "data"
    instruments: Annotated[list[Symbol], msgspec.Meta(max_length=100)] = []
    interval: IntervalName = "1d"
    start: Moment | None = None
    end: Moment | None = None


class IngestionError(msgspec.Struct, frozen=True):
    """Why it failed."""

    code: Annotated[str, msgspec.Meta(examples=["source_failed"])]
    message: Annotated[str, msgspec.Meta(examples=["Binance answered 503"])]


class Asked(msgspec.Struct, frozen=True):
    """What was asked for. begins: of each instrument, where a `start` was not named; `start` is then the earliest."""

    kind: Kind
    instruments: list[InstrumentId]
    interval: Annotated[str, msgspec.Meta(examples=["1d"])]
    start: Rfc3339 | None
    end: Rfc3339 | None
    begins: dict[InstrumentId, Rfc3339]


class Ingestion(msgspec.Struct, frozen=True):
    """An ingestion and how far it is. owner: who sees what it brings: the organization when it was asked for with its
    credentials, else `system`, which is everybody. schedule: whose turn it was, null when somebody asked. marks: up to
    where each instrument has come. report: what became of the rows, null until all was asked for; `revised` of the
    `stored` ones replace other values; `unknown` names the instruments that the source does not know, with which an
    ingestion has failed though the others came."""

    id: str
    source: SourceName
    owner: Annotated[str, msgspec.Meta(examples=["system"])]
    schedule: Id | None
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    message: str
    error: IngestionError | None
    request: Asked
    marks: dict[InstrumentId, Rfc3339]
    report: dict[str, Any] | None
    created_at: Rfc3339
    started_at: Rfc3339 | None
    finished_at: Rfc3339 | None


class IngestionQuery(PageQuery, frozen=True, kw_only=True):
    """Which ingestions."""

    schedule: Annotated[Id, msgspec.Meta(description="Only those of this schedule.")] | None = None


async def _create(call: Call) -> Effect:
    owner, request = await checked(call, call.body)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Ingestion:
        if bounds.unfinished(tx, "ingestion", call.principal.organization) >= asking.MAX_UNFINISHED:
            raise Conflict(
                f"the organization has {asking.MAX_UNFINISHED} ingestions that have not ended, and may have no more; "
                "wait for one to end or cancel one"
            )
        key = ingestions.order(tx, *call.tenant, owner, call.body.source, request, now_us)
        return _ingestion(found(ingestions.get(tx, *call.tenant, key), "ingestion", key))

    return Effect(effect)


async def _checked_listing(call: Call, asked: IngestionRequest) -> tuple[Owner, dict[str, Any]]:
    wrong = asking.listing_faults(asked.source)
    for name, value in (("instruments", asked.instruments), ("start", asked.start), ("end", asked.end)):
        if value:
            wrong.append((name, InvalidInput("a listing comes whole; leave this out")))
    _refuse_faults(call, asked.source, True, wrong)
    return SYSTEM, {"kind": asked.kind, "instruments": [], "interval": asked.interval, "start": None, "end": None}


async def checked(call: Call, asked: IngestionRequest, owner: Owner | None = None) -> tuple[Owner, dict[str, Any]]:
    """Return whose the data will be and the request as it is kept. owner: where that is settled. Raises Refused with
    everything that is wrong."""
    if asked.kind == "instruments":
        return await _checked_listing(call, asked)
    database, now_us = call.services.database, call.services.clock.now_us()
    organization = Owner(call.principal.organization)
    kept = await database.read_async(third_parties.sources_with_credentials, organization)
    if owner is None:
        owner = organization if asked.source in kept else SYSTEM
    start, end = micros(asked.start), micros(asked.end)
    end_us = now_us if end is None else _within_years(end)
    known, wrong = asking.request_faults(asked.source, asked.instruments, asked.interval)
    if not asked.instruments:
        wrong.append(("instruments", InvalidInput("name at least one, for example crypto:BTC-USDT")))
    begins: dict[str, int] = {}
    if start is None:
        wanted = Wanted(owner, asked.source, tuple(known), Interval.parse(asked.interval), end_us)
        begins = await database.read_async(read_begins, wanted, now_us)
        begins = {name: _within_years(begin_us) for name, begin_us in begins.items()}
    firsts = list(begins.values()) if start is None else [_within_years(start)] * len(asked.instruments)
    wrong += asking.span_faults(asked.source, firsts, asked.interval, end_us)
    _refuse_faults(call, asked.source, asked.source in kept, wrong)
    start_us = min(firsts)
    words = {"instruments": known, "interval": asked.interval, "start": format_us(start_us), "end": format_us(end_us)}
    return owner, {**words, "start_us": start_us, "end_us": end_us, "begins": begins}


def _refuse_faults(call: Call, name: str, with_credentials: bool, wrong: list[asking.Fault]) -> None:
    # beside these faults, a source can be off here, or its credentials missing
    faults = [FieldError(f"/{place}", error.message) for place, error in wrong]
    source = SOURCES.get(name)
    if source is not None and source.opt_in and source.name not in call.services.rules.opted_in:
        text = f"{source.title} is off here: {source.opt_in}; an operator can turn it on"
        faults.append(FieldError("/source", text))
    if source is not None and source.auth.needed and not with_credentials:
        text = (
            f"{source.title} needs {' and '.join(source.auth.fields)}: {source.auth.where}; keep them with "
            f"PUT /v1/sources/{source.name}/credentials"
        )
        if not faults:
            raise Refused("source_refused", text, [FieldError("/source", text)])
        faults.append(FieldError("/source", text))
    if faults:
        names = ", ".join(fault.pointer for fault in faults)
        raise Refused("invalid_input", f"{len(faults)} value(s) were refused: {names}", faults)


def _within_years(us: int) -> int:
    # an offset from UTC can put a moment of the first or the last day into a year that is none
    return min(max(us, _FIRST_US), _LAST_US)


async def _list(call: Call) -> Page[Ingestion]:
    query: IngestionQuery = call.query
    after = decode_cursor(call, str)
    rows = await call.services.database.read_async(
        ingestions.list_page, *call.tenant, query.limit + 1, query.order == "desc", after, query.schedule
    )
    return page(call, rows, [row["id"] for row in rows], _ingestion)


async def _get(call: Call) -> Ingestion:
    return _ingestion(await _row(call))


async def _cancel(call: Call) -> Effect:
    key = (await _row(call))["id"]
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Ingestion:
        row = found(ingestions.get(tx, *call.tenant, key), "ingestion", key)
        if row["status"] in jobs.ENDED:
            raise Refused("conflict", f"the ingestion has {row['status']} already; there is nothing to cancel")
        jobs.request_cancel(tx, *call.tenant, row["job"], now_us)
        return _ingestion(found(ingestions.get(tx, *call.tenant, key), "ingestion", key))

    return Effect(effect)


async def _row(call: Call) -> dict[str, Any]:
    key = call.path["id"]
    return found(await call.services.database.read_async(ingestions.get, *call.tenant, key), "ingestion", key)


def _ingestion(row: dict[str, Any]) -> Ingestion:
    request = row["request"]
    return Ingestion(
        id=row["id"],
        source=row["source"],
        owner=row["owner"],
        schedule=row["schedule"],
        status=row["status"],
        progress=row["progress"],
        message=row["message"],
        error=None if row["error"] is None else IngestionError(**row["error"]),
        request=Asked(
            request.get("kind", "data"),
            request["instruments"],
            request["interval"],
            moment(request.get("start_us")),
            moment(request.get("end_us")),
            {name: format_us(begin_us) for name, begin_us in request.get("begins", {}).items()},
        ),
        marks={name: format_us(reached) for name, reached in row["marks"].items()},
        report=row["report"],
        created_at=moment(row["created_at"]) or "",
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
    )


_LATER = ("not_found", "conflict")
OPERATIONS = [
    Operation(
        "POST", "/v1/ingestions", "create_ingestion", "Bring data in from a source", "sources", "sources:write",
        _create, Ingestion, body=IngestionRequest, status=202, idempotent=True, cost=20,
        errors=("unknown_name", "conflict", "source_refused"),
        example={
            "source": "binance", "instruments": ["crypto:BTC-USDT"], "interval": "1d",
            "start": "2024-01-01T00:00:00Z", "end": "2024-03-28T00:00:00Z",
        },
        description="It runs in the background, page after page, and goes on after a restart where it was: follow its "
        "status. What is fetched with the credentials of the organization is the organization's; the rest is "
        "everybody's. At most 20 that have not ended.",
    ),
    Operation(
        "GET", "/v1/ingestions", "list_ingestions", "Ingestions", "sources", "sources:read",
        _list, Page[Ingestion], IngestionQuery,
        description="Asked for in this environment, newest first. Those of schedules are kept for 90 days.",
    ),
    Operation(
        "GET", "/v1/ingestions/{id}", "get_ingestion", "One ingestion", "sources", "sources:read",
        _get, Ingestion, cacheable=True, errors=("not_found",),
        description="What was asked for, how far it is, and what became of the rows.",
    ),
    Operation(
        "POST", "/v1/ingestions/{id}/cancel", "cancel_ingestion", "Ask it to stop", "sources", "sources:write",
        _cancel, Ingestion, status=202, idempotent=True, errors=_LATER,
        description="One that runs ends after its present page; what came before is stored. Follow its status.",
    ),
]  # fmt: skip

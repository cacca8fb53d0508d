"""Backtests: asked for, followed, cancelled, read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NoReturn

import msgspec

from tradewright import ids
from tradewright.api.operations import LARGE_BODY_BYTES, Call, Effect, Operation, Raw
from tradewright.api.pagination import Page, PageQuery, decode_cursor, not_ours, page
from tradewright.api.parsing import MOST_FAULTS
from tradewright.api.problems import FieldError, Refused
from tradewright.api.results import Arrays
from tradewright.api.wire import Amount, InstrumentId, IntervalName, Moment, Rfc3339, SourceName, found, micros, moment
from tradewright.errors import InvalidInput
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import series_named, series_to_choose_from
from tradewright.storage import backtests, jobs, series, tail
from tradewright.storage.database import Tx
from tradewright.strategies import registry
from tradewright.strategies.fixed import FixedTargets

_Rate = Annotated[float, msgspec.Meta(ge=0, lt=1)]
_Fee = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_LEAST_CASH = 1
_MOST_TARGETS = 100_000  # rows x columns


class CostsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What trading costs; a field left out is 0. Shares of the notional or price, fees in the account currency."""

    fee_rate: _Rate = 0.0
    fee_per_unit: _Fee = 0.0
    minimum_fee: _Fee = 0.0
    half_spread: _Rate = 0.0
    slippage: _Rate = 0.0


class BacktestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Name a data set, or instruments; with these the source of their bars, where one has bars of several. Without
    `costs` the defaults of the instruments' class apply, not zero."""

    strategy: Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["moving_average_cross"])]
    params: dict[str, Any] = {}
    data_set: Annotated[str, msgspec.Meta(max_length=64, examples=["us-stocks"])] | None = None
    instruments: Annotated[list[InstrumentId], msgspec.Meta(min_length=1, max_length=500)] | None = None
    source: SourceName | None = None
    interval: IntervalName = "1d"
    start: Moment | None = None
    end: Moment | None = None
    cash: Amount = "1000000"
    costs: CostsRequest | None = None
    checks: Literal["sampled", "full"] = "sampled"


class JobError(msgspec.Struct, frozen=True):
    """Why it failed."""

    code: str
    message: str


class Backtest(msgspec.Struct, frozen=True):
    """A backtest and how far it is. result: null until it succeeded."""

    id: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    message: str
    error: JobError | None
    request: dict[str, Any]
    result: dict[str, Any] | None
    created_at: Rfc3339
    started_at: Rfc3339 | None
    finished_at: Rfc3339 | None


class BacktestFill(msgspec.Struct, frozen=True):
    """One simulated fill: decided at the close of one row, executed at a later one."""

    instrument: str
    decided_time: Rfc3339
    time: Rfc3339
    units: float
    price: float
    fee: float


class EquityPoint(msgspec.Struct, frozen=True):
    """Equity at the close of a row."""

    time: Rfc3339
    equity: float


class SeriesQuery(PageQuery, frozen=True, kw_only=True):
    """A page of a long list, ascending."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000, description="Rows on a page.")] = 500
    order: Literal["asc"] = "asc"


async def _create(call: Call) -> Effect:
    request: BacktestRequest = call.body
    whole, shown = await _checked(call, request)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Backtest:
        backtest = ids.new("bkt")
        job = jobs.enqueue(tx, *call.tenant, "backtest", {"backtest": backtest, "request": whole}, now_us)
        backtests.add(tx, *call.tenant, backtest, job, shown, now_us)
        return _backtest(found(backtests.get(tx, *call.tenant, backtest), "backtest", backtest))

    return Effect(effect)


async def _checked(call: Call, request: BacktestRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    faults, shown = await asyncio.to_thread(_strategy, request)
    if (request.data_set is None) == (request.instruments is None):
        faults.append(FieldError("/data_set", "name either a data_set or instruments, one of the two"))
    start, end = micros(request.start), micros(request.end)
    if start is not None and end is not None and start >= end:
        faults.append(FieldError("/start", "must lie before end"))
    faults.extend(_repeated(request.instruments or []))
    if Decimal(request.cash) < _LEAST_CASH:
        faults.append(FieldError("/cash", f"must be at least {_LEAST_CASH}; got {request.cash}"))
    faults.extend(await _unknown_data(call, request))
    faults = faults or await call.services.database.read_async(
        _misfits, Owner(call.principal.organization), request, shown.get("columns")
    )
    if faults:
        _refuse(faults)
    whole = {
        "strategy": request.strategy,
        "params": dict(request.params),
        "data_set": request.data_set,
        "instruments": request.instruments,
        "source": request.source,
        "interval": request.interval,
        "start_us": start,
        "end_us": end,
        "cash": request.cash,
        "costs": None if request.costs is None else msgspec.to_builtins(request.costs),
        "checks": request.checks,
    }
    return whole, {**whole, "params": shown}


def _strategy(request: BacktestRequest) -> tuple[list[FieldError], dict[str, Any]]:
    # What is wrong with strategy and parameters, and the parameters as they are shown: of targets shape and digest.
    rows = request.params.get("targets")
    if isinstance(rows, list):
        count = sum(len(row) if isinstance(row, list) else 1 for row in rows)
        if count > _MOST_TARGETS:
            text = f"at most {_MOST_TARGETS:,} targets (rows times columns) in a request; got {count:,}"
            return [FieldError("/params/targets", text)], {}
    try:
        strategy = registry.make(request.strategy, request.params)
    except InvalidInput as error:
        known = request.strategy in registry.STRATEGIES
        return [FieldError("/params" if known else "/strategy", error.message)], {}
    if not isinstance(strategy, FixedTargets):
        return [], dict(request.params)
    if not strategy.values.size:
        text = "must have a row of targets for each row of data; it is empty"
        return [FieldError("/params/targets", text)], {}
    return [], dict(strategy.params)


def _refuse(faults: list[FieldError]) -> NoReturn:
    told = faults[:MOST_FAULTS]
    pointers = ", ".join(dict.fromkeys(fault.pointer for fault in told))
    if len(faults) > MOST_FAULTS:
        told.append(FieldError("", f"{len(faults) - MOST_FAULTS} more values were refused"))
        pointers += ", ..."
    raise Refused("invalid_input", f"{len(faults)} value(s) were refused: {pointers}", told)


def _repeated(names: list[str]) -> list[FieldError]:
    return [
        FieldError(f"/instruments/{place}", f"{name!r} is named before; name each instrument once")
        for place, name in enumerate(names)
        if name in names[:place]
    ]


async def _unknown_data(call: Call, request: BacktestRequest) -> list[FieldError]:
    owner = Owner(call.principal.organization)
    database = call.services.database
    if request.data_set is not None:
        if request.source is not None:
            return [FieldError("/source", "a data set names the sources of its bars itself; leave source out")]
        known = await database.read_async(series.list_data_sets, owner)
        names = sorted({row["name"] for row in known})
        if request.data_set not in names:
            text = f"there is no data set {request.data_set!r} here; there are: {', '.join(names) or 'none yet'}"
            return [FieldError("/data_set", text)]
    wanted = request.instruments or []
    rows = await database.read_async(series.list_series, owner, instruments=wanted, interval=request.interval)
    faults = []
    for place, name in enumerate(wanted):
        sources = sorted({row["source"] for row in rows if row["instrument"] == name})
        chosen = [row["source"] for row in series_to_choose_from(rows, owner, name)]
        if not sources:
            text = f"there are no {request.interval} bars of {name!r}; see GET /v1/verdicts"
            faults.append(FieldError(f"/instruments/{place}", text))
        elif request.source is not None and request.source not in sources:
            text = f"there are no {request.interval} bars of {name!r} from {request.source!r}, only from"
            faults.append(FieldError("/source", f"{text} {', '.join(sources)}"))
        elif request.source is None and len(chosen) > 1:
            text = f"{name} has bars from {', '.join(sorted(chosen))}; name the one to use"
            faults.append(FieldError("/source", text))
    return faults


def _misfits(tx: Tx, owner: Owner, request: BacktestRequest, columns: int | None) -> list[FieldError]:
    # columns: of the targets that were sent, None where none were
    rows = series_named(tx, owner, request.data_set, request.instruments, request.interval, request.source)
    faults = []
    if columns not in (None, len(rows)):
        text = f"has {columns} column(s) for {len(rows)} instrument(s); send one for each, in their order"
        faults.append(FieldError("/params/targets", text))
    firsts = [row["first_time"] for row in rows if row["first_time"] is not None]
    lasts = [row["last_time"] for row in rows if row["last_time"] is not None]
    start, end = micros(request.start), micros(request.end)
    if lasts and start is not None and start > max(lasts) and not _fresh(tx, owner, rows, start):
        faults.append(FieldError("/start", f"lies after the last bar, {moment(max(lasts))}; send an earlier one"))
    if firsts and end is not None and end < min(firsts):
        faults.append(FieldError("/end", f"lies before the first bar, {moment(min(firsts))}; send a later one"))
    return faults


def _fresh(tx: Tx, owner: Owner, rows: list[dict[str, Any]], start: int) -> bool:
    # whether a live feed has added bars since that are not in the series yet
    owners, bounds = list({owner, SYSTEM}), {"start": start}
    return any(tail.read(tx, owners, r["source"], [r["instrument"]], r["interval"], bounds) for r in rows)


async def _list(call: Call) -> Page[Backtest]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    rows = await call.services.database.read_replica_async(
        backtests.list_page, *call.tenant, query.limit + 1, query.order == "desc", after
    )
    return page(call, rows, [row["id"] for row in rows], _backtest)


async def _get(call: Call) -> Backtest:
    return _backtest(await _row(call))


async def _cancel(call: Call) -> Effect:
    row = await _row(call)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Backtest:
        if row["status"] in jobs.ENDED:
            raise Refused("conflict", f"the backtest has {row['status']} already; there is nothing to cancel")
        jobs.request_cancel(tx, *call.tenant, row["job"], now_us)
        return _backtest(found(backtests.get(tx, *call.tenant, row["id"]), "backtest", row["id"]))

    return Effect(effect)


async def _delete(call: Call) -> Effect:
    row = await _row(call)
    if row["status"] not in jobs.ENDED:
        raise Refused("conflict", f"the backtest is {row['status']}; cancel it before you delete it")
    now_us = call.services.clock.now_us()
    return Effect(lambda tx: backtests.hide(tx, *call.tenant, row["id"], now_us))


async def _report(call: Call) -> Raw:
    return Raw(await _blob(call, "report"), "text/html; charset=utf-8", headers=_REPORT_HEADERS)


async def _fills(call: Call) -> Page[BacktestFill]:
    arrays = await _arrays(call)
    return _slice(call, arrays.fills, lambda row: BacktestFill(**msgspec.json.decode(row)))


async def _equity(call: Call) -> Page[EquityPoint]:
    arrays = await _arrays(call)
    points = range(len(arrays.times))
    return _slice(call, points, lambda n: EquityPoint(moment(arrays.times[n]) or "", arrays.equity[n]))


async def _arrays(call: Call) -> Arrays:
    row = await _row(call)
    key = (*call.tenant, row["id"], row["finished_at"])
    return await call.services.results.get(key, lambda: _blob(call, "arrays"))


def _slice(call: Call, rows: Sequence[Any], convert: Any) -> Page[Any]:
    query: SeriesQuery = call.query
    start = decode_cursor(call, int) or 0
    if not 0 <= start <= len(rows):
        raise not_ours()
    part = list(rows[start : start + query.limit + 1])
    return page(call, part, [start + place + 1 for place in range(len(part))], convert)


async def _row(call: Call) -> dict[str, Any]:
    key = call.path["id"]
    return found(await call.services.database.read_async(backtests.get, *call.tenant, key), "backtest", key)


async def _blob(call: Call, name: str) -> bytes:
    row = await _row(call)
    blob = await call.services.database.read_async(backtests.get_blob, *call.tenant, row["id"], name)
    if blob is None:
        raise Refused("conflict", f"the backtest is {row['status']} and has no {name} yet; read its status first")
    return blob


def _backtest(row: dict[str, Any]) -> Backtest:
    request = {name: value for name, value in row["request"].items() if not name.endswith("_us")}
    request |= {"start": moment(row["request"].get("start_us")), "end": moment(row["request"].get("end_us"))}
    return Backtest(
        id=row["id"],
        status=row["status"],
        progress=row["progress"],
        message=row["message"],
        error=None if row["error"] is None else JobError(**row["error"]),
        request=request,
        result=row["summary"],
        created_at=moment(row["created_at"]) or "",
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
    )


_REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
}
_GONE = ("not_found",)
_LATER = ("not_found", "conflict")
OPERATIONS = [
    Operation(
        "POST", "/v1/backtests", "create_backtest", "Ask for a backtest", "backtests", "research:write",
        _create, Backtest, body=BacktestRequest, status=202, idempotent=True, cost=50,
        body_bytes=LARGE_BODY_BYTES,
        example={"strategy": "moving_average_cross", "params": {"fast": 20, "slow": 50}, "data_set": "us-stocks"},
        errors=("unknown_name", "too_few_rows"),
        description="It runs in the background: follow its status, then read its result, report, fills and equity. Its "
        "trial is counted, whatever comes out. Of targets that were sent (at most 100,000) answers show kind, shape "
        "and digest.",
    ),
    Operation(
        "GET", "/v1/backtests", "list_backtests", "Backtests", "backtests", "research:read",
        _list, Page[Backtest], PageQuery,
        description="Asked for in this environment, newest first.",
    ),
    Operation(
        "GET", "/v1/backtests/{id}", "get_backtest", "One backtest", "backtests", "research:read",
        _get, Backtest, cacheable=True, errors=_GONE,
        description="Its request, how far it is, and its result once it has succeeded.",
    ),
    Operation(
        "DELETE", "/v1/backtests/{id}", "delete_backtest", "Hide a backtest; its trials stay counted", "backtests",
        "research:write", _delete, status=204, errors=_LATER,
        description="Only once it has ended. It no longer appears; its trials stay counted.",
    ),
    Operation(
        "POST", "/v1/backtests/{id}/cancel", "cancel_backtest", "Ask it to stop", "backtests", "research:write",
        _cancel, Backtest, status=202, idempotent=True, errors=_LATER,
        description="One that runs ends at its next step; follow its status.",
    ),
    Operation(
        "GET", "/v1/backtests/{id}/report", "get_backtest_report", "Its report, one HTML file", "backtests",
        "research:read", _report, cacheable=True, media_types=("text/html",),
        errors=_LATER, description="Figures, evidence, charts and what the checks said.",
    ),
    Operation(
        "GET", "/v1/backtests/{id}/fills", "list_backtest_fills", "Its fills", "backtests", "research:read",
        _fills, Page[BacktestFill], SeriesQuery, cacheable=True, errors=_LATER,
        description="What it would have bought and sold, in the order of time.",
    ),
    Operation(
        "GET", "/v1/backtests/{id}/equity", "list_backtest_equity", "Its equity", "backtests", "research:read",
        _equity, Page[EquityPoint], SeriesQuery, cacheable=True, errors=_LATER,
        description="Equity at the close of every row.",
    ),
]  # fmt: skip

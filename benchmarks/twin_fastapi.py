"""The API's twin for the benchmark: FastAPI and Pydantic over the same data, with the same checks and the same caches.

It runs in an environment of its own and imports nothing of Tradewright. TWIN_FOLDER names the folder with the copied
database (tradewright.db) and the series (series.npz), TWIN_QUOTA the units a minute of each limit. Written the way that
is quick there: typed query models that forbid what they do not know, cached pages returned as bytes and the other
answers serialized by the Rust path, scopes asked in the route and not by a dependency, short reads without a hop to a
thread, plain sqlite3 rather than an ORM, what stands around the routes in one ASGI layer (twin_guards.py).
"""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal, getcontext
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from twin_guards import Guards, Page, Pages, Principal, etag_of

FOLDER = Path(os.environ["TWIN_FOLDER"])
GLANCE_S = 0.25
getcontext().prec = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ("open", "high", "low", "close", "volume")


def connect() -> sqlite3.Connection:
    """Return a reading connection whose rows can be addressed by name."""
    made = sqlite3.connect(FOLDER / "tradewright.db", isolation_level=None, check_same_thread=False)
    made.row_factory = sqlite3.Row
    return made


connection = connect()
series: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {}
with np.load(FOLDER / "series.npz") as stored:
    for name in sorted({key.rpartition("|")[0] for key in stored.files}):
        series[name] = (stored[f"{name}|time"], [stored[f"{name}|{column}"] for column in COLUMNS])


def _rows(sql: str, *values: Any) -> list[sqlite3.Row]:
    return connection.execute(sql, values).fetchall()


async def read(work: Any, *args: Any) -> Any:
    """Run `work` here and now, in one transaction: a hop to a thread takes longer than these reads."""
    return _in_transaction(work, args)


def _in_transaction(work: Any, args: tuple[Any, ...]) -> Any:
    connection.execute("BEGIN")
    try:
        return work(*args)
    finally:
        connection.execute("COMMIT")


def moment(us: int | None) -> str | None:
    """Return a time as it is written."""
    if us is None:
        return None
    text = (EPOCH + timedelta(microseconds=us)).replace(tzinfo=None)
    return text.isoformat(timespec="microseconds" if us % 1_000_000 else "seconds") + "Z"


def micros(value: datetime | None) -> int | None:
    """Return microseconds since 1970."""
    return None if value is None else (value - EPOCH) // timedelta(microseconds=1)


# --- keys and answers -------------------------------------------------------------------------------------------------


async def find_key(public_id: str) -> sqlite3.Row | None:
    """Return the stored key, None when there is none that is valid."""
    found = await read(_rows, "SELECT * FROM api_keys WHERE public_id = ? AND revoked_at IS NULL", public_id)
    return found[0] if found else None


def holder(request: Request, scope: str) -> Principal:
    """Return who asks, when the key holds the scope."""
    who: Principal = request.scope["state"]["who"]
    if scope not in who.scopes:
        raise HTTPException(403, f"this key does not hold the scope {scope}")
    return who


def cached(request: Request, body: bytes, etag: str) -> Response:
    """Return the answer, or that it is unchanged."""
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    asked = request.headers.get("if-none-match")
    if asked is not None and asked.removeprefix("W/") == etag.removeprefix("W/"):
        return Response(None, 304, headers)
    return Response(body, 200, headers, "application/json")


pages = Pages()


# --- pages ------------------------------------------------------------------------------------------------------------


class PageQuery(BaseModel):
    """What every list takes; anything else is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str, Field(max_length=512)] | None = None
    order: Literal["asc", "desc"] = "desc"


def mark(query: PageQuery) -> str:
    """Return what binds a cursor to its filters."""
    text = type(query).__name__ + query.model_dump_json(exclude={"cursor", "limit"})
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def after(query: PageQuery) -> Any:
    """Return the key of the last row seen."""
    if query.cursor is None:
        return None
    try:
        given, key = json.loads(base64.urlsafe_b64decode(query.cursor))
    except ValueError:
        raise HTTPException(422, "the cursor was refused") from None
    if given != mark(query):
        raise HTTPException(422, "the cursor was made for other filters")
    return key


def cut(query: PageQuery, rows: list[Any], key: Any) -> tuple[list[Any], bool, str | None]:
    """Return the rows of a page, whether there are more, and the cursor."""
    kept, more = rows[: query.limit], len(rows) > query.limit
    if kept and (more or query.order == "asc"):
        text = json.dumps([mark(query), key(kept[-1])])
        return kept, more, base64.urlsafe_b64encode(text.encode()).decode()
    return kept, more, query.cursor if query.order == "asc" else None


class Feed(BaseModel):
    """Where the rows come from."""

    mode: str
    status: str
    time: str | None
    age_s: float | None


glances: dict[tuple[str, ...], tuple[float, Any]] = {}


async def session_of(who: Principal) -> sqlite3.Row | None:
    """Return the newest feed session, remembered for a quarter of a second."""
    key = (who.organization, who.environment)
    seen = glances.get(key)
    if seen is None or time.monotonic() - seen[0] > GLANCE_S:
        sql = "SELECT * FROM feed_sessions WHERE organization = ? AND environment = ? ORDER BY id DESC LIMIT 1"
        found = await read(_rows, sql, *key)
        seen = glances[key] = (time.monotonic(), found[0] if found else None)
    return seen[1]


def feed(row: sqlite3.Row | None) -> Feed | None:
    """Return the state of a feed."""
    if row is None:
        return None
    started = row["market_time"] is not None
    age = max(0.0, time.time() - row["updated_at"] / 1e6)
    return Feed(
        mode=row["mode"],
        status=row["status"],
        time=moment(row["market_time"]),
        age_s=round(age, 3) if started else None,
    )


def with_feed(request: Request, page: Page, session: sqlite3.Row | None) -> Response:
    """Return a page, completed by the state of the feed; its ETag leaves out the age."""
    state = feed(session)
    seen = "" if state is None else f"{state.mode} {state.status} {state.time}"
    digest = hashlib.blake2b(page.etag.encode() + seen.encode(), digest_size=12).hexdigest()
    shown = b"null" if state is None else state.model_dump_json(by_alias=True).encode()
    return cached(request, page.body + shown + b"}", f'W/"{digest}"')


def before_feed(answer: BaseModel) -> bytes:
    """Return an answer, whose last field is the feed, up to it."""
    return answer.model_dump_json(by_alias=True).encode().removesuffix(b"null}")


# --- market data ------------------------------------------------------------------------------------------------------

api = FastAPI(title="twin")


@api.exception_handler(RequestValidationError)
async def refused(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer what was refused."""
    return JSONResponse({"status": 422, "errors": [str(one["loc"]) for one in error.errors()]}, 422)


class Instrument(BaseModel):
    """What is traded."""

    id: str
    kind: str
    symbol: str
    name: str
    currency: str
    calendar: str
    tick: str | None
    lot: str | None
    minimum_notional: str | None
    multiplier: str
    listed: str | None
    delisted: str | None


class InstrumentPage(BaseModel):
    """Instruments."""

    data: list[Instrument]
    has_more: bool
    next_cursor: str | None


def _instrument(row: sqlite3.Row) -> Instrument:
    kind, _, symbol = row["id"].partition(":")
    same = ("id", "name", "currency", "calendar", "tick", "lot", "minimum_notional", "multiplier")
    return Instrument(
        **{name: row[name] for name in same},
        kind=kind,
        symbol=symbol,
        listed=moment(row["listed"]),
        delisted=moment(row["delisted"]),
    )


@api.get("/v1/instruments")
async def list_instruments(query: Annotated[PageQuery, Query()], request: Request) -> Response:
    """List instruments."""
    holder(request, "market:read")
    down = query.order == "desc"
    sql = f"SELECT * FROM instruments WHERE id {'<' if down else '>'} ? ORDER BY id {'DESC' if down else ''} LIMIT ?"
    rows = await read(_rows, sql, after(query) or ("~" if down else ""), query.limit + 1)
    kept, more, cursor = cut(query, rows, lambda row: row["id"])
    return _whole(request, InstrumentPage(data=[_instrument(row) for row in kept], has_more=more, next_cursor=cursor))


def _whole(request: Request, answer: BaseModel) -> Response:
    body = answer.model_dump_json(by_alias=True).encode()
    return cached(request, body, etag_of(body))


@api.get("/v1/instruments/{key}")
async def get_instrument(key: str, request: Request) -> Response:
    """Return one instrument."""
    holder(request, "market:read")
    rows = await read(_rows, "SELECT * FROM instruments WHERE id = ?", key)
    if not rows:
        raise HTTPException(404, "there is no such instrument")
    return _whole(request, _instrument(rows[0]))


class DataSet(BaseModel):
    """A named list of series."""

    name: str
    version: int
    note: str
    instruments: list[str]
    created_at: str


class DataSets(BaseModel):
    """Every data set."""

    data: list[DataSet]


@api.get("/v1/data-sets")
async def list_data_sets(request: Request) -> Response:
    """List data sets."""
    who = holder(request, "market:read")
    sql = "SELECT * FROM data_sets WHERE owner IN ('system', ?) ORDER BY name, version, owner"
    rows = await read(_rows, sql, who.organization)
    data = [
        DataSet(
            **{name: row[name] for name in ("name", "version", "note")},
            instruments=[member["instrument"] for member in json.loads(row["series"])],
            created_at=moment(row["created_at"]) or "",
        )
        for row in rows
    ]
    return _whole(request, DataSets(data=data))


class BarQuery(PageQuery):
    """Which bars."""

    instruments: Annotated[str, Field(min_length=3, max_length=2048)]
    interval: Literal["1m", "5m", "15m", "1h", "1d"] = "1d"
    limit: Annotated[int, Field(ge=1, le=10_000)] = 500
    order: Literal["asc"] = "asc"
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    as_of: AwareDatetime | None = None
    adjustment: Literal["raw"] = "raw"
    source: Annotated[str, Field(max_length=64)] | None = None


class Bar(BaseModel):
    """One bar."""

    instrument: str
    time: str
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    source: str


class BarSeries(BaseModel):
    """What bars were taken from."""

    instrument: str
    source: str
    verdict: str
    pre_adjusted: bool


class BarPage(BaseModel):
    """Bars."""

    data: list[Bar]
    has_more: bool
    next_cursor: str | None
    interval: str
    adjustment: str
    series: list[BarSeries]
    feed: Feed | None


VERSION = """SELECT owner, source, verdict, pre_adjusted, checked_at, data_version, rows,
    (SELECT max(id) FROM bar_tail AS t WHERE t.owner = s.owner AND t.source = s.source AND t.instrument = s.instrument
        AND t.interval = s.interval),
    (SELECT count(id) FROM bar_tail AS t WHERE t.owner = s.owner AND t.source = s.source
        AND t.instrument = s.instrument AND t.interval = s.interval)
    FROM series AS s WHERE s.owner IN ('system', ?) AND s.instrument = ? AND s.interval = ?"""


async def series_of(who: Principal, instrument: str, interval: str) -> tuple[Any, ...]:
    """Return owner, source and version of a series, remembered for a quarter of a second."""
    key = ("series", who.organization, instrument, interval)
    seen = glances.get(key)
    if seen is None or time.monotonic() - seen[0] > GLANCE_S:
        found = await read(_rows, VERSION, who.organization, instrument, interval)
        if not found:
            raise HTTPException(404, f"there are no {interval} bars of {instrument}")
        seen = glances[key] = (time.monotonic(), tuple(found[0]))
    return seen[1]


def _listed(text: str, most: int) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    if len(names) > most:
        raise HTTPException(422, f"at most {most} at a time; got {len(names)}")
    return names


@api.get("/v1/bars")
async def list_bars(query: Annotated[BarQuery, Query()], request: Request) -> Response:
    """List the bars of instruments."""
    who = holder(request, "market:read")
    session = await session_of(who)
    end = micros(query.end)
    if end is None and session is not None:
        end = session["market_time"] + 1
    names = _listed(query.instruments, 100)
    version = tuple([await series_of(who, name, query.interval) for name in names])
    key = ("bars", who.organization, query, end)
    page = pages.get(key, lambda kept: kept == version)
    if page is None:
        page = pages.put(key, version, before_feed(_bars(query, names, version, end)))
    return with_feed(request, page, session)


def _bars(query: BarQuery, names: list[str], version: tuple[Any, ...], end: int | None) -> BarPage:
    start, seen = micros(query.start), after(query)
    rows: list[Bar] = []
    for instrument, (_, source, *_) in zip(names, version, strict=True):
        times, columns = series[instrument]
        low = 0 if start is None else int(np.searchsorted(times, start, "left"))
        if seen is not None:
            first = seen[0] if instrument > seen[1] else seen[0] + 1
            low = max(low, int(np.searchsorted(times, first, "left")))
        high = len(times) if end is None else int(np.searchsorted(times, end, "left"))
        part = slice(low, min(high, low + query.limit + 1))
        for at, values in zip(
            times[part].tolist(), zip(*(c[part].tolist() for c in columns), strict=True), strict=True
        ):
            known = [None if value != value else value for value in values]
            rows.append(
                Bar(
                    instrument=instrument,
                    time=moment(at) or "",
                    open=known[0],
                    high=known[1],
                    low=known[2],
                    close=known[3],
                    volume=known[4],
                    source=source,
                )
            )
    if len(names) > 1:
        rows.sort(key=lambda row: (row.time, row.instrument))
    kept, more, cursor = cut(query, rows, lambda row: (micros(datetime.fromisoformat(row.time)), row.instrument))
    marks = [seen_of[1:4] for seen_of in version]
    return BarPage(
        data=kept,
        has_more=more,
        next_cursor=cursor,
        interval=query.interval,
        adjustment="pre_adjusted" if any(adjusted for *_, adjusted in marks) else query.adjustment,
        series=[
            BarSeries(instrument=name, source=source, verdict=verdict, pre_adjusted=bool(adjusted))
            for name, (source, verdict, adjusted) in zip(names, marks, strict=True)
        ],
        feed=None,
    )


class QuoteQuery(BaseModel):
    """Which quotes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    instruments: Annotated[str, Field(min_length=3, max_length=8_000)]
    source: Annotated[str, Field(max_length=64)] | None = None


class Quote(BaseModel):
    """The latest price of an instrument."""

    instrument: str
    price: float | None
    time: str | None
    source: str
    interval: str


class Quotes(BaseModel):
    """A quote for each instrument."""

    data: list[Quote]
    feed: Feed | None


@api.get("/v1/quotes")
async def list_quotes(query: Annotated[QuoteQuery, Query()], request: Request) -> Response:
    """Return the latest prices."""
    who = holder(request, "market:read")
    session = await session_of(who)
    until = None if session is None else session["market_time"]
    interval = "1d" if session is None else session["interval"]
    names = _listed(query.instruments, 500)
    found = [await series_of(who, name, interval) for name in names]
    version = (*found, until)
    key = ("quotes", who.organization, tuple(names), query.source, interval)
    page = pages.get(key, lambda kept: kept == version)
    if page is None:
        quotes = []
        for name, (_, source, *_) in zip(names, found, strict=True):
            time_us, price = last_close(name, until)
            quotes.append(Quote(instrument=name, price=price, time=moment(time_us), source=source, interval=interval))
        page = pages.put(key, version, before_feed(Quotes(data=quotes, feed=None)))
    return with_feed(request, page, session)


def last_close(instrument: str, until: int | None) -> tuple[int | None, float | None]:
    """Return time and value of the last close seen."""
    times, columns = series[instrument]
    high = len(times) if until is None else int(np.searchsorted(times, until, "right"))
    for row in range(high - 1, -1, -1):
        if columns[3][row] == columns[3][row]:
            return int(times[row]), float(columns[3][row])
    return None, None


# --- signals ----------------------------------------------------------------------------------------------------------


class SignalQuery(PageQuery):
    """Which signals."""

    instrument: Annotated[str, Field(min_length=3, max_length=48)] | None = None
    status: Literal["candidate", "promoted"] | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None


class SignalModel(BaseModel):
    """The model behind it."""

    id: str
    promoted: bool
    evidence: str


class Score(BaseModel):
    """What became of it."""

    entry_time: str
    entry_price: float
    exit_time: str
    exit_price: float
    realized_return: Annotated[float, Field(serialization_alias="return")]
    correct: bool


class Signal(BaseModel):
    """One signal."""

    id: str
    instrument: str
    bar_time: str
    horizon: int
    direction: str
    probability: float
    expected_return: float
    decision_price: float
    valid_until: str
    status: str
    feed: str
    feed_session: str
    model: SignalModel
    score: Score | None
    created_at: str


class SignalPage(BaseModel):
    """Signals."""

    data: list[Signal]
    has_more: bool
    next_cursor: str | None
    feed: Feed | None


def _signal(row: sqlite3.Row) -> Signal:
    score = None
    if row["entry_time"] is not None:
        score = Score(
            entry_time=moment(row["entry_time"]) or "",
            entry_price=row["entry_price"],
            exit_time=moment(row["exit_time"]) or "",
            exit_price=row["exit_price"],
            realized_return=row["realized_return"],
            correct=bool(row["correct"]),
        )
    return Signal(
        id=row["id"],
        instrument=row["instrument"],
        bar_time=moment(row["bar_time"]) or "",
        horizon=row["horizon"],
        direction=row["direction"],
        probability=row["probability"],
        expected_return=row["expected_return"],
        decision_price=row["decision_price"],
        valid_until=moment(row["valid_until"]) or "",
        status=row["status"],
        feed=row["feed"],
        feed_session=row["feed_session"],
        model=SignalModel(id=row["model"], promoted=row["status"] == "promoted", evidence=row["evidence"]),
        score=score,
        created_at=moment(row["created_at"]) or "",
    )


def _page(
    table: str, where: list[str], values: list[Any], column: str, down: bool, seen: Any, limit: int, join: str = ""
) -> list[sqlite3.Row]:
    if seen is not None:
        where = [*where, f"({column}, {table}.id) {'<' if down else '>'} (?, ?)"]
        values = [*values, *seen]
    way = "DESC" if down else "ASC"
    sql = f"SELECT * FROM {table} {join} WHERE {' AND '.join(where)} ORDER BY {column} {way}, {table}.id {way} LIMIT ?"
    return _rows(sql, *values, limit)


@api.get("/v1/signals")
async def list_signals(query: Annotated[SignalQuery, Query()], request: Request) -> Response:
    """List signals."""
    who = holder(request, "signals:read")
    session = await session_of(who)
    now = time.monotonic()
    key = ("signals", who.organization, who.environment, query)
    page = pages.get(key, lambda kept: now - kept <= GLANCE_S)
    if page is None:
        page = pages.put(key, now, before_feed(await _signals(query, who)))
    return with_feed(request, page, session)


async def _signals(query: SignalQuery, who: Principal) -> SignalPage:
    where, values = ["signals.organization = ?", "signals.environment = ?"], [who.organization, who.environment]
    wanted = (
        ("instrument = ?", query.instrument),
        ("status = ?", query.status),
        ("bar_time >= ?", micros(query.start)),
        ("bar_time < ?", micros(query.end)),
    )
    for text, value in wanted:
        if value is not None:
            where.append("signals." + text)
            values.append(value)
    scores = """LEFT JOIN (SELECT signal, entry_time, entry_price, exit_time, exit_price, realized_return, correct
        FROM signal_scores) AS s ON s.signal = signals.id"""
    down = query.order == "desc"
    rows = await read(_page, "signals", where, values, "bar_time", down, after(query), query.limit + 1, scores)
    kept, more, cursor = cut(query, rows, lambda row: (row["bar_time"], row["id"]))
    return SignalPage(data=[_signal(row) for row in kept], has_more=more, next_cursor=cursor, feed=None)


# --- portfolios -------------------------------------------------------------------------------------------------------


class OrderQuery(PageQuery):
    """Which orders or fills."""

    portfolio: str | None = None


class Order(BaseModel):
    """An order."""

    id: str
    client_order_id: str
    portfolio: str
    run: str | None
    instrument: str
    side: str
    type: str
    units: str
    filled_units: str
    status: str
    reason: str
    decided_time: str
    created_at: str


class OrderPage(BaseModel):
    """Orders."""

    data: list[Order]
    has_more: bool
    next_cursor: str | None


class Fill(BaseModel):
    """A fill."""

    id: str
    order: str
    portfolio: str
    instrument: str
    side: str
    units: str
    price: str
    fee: str
    time: str


class FillPage(BaseModel):
    """Fills."""

    data: list[Fill]
    has_more: bool
    next_cursor: str | None


class Position(BaseModel):
    """A position."""

    instrument: str
    units: str
    cost: str
    price: str | None
    value: str | None
    unrealized: str | None
    time: str


class Positions(BaseModel):
    """Positions."""

    data: list[Position]
    feed: Feed | None


class Portfolio(BaseModel):
    """A portfolio and its worth."""

    id: str
    name: str
    currency: str
    broker_account: str
    initial_cash: str
    cash: str
    equity: str | None
    realized: str
    dividends: str
    fees: str
    status: str
    created_at: str
    closed_at: str | None
    feed: Feed | None


def plain(value: Decimal) -> str:
    """Return a decimal as it is written."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _mine(who: Principal, query: OrderQuery) -> tuple[list[str], list[Any]]:
    where, values = ["organization = ?", "environment = ?"], [who.organization, who.environment]
    if query.portfolio is not None:
        where.append("portfolio = ?")
        values.append(query.portfolio)
    return where, values


@api.get("/v1/orders")
async def list_orders(query: Annotated[OrderQuery, Query()], request: Request) -> OrderPage:
    """List orders."""
    where, values = _mine(holder(request, "orders:read"), query)
    down, limit = query.order == "desc", query.limit + 1
    rows = await read(_page, "orders", where, values, "decided_time", down, after(query), limit)
    kept, more, cursor = cut(query, rows, lambda row: (row["decided_time"], row["id"]))
    same = ("id", "client_order_id", "portfolio", "run", "instrument", "side", "type", "units", "filled_units")
    data = [
        Order(
            **{name: row[name] for name in (*same, "status", "reason")},
            decided_time=moment(row["decided_time"]) or "",
            created_at=moment(row["created_at"]) or "",
        )
        for row in kept
    ]
    return OrderPage(data=data, has_more=more, next_cursor=cursor)


@api.get("/v1/fills")
async def list_fills(query: Annotated[OrderQuery, Query()], request: Request) -> FillPage:
    """List fills."""
    where, values = _mine(holder(request, "orders:read"), query)
    rows = await read(_page, "fills", where, values, "time", query.order == "desc", after(query), query.limit + 1)
    kept, more, cursor = cut(query, rows, lambda row: (row["time"], row["id"]))
    same = ("id", "order", "portfolio", "instrument", "side", "units", "price", "fee")
    data = [Fill(**{name: row[name] for name in same}, time=moment(row["time"]) or "") for row in kept]
    return FillPage(data=data, has_more=more, next_cursor=cursor)


@lru_cache(4_096)
def to_price(value: float) -> Decimal:
    """Return a close as a decimal."""
    return Decimal(repr(value))


async def price_of(who: Principal, instrument: str, session: sqlite3.Row | None) -> Decimal | None:
    """Return the last close that the feed has shown."""
    await series_of(who, instrument, "1d" if session is None else session["interval"])
    close = last_close(instrument, None if session is None else session["market_time"])[1]
    return None if close is None else to_price(close)


@api.get("/v1/portfolios/{key}/positions")
async def list_positions(key: str, request: Request) -> Positions:
    """List the positions of a portfolio."""
    who = holder(request, "portfolios:read")
    found, rows = await read(_portfolio_and_positions, who.organization, who.environment, key)
    if not found:
        raise HTTPException(404, "there is no such portfolio")
    session = await session_of(who)
    data = []
    for row in rows:
        units, cost = Decimal(row["units"]), Decimal(row["cost"])
        if not units:
            continue
        price = await price_of(who, row["instrument"], session)
        value = None if price is None else units * price
        data.append(
            Position(
                instrument=row["instrument"],
                units=row["units"],
                cost=row["cost"],
                price=None if price is None else plain(price),
                value=None if value is None else plain(value),
                unrealized=None if value is None else plain(value - cost),
                time=moment(row["time"]) or "",
            )
        )
    return Positions(data=data, feed=feed(session))


def _portfolio_and_positions(organization: str, environment: str, key: str) -> tuple[list[Any], list[Any]]:
    found = _rows(
        "SELECT * FROM portfolios WHERE id = ? AND organization = ? AND environment = ?", key, organization, environment
    )
    sql = "SELECT * FROM positions WHERE organization = ? AND environment = ? AND portfolio = ? ORDER BY instrument"
    return found, _rows(sql, organization, environment, key)


def _portfolio_and_sums(organization: str, environment: str, key: str) -> tuple[list[Any], dict[Any, Decimal]]:
    where = "id = ? AND organization = ? AND environment = ?"
    found = _rows(f"SELECT * FROM portfolios WHERE {where}", key, organization, environment)
    sql = "SELECT account, currency, amount FROM balances WHERE organization = ? AND environment = ? AND portfolio = ?"
    sums = {(row[0], row[1]): Decimal(row[2]) for row in _rows(sql, organization, environment, key)}
    return found, sums


@api.get("/v1/portfolios/{key}")
async def get_portfolio(key: str, request: Request) -> Portfolio:
    """Return a portfolio and what it is worth."""
    who = holder(request, "portfolios:read")
    found, sums = await read(_portfolio_and_sums, who.organization, who.environment, key)
    if not found:
        raise HTTPException(404, "there is no such portfolio")
    row, session = found[0], await session_of(who)
    currency = row["currency"]
    cash = sums.get(("assets:cash", currency), Decimal(0))
    equity: Decimal | None = cash
    for (account, unit), amount in sums.items():
        if account.startswith("assets:positions:") and unit != currency and amount:
            price = await price_of(who, unit, session)
            equity = None if equity is None or price is None else equity + amount * price
    return Portfolio(
        **{name: row[name] for name in ("id", "name", "currency", "broker_account", "initial_cash")},
        cash=plain(cash),
        equity=None if equity is None else plain(equity),
        realized=plain(-sums.get(("income:realized", currency), Decimal(0))),
        dividends=plain(-sums.get(("income:dividends", currency), Decimal(0))),
        fees=plain(sums.get(("expenses:fees", currency), Decimal(0))),
        status=row["status"],
        created_at=moment(row["created_at"]) or "",
        closed_at=moment(row["closed_at"]),
        feed=feed(session),
    )


app = Guards(api, find_key)
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 50)

"""How a portfolio has done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import numpy as np

from tradewright.api.operations import Call, Operation
from tradewright.api.wire import (
    Amount,
    Feed,
    Rfc3339,
    amount,
    feed_seen,
    found,
    market_time,
    moment,
    session_of,
    sources_of,
)
from tradewright.market.orders import rounded_money
from tradewright.storage import runs, trading
from tradewright.storage.database import Tx
from tradewright.trading import performance


class PerformanceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """points: of the equity curve, at most."""

    points: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 250


class EquityAt(msgspec.Struct, frozen=True, gc=False):
    """What a portfolio was worth at a moment of its market."""

    time: Rfc3339
    equity: Amount


class Performance(msgspec.Struct, frozen=True):
    """Figures are fractions, time-weighted: money paid in is no gain. days: how many daily returns the annual figures
    are of; with fewer than 20 these are null. equity: evenly spread over the whole span, its ends included."""

    currency: str
    start: Rfc3339
    end: Rfc3339
    total_return: float
    maximum_drawdown: float
    days: int
    annual_volatility: float | None
    annual_sharpe_ratio: float | None
    equity: list[EquityAt]
    feed: Feed | None


async def _get_performance(call: Call) -> Performance:
    query: PerformanceQuery = call.query
    row, lines, session = await call.services.database.read_short_async(_with_lines, *call.tenant, call.path["id"])
    portfolio = found(row, "portfolio", call.path["id"])
    session = session or await session_of(call)
    closes = await _closes(call, lines, session)
    path, figures = await asyncio.to_thread(_told, lines, portfolio, closes)
    return Performance(
        currency=portfolio["currency"],
        start=moment(int(path.times[0])) or "",
        end=moment(int(path.times[-1])) or "",
        total_return=figures.total_return,
        maximum_drawdown=figures.maximum_drawdown,
        days=figures.days,
        annual_volatility=figures.annual_volatility,
        annual_sharpe_ratio=figures.annual_sharpe_ratio,
        equity=[EquityAt(moment(time) or "", _money(worth)) for time, worth in performance.thinned(path, query.points)],
        feed=feed_seen(session, call.services.clock.now_us()),
    )


def _with_lines(tx: Tx, organization: str, environment: str, key: str) -> tuple[Any, list[dict[str, Any]], Any]:
    row = trading.get_portfolio(tx, organization, environment, key)
    if row is None:
        return None, [], None
    session = runs.session_of_portfolio(tx, organization, environment, key)
    return row, trading.list_postings(tx, organization, environment, key), session


async def _closes(call: Call, lines: list[dict[str, Any]], session: Any) -> dict[str, tuple[Any, Any]]:
    # of the feed that it was traded on, as far as that has come
    seen_until, data = market_time(session), call.services.market_data
    interval, preferred = session["interval"] if session else "1d", await sources_of(call, session)
    wanted = performance.instruments_of(lines)
    keys = await data.series_known(call.principal.organization, wanted, interval, preferred)
    opened = min((line["time"] for line in lines), default=0)
    series = await data.times_and_closes(keys, opened, None)
    known = {}
    for key, (times, closes) in zip(keys, series, strict=True):
        last = len(times) if seen_until is None else int(np.searchsorted(times, seen_until, "right"))
        known[key.instrument] = (times[:last], closes[:last])
    return known


def _told(
    lines: list[dict[str, Any]], portfolio: Mapping[str, Any], closes: Mapping[str, tuple[Any, Any]]
) -> tuple[performance.Worth, performance.Figures]:
    path = performance.worth(lines, portfolio["currency"], portfolio["created_at"], closes)
    return path, performance.figures(path)


def _money(worth: float) -> str:
    return amount(rounded_money(Decimal(repr(worth))))


OPERATIONS = [
    Operation(
        "GET", "/v1/portfolios/{id}/performance", "get_performance", "How it has done", "portfolios",
        "portfolios:read", _get_performance, Performance, PerformanceQuery, errors=("not_found",),
        description="What it was worth at the bars of its feed since it was opened, to eight places, and the return, "
        "drawdown, volatility and Sharpe ratio of that. Time-weighted: money paid in is no gain.",
    ),
]  # fmt: skip

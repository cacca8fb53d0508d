"""Orders, fills and runs: reads."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import Amount, Id, InstrumentId, Rfc3339, found, moment
from tradewright.clock import format_us
from tradewright.storage import runs, trading


class Order(msgspec.Struct, frozen=True, gc=False):
    """A market order. decided_time: market time of the row it was decided on."""

    id: Annotated[str, msgspec.Meta(examples=["ord_01k3v9h2m4qzt6x8b0c2d4e6f8"])]
    client_order_id: str
    portfolio: str
    run: str | None
    instrument: InstrumentId
    side: Annotated[str, msgspec.Meta(examples=["buy"])]
    type: Annotated[str, msgspec.Meta(examples=["market"])]
    units: Amount
    filled_units: Amount
    status: Annotated[str, msgspec.Meta(examples=["filled"])]
    reason: Annotated[str, msgspec.Meta(examples=[""])]
    decided_time: Rfc3339
    created_at: Rfc3339


class Fill(msgspec.Struct, frozen=True, gc=False):
    """What was executed of an order."""

    id: str
    order: str
    portfolio: str
    instrument: InstrumentId
    side: Annotated[str, msgspec.Meta(examples=["buy"])]
    units: Amount
    price: Amount
    fee: Amount
    time: Rfc3339


class OrderQuery(PageQuery, frozen=True, kw_only=True):
    """Which orders or fills."""

    portfolio: Annotated[Id, msgspec.Meta(description="Only those of this portfolio.")] | None = None


class Run(msgspec.Struct, frozen=True):
    """A strategy trading on a feed session. model: the schedule that it trades, if any. handled: the last input of its
    journal that was acted upon."""

    id: str
    feed_session: str
    portfolio: str
    strategy: Annotated[str, msgspec.Meta(examples=["model"])]
    params: dict[str, Any]
    model: str | None
    status: Annotated[str, msgspec.Meta(examples=["running"])]
    handled: int
    lineage: dict[str, Any]
    created_at: Rfc3339
    stopped_at: Rfc3339 | None


async def _list_orders(call: Call) -> Page[Order]:
    query: OrderQuery = call.query
    after = decode_cursor(call, tuple[int, str])
    rows = await call.services.database.read_short_async(
        trading.list_orders, *call.tenant, query.limit + 1, query.order == "desc", after, query.portfolio
    )
    return page(call, rows, [(row[-2], row[0]) for row in rows], _order)


async def _get_order(call: Call) -> Order:
    key = call.path["id"]
    row = await call.services.database.read_short_async(trading.get_order, *call.tenant, key)
    return _order(found(row, "order", key))


async def _list_fills(call: Call) -> Page[Fill]:
    query: OrderQuery = call.query
    after = decode_cursor(call, tuple[int, str])
    rows = await call.services.database.read_replica_async(
        trading.list_fills, *call.tenant, query.limit + 1, query.order == "desc", after, query.portfolio
    )
    return page(call, rows, [(row[-1], row[0]) for row in rows], _fill)


async def _list_runs(call: Call) -> Page[Run]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    rows = await call.services.database.read_short_async(
        runs.list_runs, *call.tenant, query.limit + 1, query.order == "desc", after
    )
    return page(call, rows, [row["id"] for row in rows], _run)


async def _get_run(call: Call) -> Run:
    key = call.path["id"]
    row = await call.services.database.read_short_async(runs.get_run, *call.tenant, key)
    return _run(found(row, "run", key))


def _order(row: tuple[Any, ...]) -> Order:
    (key, client_key, portfolio, run, instrument, side, kind, units, filled, status, reason, decided, created) = row
    return Order(
        key, client_key, portfolio, run, instrument, side, kind, units, filled, status, reason,
        format_us(decided), format_us(created),
    )  # fmt: skip


def _fill(row: tuple[Any, ...]) -> Fill:
    key, order, portfolio, instrument, side, units, price, fee, time = row
    return Fill(key, order, portfolio, instrument, side, units, price, fee, format_us(time))


def _run(row: dict[str, Any]) -> Run:
    names = ("id", "feed_session", "portfolio", "strategy", "params", "status", "handled", "lineage")
    return Run(
        **{name: row[name] for name in names},
        model=row["schedule"],
        created_at=moment(row["created_at"]) or "",
        stopped_at=moment(row["stopped_at"]),
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/orders", "list_orders", "Orders", "orders", "orders:read", _list_orders, Page[Order], OrderQuery,
        description="By the market time they were decided at, newest first.",
    ),
    Operation(
        "GET", "/v1/orders/{id}", "get_order", "One order", "orders", "orders:read", _get_order, Order,
        errors=("not_found",), description="What was asked for, what was executed of it, and where it stands.",
    ),
    Operation(
        "GET", "/v1/fills", "list_fills", "Fills", "orders", "orders:read", _list_fills, Page[Fill], OrderQuery,
        description="What was executed, by market time, newest first.",
    ),
    Operation(
        "GET", "/v1/runs", "list_runs", "Runs", "orders", "orders:read", _list_runs, Page[Run], PageQuery,
        description="Strategies that trade or traded in this environment.",
    ),
    Operation(
        "GET", "/v1/runs/{id}", "get_run", "One run", "orders", "orders:read", _get_run, Run, errors=("not_found",),
        description="What it trades, on which feed session and portfolio, and how far it is.",
    ),
]  # fmt: skip

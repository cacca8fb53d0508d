"""Portfolios, their positions and ledger, orders and fills: reads."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import Amount, Feed, amount, feed_of, found, market_time_of, moment, session_of
from tradewright.clock import format_us
from tradewright.market.orders import to_price
from tradewright.storage import trading
from tradewright.storage.database import Tx


class Portfolio(msgspec.Struct, frozen=True):
    """A portfolio and what it is worth now. equity is null while a position has no price."""

    id: str
    name: str
    currency: str
    broker_account: str
    initial_cash: Amount
    cash: Amount
    equity: Amount | None
    realized: Amount
    fees: Amount
    created_at: str
    feed: Feed | None


class Position(msgspec.Struct, frozen=True, gc=False):
    """Units held (negative: sold short), what they cost, and what they are worth at the last close seen."""

    instrument: str
    units: Amount
    cost: Amount
    price: Amount | None
    value: Amount | None
    unrealized: Amount | None
    time: str


class Positions(msgspec.Struct, frozen=True):
    """The open positions of a portfolio."""

    data: list[Position]
    feed: Feed | None


class Posting(msgspec.Struct, frozen=True, gc=False):
    """One line of the double-entry ledger; the lines of a transaction sum to zero in each currency."""

    id: str
    transaction: str
    account: str
    currency: str
    amount: Amount
    cause: str
    time: str


class Order(msgspec.Struct, frozen=True, gc=False):
    """A market order. decided_time: market time of the row it was decided on."""

    id: str
    client_order_id: str
    portfolio: str
    run: str | None
    instrument: str
    side: str
    type: str
    units: Amount
    filled_units: Amount
    status: str
    reason: str
    decided_time: str
    created_at: str


class Fill(msgspec.Struct, frozen=True, gc=False):
    """What was executed of an order."""

    id: str
    order: str
    portfolio: str
    instrument: str
    side: str
    units: Amount
    price: Amount
    fee: Amount
    time: str


class OrderQuery(PageQuery, frozen=True, kw_only=True):
    """Which orders or fills."""

    portfolio: str | None = None


async def _list_portfolios(call: Call) -> Page[Portfolio]:
    query: PageQuery = call.query
    rows = await call.services.database.read_short_async(
        trading.list_portfolios, *call.tenant, query.limit + 1, query.order == "desc", decode_cursor(query, str)
    )
    full = [await _portfolio(call, row) for row in rows[: query.limit]] + rows[query.limit :]
    return page(query, full, [row["id"] for row in rows], lambda item: item)


async def _get_portfolio(call: Call) -> Portfolio:
    return await _portfolio(call, await _row(call))


async def _list_positions(call: Call) -> Positions:
    key = call.path["id"]
    portfolio, rows = await call.services.database.read_short_async(_with_positions, *call.tenant, key)
    found(portfolio, "portfolio", key)
    held = [position for position in rows if position["units"]]
    prices = await _prices(call, [position["instrument"] for position in held])
    return Positions([_position(p, prices.get(p["instrument"])) for p in held], await feed_of(call))


async def _list_ledger(call: Call) -> Page[Posting]:
    row = await _row(call)
    query: PageQuery = call.query
    rows = await call.services.database.read_short_async(
        trading.list_postings,
        *call.tenant,
        row["id"],
        query.limit + 1,
        query.order == "desc",
        decode_cursor(query, tuple[int, str]),
    )
    return page(query, rows, [(r["time"], r["id"]) for r in rows], _posting)


async def _list_orders(call: Call) -> Page[Order]:
    query: OrderQuery = call.query
    after = decode_cursor(query, tuple[int, str])
    rows = await call.services.database.read_short_async(
        trading.list_orders, *call.tenant, query.limit + 1, query.order == "desc", after, query.portfolio
    )
    return page(query, rows, [(row[-2], row[0]) for row in rows], _order)


async def _get_order(call: Call) -> Order:
    key = call.path["id"]
    row = await call.services.database.read_short_async(trading.get_order, *call.tenant, key)
    return _order(found(row, "order", key))


async def _list_fills(call: Call) -> Page[Fill]:
    query: OrderQuery = call.query
    after = decode_cursor(query, tuple[int, str])
    rows = await call.services.database.read_short_async(
        trading.list_fills, *call.tenant, query.limit + 1, query.order == "desc", after, query.portfolio
    )
    return page(query, rows, [(row[-1], row[0]) for row in rows], _fill)


def _with_positions(
    tx: Tx, organization: str, environment: str, key: str
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    row = trading.get_portfolio(tx, organization, environment, key)
    return row, [] if row is None else trading.list_positions(tx, organization, environment, key)


async def _row(call: Call) -> dict[str, Any]:
    key = call.path["id"]
    row = await call.services.database.read_short_async(trading.get_portfolio, *call.tenant, key)
    return found(row, "portfolio", key)


async def _portfolio(call: Call, row: dict[str, Any]) -> Portfolio:
    reader, database = call.services.balances, call.services.database
    read = database.read_short_async if reader.knows(*call.tenant, row["id"]) else database.read_async
    balances = await read(reader.read, *call.tenant, row["id"], row["currency"])
    prices = await _prices(call, list(balances.units))
    equity: Decimal | None = balances.cash
    with localcontext() as context:
        context.prec = 60
        for instrument, units in balances.units.items():
            price = prices.get(instrument)
            equity = None if equity is None or price is None else equity + units * price
    return Portfolio(
        id=row["id"],
        name=row["name"],
        currency=row["currency"],
        broker_account=row["broker_account"],
        initial_cash=amount(row["initial_cash"]),
        cash=amount(balances.cash),
        equity=None if equity is None else amount(equity),
        realized=amount(balances.realized),
        fees=amount(balances.fees),
        created_at=moment(row["created_at"]) or "",
        feed=await feed_of(call),
    )


async def _prices(call: Call, instruments: list[str]) -> dict[str, Decimal]:
    """The last close of each instrument that this environment has seen."""
    if not instruments:
        return {}
    seen_until = await market_time_of(call)
    row = await session_of(call)
    data = call.services.market_data
    keys = await data.series_of(call.principal.organization, instruments, row["interval"] if row else "1d", None)
    closes = await data.last_closes(keys, seen_until)
    known = zip(keys, closes, strict=True)
    return {key.instrument: _price(close) for key, close in known if close is not None}


_price = lru_cache(4_096)(to_price)  # a close is asked for until there is a newer one


def _position(row: dict[str, Any], price: Decimal | None) -> Position:
    with localcontext() as context:
        context.prec = 60
        value = None if price is None else row["units"] * price
        gain = None if value is None else value - row["cost"]
    return Position(
        instrument=row["instrument"],
        units=amount(row["units"]),
        cost=amount(row["cost"]),
        price=None if price is None else amount(price),
        value=None if value is None else amount(value),
        unrealized=None if gain is None else amount(gain),
        time=moment(row["time"]) or "",
    )


def _posting(row: dict[str, Any]) -> Posting:
    names = ("id", "transaction", "account", "currency", "cause")
    return Posting(**{name: row[name] for name in names}, amount=amount(row["amount"]), time=moment(row["time"]) or "")


def _order(row: tuple[Any, ...]) -> Order:
    (key, client_key, portfolio, run, instrument, side, kind, units, filled, status, reason, decided, created) = row
    return Order(
        key, client_key, portfolio, run, instrument, side, kind, units, filled, status, reason,
        format_us(decided), format_us(created),
    )  # fmt: skip


def _fill(row: tuple[Any, ...]) -> Fill:
    key, order, portfolio, instrument, side, units, price, fee, time = row
    return Fill(key, order, portfolio, instrument, side, units, price, fee, format_us(time))


OPERATIONS = [
    Operation(
        "GET", "/v1/portfolios", "list_portfolios", "Portfolios", "portfolios", "portfolios:read",
        _list_portfolios, Page[Portfolio], PageQuery,
    ),
    Operation(
        "GET", "/v1/portfolios/{id}", "get_portfolio", "One portfolio and its worth", "portfolios", "portfolios:read",
        _get_portfolio, Portfolio, errors=("not_found",),
    ),
    Operation(
        "GET", "/v1/portfolios/{id}/positions", "list_positions", "What it holds", "portfolios", "portfolios:read",
        _list_positions, Positions, errors=("not_found",),
    ),
    Operation(
        "GET", "/v1/portfolios/{id}/ledger", "list_ledger", "Its double-entry ledger", "portfolios", "portfolios:read",
        _list_ledger, Page[Posting], PageQuery, errors=("not_found",),
    ),
    Operation(
        "GET", "/v1/orders", "list_orders", "Orders", "orders", "orders:read", _list_orders, Page[Order], OrderQuery
    ),
    Operation(
        "GET", "/v1/orders/{id}", "get_order", "One order", "orders", "orders:read", _get_order, Order,
        errors=("not_found",),
    ),
    Operation(
        "GET", "/v1/fills", "list_fills", "Fills", "orders", "orders:read", _list_fills, Page[Fill], OrderQuery
    ),
]  # fmt: skip

"""What a portfolio holds: its positions, how it is divided, its ledger."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import msgspec

from tradewright.api import valuation
from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import Amount, Currency, Feed, InstrumentId, Rfc3339, amount, found, moment
from tradewright.storage import trading
from tradewright.storage.database import Tx


class Position(msgspec.Struct, frozen=True, gc=False):
    """Units held (negative: sold short), what they cost, and what they are worth at the last close seen."""

    instrument: InstrumentId
    units: Amount
    cost: Amount
    price: Amount | None
    value: Amount | None
    unrealized: Amount | None
    time: Rfc3339


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
    time: Rfc3339


class AllocationLine(msgspec.Struct, frozen=True):
    """A part of a portfolio. instrument: null for its cash. weight: share of the equity, a fraction."""

    instrument: InstrumentId | None
    value: Amount | None
    weight: float | None


class Allocation(msgspec.Struct, frozen=True):
    """How the equity is divided; weights add up to 1. They are null while a position has no price."""

    data: list[AllocationLine]
    currency: Currency
    equity: Amount | None
    feed: Feed | None


async def portfolio_row(call: Call) -> dict[str, Any]:
    """Return the row of the portfolio that the path names. Raises NotFound."""
    key = call.path["id"]
    row = await call.services.database.read_short_async(trading.get_portfolio, *call.tenant, key)
    return found(row, "portfolio", key)


async def _list_allocation(call: Call) -> Allocation:
    row = await portfolio_row(call)
    balances = await call.services.database.read_short_async(valuation.balances, *call.tenant, row)
    prices, feed = await valuation.valued(call, row["id"], list(balances.units))
    values: dict[str | None, Decimal | None] = {None: balances.cash}
    with localcontext() as context:
        context.prec = 60
        for instrument, units in sorted(balances.units.items()):
            price = prices.get(instrument)
            values[instrument] = None if price is None else units * price
    equity = valuation.equity(balances, prices)
    whole = equity if equity is not None and equity > 0 else None
    lines = [
        AllocationLine(
            instrument,
            None if value is None else amount(value),
            None if value is None or whole is None else float(value / whole),
        )
        for instrument, value in values.items()
    ]
    return Allocation(lines, row["currency"], None if equity is None else amount(equity), feed)


async def _list_positions(call: Call) -> Positions:
    key = call.path["id"]
    portfolio, rows = await call.services.database.read_short_async(_with_positions, *call.tenant, key)
    found(portfolio, "portfolio", key)
    held = [position for position in rows if position["units"]]
    prices, feed = await valuation.valued(call, key, [position["instrument"] for position in held])
    return Positions([_position(p, prices.get(p["instrument"])) for p in held], feed)


async def _list_ledger(call: Call) -> Page[Posting]:
    row = await portfolio_row(call)
    query: PageQuery = call.query
    rows = await call.services.database.read_short_async(
        trading.list_postings,
        *call.tenant,
        row["id"],
        query.limit + 1,
        query.order == "desc",
        decode_cursor(call, tuple[int, str]),
    )
    return page(call, rows, [(r["time"], r["id"]) for r in rows], _posting)


def _with_positions(
    tx: Tx, organization: str, environment: str, key: str
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    row = trading.get_portfolio(tx, organization, environment, key)
    return row, [] if row is None else trading.list_positions(tx, organization, environment, key)


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


OPERATIONS = [
    Operation(
        "GET", "/v1/portfolios/{id}/positions", "list_positions", "What it holds", "portfolios", "portfolios:read",
        _list_positions, Positions, errors=("not_found",), description="Its open positions by instrument.",
    ),
    Operation(
        "GET", "/v1/portfolios/{id}/allocation", "get_allocation", "How it is divided", "portfolios",
        "portfolios:read", _list_allocation, Allocation, errors=("not_found",),
        description="The weight of each position and of the cash in the equity.",
    ),
    Operation(
        "GET", "/v1/portfolios/{id}/ledger", "list_ledger", "Its double-entry ledger", "portfolios", "portfolios:read",
        _list_ledger, Page[Posting], PageQuery, errors=("not_found",),
        description="Every line by market time, newest first; the lines of a transaction sum to zero in each currency.",
    ),
]  # fmt: skip

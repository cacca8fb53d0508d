"""Portfolios: opened, renamed, closed, and what they are worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from tradewright.api import dispatch, valuation
from tradewright.api.operations import Call, Effect, Operation, Raw
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.routes.holdings import portfolio_row
from tradewright.api.wire import (
    Amount,
    Currency,
    Feed,
    Id,
    Name,
    Rfc3339,
    amount,
    feed_of,
    found,
    market_time_of,
    moment,
)
from tradewright.brokers import paper
from tradewright.errors import Conflict
from tradewright.storage import audit, bounds, broker_accounts, trading
from tradewright.storage.database import Tx
from tradewright.trading import ending, ledger
from tradewright.trading.opening import MAX_PORTFOLIOS, Opening, open_portfolio


class Portfolio(msgspec.Struct, frozen=True):
    """A portfolio and what it is worth now. equity is null while a position has no price. status: a closed one keeps
    its books and trades no more."""

    id: str
    name: str
    currency: Currency
    broker_account: str
    initial_cash: Amount
    cash: Amount
    equity: Amount | None
    realized: Amount
    dividends: Amount
    fees: Amount
    status: Literal["open", "closed"]
    created_at: Rfc3339
    closed_at: Rfc3339 | None
    feed: Feed | None


class PortfolioRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new portfolio. initial_cash is paid in at once, at the market time of the feed."""

    name: Name
    broker_account: Id
    currency: Currency
    initial_cash: Amount


class PortfolioQuery(PageQuery, frozen=True, kw_only=True):
    """Which portfolios."""

    status: Literal["open", "closed"] = "open"


class PortfolioChange(msgspec.Struct, frozen=True, kw_only=True):
    """What may change; a field left out stays as it is."""

    name: Name | msgspec.UnsetType = msgspec.UNSET


class _Kept(msgspec.Struct, frozen=True):
    # what of a portfolio changes only when somebody changes it: what its ETag stands for
    id: str
    name: str


async def _create(call: Call) -> Effect:
    request: PortfolioRequest = call.body
    if Decimal(request.initial_cash) <= 0:
        fault = FieldError("/initial_cash", f"must be above 0; got {request.initial_cash}")
        raise Refused("invalid_input", "1 value(s) were refused: /initial_cash", [fault])
    now_us, seen_until, feed = call.services.clock.now_us(), await market_time_of(call), await feed_of(call)
    opening = Opening(
        request.broker_account,
        request.name,
        request.currency,
        Decimal(request.initial_cash),
        now_us if seen_until is None else seen_until,
    )

    def effect(tx: Tx) -> Portfolio:
        if bounds.held(tx, "portfolios", call.principal.organization) >= MAX_PORTFOLIOS:
            raise Conflict(
                f"the organization has {MAX_PORTFOLIOS} open portfolios, and may have no more; use or close one of them"
            )
        if broker_accounts.get(tx, *call.tenant, request.broker_account, lock=True) is None:
            text = f"there is no broker account {request.broker_account!r} here; GET /v1/broker-accounts lists them"
            raise Refused("invalid_input", f"/broker_account: {text}", [FieldError("/broker_account", text)])
        row = open_portfolio(tx, *call.tenant, opening, now_us)
        detail = {"broker_account": request.broker_account, "currency": request.currency}
        audit.record(tx, *call.tenant, call.who, "portfolio.create", row["id"], detail, now_us)
        return _shown(row, valuation.balances(tx, *call.tenant, row), {}, feed)

    return Effect(effect)


async def _change(call: Call) -> Effect:
    key, change, now_us = call.path["id"], call.body, call.services.clock.now_us()
    before = await portfolio_row(call)
    held = await call.services.database.read_short_async(valuation.balances, *call.tenant, before)
    prices, feed = await valuation.valued(call, key, list(held.units))

    def effect(tx: Tx) -> Portfolio:
        row = found(trading.get_portfolio(tx, *call.tenant, key, lock=True), "portfolio", key)
        dispatch.match(call, _kept(row))
        if change.name is not msgspec.UNSET and change.name != row["name"]:
            trading.rename_portfolio(tx, *call.tenant, key, change.name)
            audit.record(tx, *call.tenant, call.who, "portfolio.update", key, {"changed": ["name"]}, now_us)
            row["name"] = change.name
        return _shown(row, valuation.balances(tx, *call.tenant, row), prices, feed)

    return Effect(effect)


async def _close(call: Call) -> Effect:
    key, now_us = call.path["id"], call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        row = found(trading.get_portfolio(tx, *call.tenant, key, lock=True), "portfolio", key)
        why = ending.hindrance(tx, *call.tenant, row)
        if why:
            raise Refused("conflict", why)
        waiting = ending.cancel_left_orders(tx, *call.tenant, key, now_us)
        paper.cancel_left_orders(tx, row["broker_account"], waiting)
        held = [each["instrument"] for each in trading.list_positions(tx, *call.tenant, key) if each["units"]]
        trading.close_portfolio(tx, *call.tenant, key, now_us)
        audit.record(tx, *call.tenant, call.who, "portfolio.close", key, {"held": held} if held else {}, now_us)

    return Effect(effect)


async def _list_portfolios(call: Call) -> Page[Portfolio]:
    query: PortfolioQuery = call.query
    after, newest_first = decode_cursor(call, str), query.order == "desc"
    rows = await call.services.database.read_short_async(
        trading.list_portfolios, *call.tenant, query.limit + 1, newest_first, after, query.status
    )
    held = await call.services.database.read_short_async(valuation.all_balances, *call.tenant, rows[: query.limit])
    valued = await valuation.all_valued(call, {key: list(balances.units) for key, balances in held.items()})
    return page(call, rows, [row["id"] for row in rows], lambda row: _shown(row, held[row["id"]], *valued[row["id"]]))


async def _get_portfolio(call: Call) -> Raw:
    row = await portfolio_row(call)
    headers = {"etag": dispatch.etag_of(dispatch.encode(_kept(row)))}
    return Raw(dispatch.encode(await _portfolio(call, row)), "application/json", headers=headers)


async def _portfolio(call: Call, row: dict[str, Any]) -> Portfolio:
    balances = await call.services.database.read_short_async(valuation.balances, *call.tenant, row)
    return _shown(row, balances, *await valuation.valued(call, row["id"], list(balances.units)))


def _shown(row: dict[str, Any], balances: ledger.Balances, prices: dict[str, Decimal], feed: Feed | None) -> Portfolio:
    equity = valuation.equity(balances, prices)
    return Portfolio(
        id=row["id"],
        name=row["name"],
        currency=row["currency"],
        broker_account=row["broker_account"],
        initial_cash=amount(row["initial_cash"]),
        cash=amount(balances.cash),
        equity=None if equity is None else amount(equity),
        realized=amount(balances.realized),
        dividends=amount(balances.dividends),
        fees=amount(balances.fees),
        status=row["status"],
        created_at=moment(row["created_at"]) or "",
        closed_at=moment(row["closed_at"]),
        feed=feed,
    )


def _kept(row: dict[str, Any]) -> _Kept:
    return _Kept(row["id"], row["name"])


OPERATIONS = [
    Operation(
        "GET", "/v1/portfolios", "list_portfolios", "Portfolios", "portfolios", "portfolios:read",
        _list_portfolios, Page[Portfolio], PortfolioQuery,
        description="With what each is worth now, newest first; the open ones, or with `status=closed` the others.",
    ),
    Operation(
        "POST", "/v1/portfolios", "create_portfolio", "Open a portfolio", "portfolios", "portfolios:write",
        _create, Portfolio, body=PortfolioRequest, status=201, idempotent=True, errors=("conflict",),
        description="On a broker account of this environment. The initial cash is the first transaction of its ledger. "
        "GET /v1/limits says how many an organization may have.",
    ),
    Operation(
        "GET", "/v1/portfolios/{id}", "get_portfolio", "One portfolio and its worth", "portfolios", "portfolios:read",
        _get_portfolio, Portfolio, errors=("not_found",),
        description="Valued at the last closes that its feed session has shown. The ETag stands for what PATCH "
        "changes, not for the worth.",
    ),
    Operation(
        "PATCH", "/v1/portfolios/{id}", "update_portfolio", "Rename a portfolio", "portfolios", "portfolios:write",
        _change, Portfolio, body=PortfolioChange, errors=("not_found", "precondition_failed"),
        example={"name": "growth"},
        description="A merge patch: what is left out stays as it is.",
    ),
    Operation(
        "DELETE", "/v1/portfolios/{id}", "close_portfolio", "Close a portfolio", "portfolios", "portfolios:write",
        _close, status=204, errors=("not_found", "conflict"),
        description="While it holds nothing but cash, no order of it is open and no run trades it; or once its feed "
        "session has ended for ever. Units that are left then stay in its books, valued at the last closes of that "
        "session, and orders that wait are cancelled. Its orders, fills and ledger can be read as before; it no longer "
        "counts in the bound on portfolios.",
    ),
]  # fmt: skip

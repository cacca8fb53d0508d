"""Whether a portfolio can be closed: nothing may be left to happen to it."""

from __future__ import annotations

from typing import Any

from tradewright.clock import format_us
from tradewright.market.orders import OrderStatus
from tradewright.storage import outbox, runs, trading
from tradewright.storage.database import Tx
from tradewright.trading import events

SESSION_ENDED = "the feed session has ended"


def hindrance(tx: Tx, organization: str, environment: str, portfolio: dict[str, Any]) -> str:
    """Return why a portfolio cannot be closed, "" when it can. portfolio: its row, locked.

    Once the feed session on which it was traded has ended, nothing more can happen to what it holds or waits for.
    """
    tenant, key = (organization, environment), portfolio["id"]
    if portfolio["status"] != "open":
        return f"the portfolio is closed since {format_us(portfolio['closed_at'])}"
    session = runs.session_of_portfolio(tx, *tenant, key)
    if session is not None and session["status"] == "ended":
        return ""
    held = [row["instrument"] for row in trading.list_positions(tx, *tenant, key) if row["units"]]
    if held:
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        text = f"the portfolio holds {held[0]}{more}; it can be closed once it holds nothing but cash"
        return f"{text}, or its feed session has ended"
    orders = trading.live_orders(tx, *tenant, key)
    if orders:
        return f"{len(orders)} order(s) of the portfolio have not ended, {orders[0]['id']} first; wait for them"
    run = runs.run_trading(tx, *tenant, key)
    if run is not None:
        return f"the run {run} trades the portfolio; it can be closed once its feed has ended or begun anew"
    return ""


def cancel_left_orders(tx: Tx, organization: str, environment: str, portfolio: str, now_us: int) -> list[str]:
    """Mark the orders of a portfolio that wait for a feed session that has ended as cancelled, and tell it; return
    their client order ids, for the broker."""
    tenant = (organization, environment)
    waiting = trading.live_orders(tx, *tenant, portfolio)
    session = runs.session_of_portfolio(tx, *tenant, portfolio) if waiting else None
    assert not waiting or session is not None, "only a run places orders"
    change = {"status": OrderStatus.CANCELLED.value, "reason": SESSION_ENDED, "updated_at": now_us}
    told = []
    for order in waiting:
        assert session is not None
        time = session["start_time"] if session["market_time"] is None else session["market_time"]
        told.append(events.order_event("order.cancelled", order | change, time))
    trading.update_orders(tx, *tenant, {order["id"]: change for order in waiting})
    outbox.append(tx, *tenant, told, now_us)
    return [order["client_order_id"] for order in waiting]

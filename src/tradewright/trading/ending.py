"""Whether a portfolio can be closed: nothing may be left to happen to it."""

from __future__ import annotations

from typing import Any

from tradewright.clock import format_us
from tradewright.storage import trading
from tradewright.storage.database import Tx


def hindrance(tx: Tx, organization: str, environment: str, portfolio: dict[str, Any]) -> str:
    """Return why a portfolio cannot be closed, "" when it can. portfolio: its row, locked."""
    tenant, key = (organization, environment), portfolio["id"]
    if portfolio["status"] != "open":
        return f"the portfolio is closed since {format_us(portfolio['closed_at'])}"
    held = [row["instrument"] for row in trading.list_positions(tx, *tenant, key) if row["units"]]
    if held:
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        return f"the portfolio holds {held[0]}{more}; it can be closed once it holds nothing but cash"
    orders = trading.live_orders(tx, *tenant, key)
    if orders:
        return f"{len(orders)} order(s) of the portfolio have not ended, {orders[0]['id']} first; wait for them"
    run = trading.run_trading(tx, *tenant, key)
    if run is not None:
        return f"the run {run} trades the portfolio; it can be closed once its feed has ended or begun anew"
    return ""

"""The facts that trading tells, as rows of the outbox: (type, subject, bar time, data)."""

from __future__ import annotations

from typing import Any

from tradewright.clock import format_us
from tradewright.market.orders import ExactAction, Fill
from tradewright.storage.types import plain
from tradewright.trading.ledger import Position

Event = tuple[str, str, int | None, dict[str, Any]]
REPLACED = "replaced by a newer target"


def signal_issued(signal: dict[str, Any]) -> Event:
    """A model said something about an instrument."""
    names = ("id", "model", "instrument", "horizon", "feed", "status", "evidence", "direction", "probability")
    data = {name: signal[name] for name in names}
    data |= {"expected_return": signal["expected_return"], "decision_price": signal["decision_price"]}
    data |= {"bar_time": format_us(signal["bar_time"]), "valid_until": format_us(signal["valid_until"])}
    return "signal.issued", signal["id"], signal["bar_time"], data


def signal_scored(signal: dict[str, Any], score: dict[str, Any]) -> Event:
    """The horizon of a signal has passed."""
    data = {name: signal[name] for name in ("id", "model", "instrument", "horizon", "feed", "status", "probability")}
    data |= {
        "bar_time": format_us(signal["bar_time"]),
        "entry_time": format_us(score["entry_time"]),
        "entry_price": score["entry_price"],
        "exit_time": format_us(score["exit_time"]),
        "exit_price": score["exit_price"],
        "return": score["realized_return"],
        "correct": score["correct"],
    }
    return "signal.scored", signal["id"], signal["bar_time"], data


def order_event(kind: str, order: dict[str, Any], time: int, fill: Fill | None = None) -> Event:
    """Something happened to an order at market time `time`."""
    data = {
        "id": order["id"],
        "client_order_id": order["client_order_id"],
        "portfolio": order["portfolio"],
        "instrument": order["instrument"],
        "side": order["side"],
        "units": plain(order["units"]),
        "filled_units": plain(order["filled_units"]),
        "status": order["status"],
        "reason": order["reason"],
        "decided_time": format_us(order["decided_time"]),
    }
    if fill is not None:
        data["fill"] = {"units": plain(fill.units), "price": plain(fill.price), "fee": plain(fill.fee)}
    return kind, order["id"], time, data


def position_changed(portfolio: str, position: Position, time: int) -> Event:
    """A portfolio holds a different number of units of an instrument."""
    data = {
        "portfolio": portfolio,
        "instrument": position.instrument,
        "units": plain(position.units),
        "cost": plain(position.cost),
    }
    return "position.changed", portfolio, time, data


def action_booked(portfolio: str, action: ExactAction, before: Position, after: Position, time: int) -> Event:
    """A split or dividend of what a portfolio holds was booked at market time `time`."""
    data = {
        "portfolio": portfolio,
        "instrument": action.instrument,
        "time": format_us(action.time),
        "split": plain(action.split),
        "dividend": plain(action.dividend),
        "units_before": plain(before.units),
        "units": plain(after.units),
        "cash": plain(action.cash_of(before.units)),
    }
    return "action.booked", portfolio, time, data

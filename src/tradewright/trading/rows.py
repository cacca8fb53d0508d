"""From the values of a run to the rows that are stored. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tradewright import ids
from tradewright.market.orders import Fill, Order, OrderStatus
from tradewright.trading.ledger import ZERO, Position, Posting


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Whose run this is and where it writes."""

    organization: str
    environment: str
    run: str
    portfolio: str
    feed_session: str
    currency: str


def order_row(who: RunIdentity, order: Order, now_us: int) -> dict[str, Any]:
    """Return the row of an order that was decided and not sent yet."""
    return {
        "id": ids.derive("ord", who.organization, who.environment, order.client_order_id),
        "organization": who.organization,
        "environment": who.environment,
        "portfolio": who.portfolio,
        "run": who.run,
        "client_order_id": order.client_order_id,
        "instrument": order.instrument,
        "side": order.side.value,
        "type": "market",
        "units": order.units,
        "filled_units": ZERO,
        "status": OrderStatus.PENDING.value,
        "reason": "",
        "decided_time": order.decided_time,
        "created_at": now_us,
        "updated_at": now_us,
    }


def fill_row(who: RunIdentity, fill: Fill, order: str, row_id: str, now_us: int) -> dict[str, Any]:
    """Return the row of a fill of the order with id `order`."""
    return {
        "id": row_id,
        "organization": who.organization,
        "environment": who.environment,
        "portfolio": who.portfolio,
        "order": order,
        "broker_fill_id": fill.broker_fill_id,
        "instrument": fill.instrument,
        "side": fill.side.value,
        "units": fill.units,
        "price": fill.price,
        "fee": fill.fee,
        "time": fill.time,
        "created_at": now_us,
    }


def position_row(who: RunIdentity, position: Position, time: int) -> dict[str, Any]:
    """Return the row of a position as of market time `time`."""
    return {
        "portfolio": who.portfolio,
        "instrument": position.instrument,
        "organization": who.organization,
        "environment": who.environment,
        "units": position.units,
        "cost": position.cost,
        "time": time,
    }


def ledger_rows(who: RunIdentity, postings: list[Posting], cause: str, time: int, now_us: int) -> list[dict[str, Any]]:
    """Return the rows of one ledger transaction, its id derived from what caused it."""
    transaction = ids.derive("ltx", who.portfolio, cause)
    return [
        {
            "id": f"{transaction}-{line}",
            "organization": who.organization,
            "environment": who.environment,
            "portfolio": who.portfolio,
            "transaction": transaction,
            "line": line,
            "account": posting.account,
            "currency": posting.currency,
            "amount": posting.amount,
            "cause": cause,
            "time": time,
            "created_at": now_us,
        }
        for line, posting in enumerate(postings)
    ]

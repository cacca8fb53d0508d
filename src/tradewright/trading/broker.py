"""The broker port: what the engine needs of whoever executes its orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tradewright.market.orders import Fill, Order, OrderStatus


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker has it. reason: why it was rejected or ended early, "" otherwise."""

    client_order_id: str
    broker_order_id: str
    status: OrderStatus
    filled_units: Decimal
    reason: str


class Broker(Protocol):
    """Submitting is idempotent by client order id. A time-out is not a rejection: it raises SourceFailed, and the
    caller asks `find` before anything else."""

    def submit(self, order: Order) -> BrokerOrder: ...

    def find(self, client_order_id: str) -> BrokerOrder | None: ...

    def cancel(self, client_order_id: str) -> BrokerOrder | None: ...

    def open_orders(self) -> list[BrokerOrder]: ...

    def positions(self) -> Mapping[str, Decimal]: ...

    def fills_since(self, sequence: int) -> list[Fill]: ...

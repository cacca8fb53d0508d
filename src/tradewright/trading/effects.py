"""What one transaction of a run changes: collected first, then written with one statement a table.

What is written must not depend on how many fills a row brings: a statement for each of them is what kept everything
else in the process waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tradewright.market.orders import Fill
from tradewright.storage import ledgers, outbox, trading
from tradewright.storage.database import Tx
from tradewright.trading import rows
from tradewright.trading.events import Event
from tradewright.trading.ledger import Position, Posting
from tradewright.trading.rows import RunIdentity


@dataclass(slots=True)
class Effects:
    """Collect, then `write` once. now_us: of everything that it writes."""

    who: RunIdentity
    now_us: int
    told: list[Event] = field(default_factory=list)
    _fills: list[dict[str, Any]] = field(default_factory=list)
    _postings: list[dict[str, Any]] = field(default_factory=list)
    _positions: dict[str, dict[str, Any]] = field(default_factory=dict)  # by instrument: the last one
    _orders: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id: what changes, later over earlier

    def fill(self, fill: Fill, order: str, row_id: str) -> None:
        """An order with id `order` was filled, wholly or in part."""
        self._fills.append(rows.fill_row(self.who, fill, order, row_id, self.now_us))

    def post(self, postings: list[Posting], cause: str, position: Position, time: int) -> None:
        """A ledger transaction at market time `time`, and the position that it leaves."""
        self._postings += rows.ledger_rows(self.who, postings, cause, time, self.now_us)
        self._positions[position.instrument] = rows.position_row(self.who, position, time)

    def order(self, order: str, **values: Any) -> None:
        """Change columns of the order with this id."""
        self._orders.setdefault(order, {}).update(values, updated_at=self.now_us)

    def write(self, tx: Tx) -> None:
        """Write it in the caller's transaction."""
        tenant = (self.who.organization, self.who.environment)
        trading.add_fills(tx, self._fills)
        ledgers.add_postings(tx, self._postings)
        trading.put_positions(tx, list(self._positions.values()))
        trading.update_orders(tx, *tenant, self._orders)
        outbox.append(tx, *tenant, self.told, self.now_us)

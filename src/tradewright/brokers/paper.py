"""The paper broker: fills market orders at the next bar, keeps its own books, forgets nothing when it is killed.

An order accepted after the row of time t is filled at the first later row in which its instrument trades: at the open,
or at the close where bars have only closes. Sells come first; a buy that cash does not cover is cut to what it covers.
A dividend is paid, then a split multiplies what is held and what waits, before anything is filled in its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Any

from tradewright import ids
from tradewright.market.orders import STEP, ExactAction, Fill, Order, OrderStatus, Side, rounded_money, to_price
from tradewright.market.panel import Panel
from tradewright.storage import paper
from tradewright.storage.database import Database, Tx
from tradewright.trading.broker import BrokerOrder
from tradewright.trading.ending import SESSION_ENDED

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PaperCosts:
    """What trading costs. fee_rate: share of the notional. half_spread: share of the price, against the order."""

    fee_rate: Decimal = ZERO
    half_spread: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PaperAccount:
    """One account at the paper broker."""

    id: str
    organization: str
    environment: str
    cash: Decimal
    costs: Mapping[str, PaperCosts] = field(default_factory=dict)  # by instrument; none where it is missing


class PaperBroker:
    """A broker that simulates. `observe` feeds it the market; the rest is the broker port."""

    def __init__(self, database: Database, account: PaperAccount) -> None:
        self._database = database
        self._account = account
        self._cash: Decimal | None = None  # read from the books once, then kept; set only after a commit

    def submit(self, order: Order) -> BrokerOrder:
        return self._database.write(self._submit, order)

    def find(self, client_order_id: str) -> BrokerOrder | None:
        row = self._database.read(paper.get_order, self._account.id, client_order_id)
        return None if row is None else _broker_order(row)

    def cancel(self, client_order_id: str) -> BrokerOrder | None:
        return self._database.write(self._cancel, client_order_id)

    def open_orders(self) -> list[BrokerOrder]:
        rows = self._database.read(paper.orders_with_status, self._account.id, OrderStatus.ACCEPTED.value)
        return [_broker_order(row) for row in rows]

    def positions(self) -> Mapping[str, Decimal]:
        held = self._database.read(self._held)
        return {instrument: units for instrument, units in held.items() if units}

    def fills_since(self, sequence: int) -> list[Fill]:
        rows = self._database.read(paper.filled_since, self._account.id, sequence)
        return [self._fill(row) for row in rows]

    def observe(self, row: Panel, due: Sequence[ExactAction] = ()) -> None:
        """Book the actions that take place in this closed row (a panel of one row) and fill what it fills. Seeing the
        same row again changes nothing."""
        if len(due) > 0 or self._database.read(paper.orders_with_status, self._account.id, OrderStatus.ACCEPTED.value):
            self._cash = self._database.write(self._observe, row, due)

    def _submit(self, tx: Tx, order: Order) -> BrokerOrder:
        known = paper.get_order(tx, self._account.id, order.client_order_id)
        if known is None:
            known = {
                "broker_account": self._account.id,
                "client_order_id": order.client_order_id,
                "organization": self._account.organization,
                "environment": self._account.environment,
                "broker_order_id": ids.derive("pbo", self._account.id, order.client_order_id),
                "instrument": order.instrument,
                "side": order.side.value,
                "units": order.units,
                "accepted_time": order.decided_time,
                "status": OrderStatus.ACCEPTED.value,
                "reason": "",
            }
            paper.add_order(tx, known)
        return _broker_order(known)

    def _cancel(self, tx: Tx, client_order_id: str) -> BrokerOrder | None:
        row = paper.get_order(tx, self._account.id, client_order_id)
        if row is not None and row["status"] == OrderStatus.ACCEPTED.value:
            change = {"status": OrderStatus.CANCELLED.value, "reason": "cancelled by the client"}
            paper.update_orders(tx, self._account.id, {client_order_id: change})
            row.update(change)
        return None if row is None else _broker_order(row)

    def _observe(self, tx: Tx, row: Panel, due: Sequence[ExactAction]) -> Decimal:
        time = int(row.times[0])
        cash = self._cash_in_books(tx) if self._cash is None else self._cash
        cash += self._book(tx, due, time)
        return self._fill_waiting(tx, row, time, cash)

    def _book(self, tx: Tx, due: Sequence[ExactAction], time: int) -> Decimal:
        paid = ZERO
        known = {row["key"] for row in paper.actions_of(tx, self._account.id)} if due else set()
        for action in due:
            key = f"{action.instrument}/{action.time}/{action.split}/{action.dividend}"
            if key in known:
                continue
            units = self._held(tx).get(action.instrument, ZERO)
            change, cash = action.units_of(units) - units, action.cash_of(units)
            paid += cash
            row = {"broker_account": self._account.id, "key": key, "instrument": action.instrument, "time": time}
            tenant = {"organization": self._account.organization, "environment": self._account.environment}
            paper.add_action(tx, {**row, **tenant, "units": change, "cash": cash})
            waiting = paper.orders_with_status(tx, self._account.id, OrderStatus.ACCEPTED.value)
            mine = [order for order in waiting if order["instrument"] == action.instrument]
            on_new_terms = {order["client_order_id"]: {"units": action.units_of(order["units"])} for order in mine}
            paper.update_orders(tx, self._account.id, on_new_terms)
        return paid

    def _fill_waiting(self, tx: Tx, row: Panel, time: int, cash: Decimal) -> Decimal:
        waiting = paper.orders_with_status(tx, self._account.id, OrderStatus.ACCEPTED.value)
        due = [order for order in waiting if order["accepted_time"] < time]
        column = {instrument: index for index, instrument in enumerate(row.ids)}
        prices = row.close[0] if row.close_only else row.open[0]
        sequence = paper.last_fill_sequence(tx, self._account.id)
        outcomes = {}
        for order in sorted(due, key=lambda o: (o["side"] == Side.BUY.value, o["instrument"], o["client_order_id"])):
            place = column.get(order["instrument"])
            if place is None or not row.tradable[0, place]:
                continue
            outcome = self._execute(order, to_price(prices[place]), cash)
            if outcome["fill_units"]:
                sequence += 1
                outcome |= {"fill_time": time, "fill_sequence": sequence}
                cash += _cash_change(order["side"], outcome)
            outcomes[order["client_order_id"]] = outcome
        paper.update_orders(tx, self._account.id, outcomes)
        return cash

    def _execute(self, order: dict[str, Any], price: Decimal, cash: Decimal) -> dict[str, Any]:
        costs = self._account.costs.get(order["instrument"], PaperCosts())
        with localcontext() as context:
            context.prec = 60
            buying = order["side"] == Side.BUY.value
            price = rounded_money(price * (1 + costs.half_spread if buying else 1 - costs.half_spread))
            units = order["units"]
            if buying and units * price * (1 + costs.fee_rate) > cash:
                units = max(ZERO, (cash / (price * (1 + costs.fee_rate))).quantize(STEP, ROUND_DOWN))
                while units > 0 and units * price + rounded_money(units * price * costs.fee_rate) > cash:
                    units -= STEP
            fee = rounded_money(units * price * costs.fee_rate)
        cut = units < order["units"]
        return {
            "status": (OrderStatus.CANCELLED if cut else OrderStatus.FILLED).value,
            "reason": "cash covered only a part" if cut else "",
            "fill_units": units,
            "fill_price": price,
            "fill_fee": fee,
        }

    def _cash_in_books(self, tx: Tx) -> Decimal:
        with localcontext() as context:
            context.prec = 60
            filled = paper.filled_since(tx, self._account.id, 0)
            traded = sum((_cash_change(row["side"], row) for row in filled), self._account.cash)
            return sum((row["cash"] for row in paper.actions_of(tx, self._account.id)), traded)

    def _held(self, tx: Tx) -> dict[str, Decimal]:
        held: dict[str, Decimal] = {}
        changes = [(row["instrument"], row["units"]) for row in paper.actions_of(tx, self._account.id)]
        fills = (self._fill(row) for row in paper.filled_since(tx, self._account.id, 0))
        for instrument, units in (*changes, *((fill.instrument, fill.signed_units) for fill in fills)):
            held[instrument] = held.get(instrument, ZERO) + units
        return held

    def _fill(self, row: dict[str, Any]) -> Fill:
        return Fill(
            sequence=row["fill_sequence"],
            broker_fill_id=ids.derive("pbf", self._account.id, row["client_order_id"]),
            client_order_id=row["client_order_id"],
            instrument=row["instrument"],
            side=Side(row["side"]),
            units=row["fill_units"],
            price=row["fill_price"],
            fee=row["fill_fee"],
            time=row["fill_time"],
        )


def cancel_left_orders(tx: Tx, account: str, client_order_ids: Sequence[str]) -> None:
    """Cancel those of these orders that still wait at an account: its feed session has ended, no bar will fill them."""
    change = {"status": OrderStatus.CANCELLED.value, "reason": SESSION_ENDED}
    waiting = {row["client_order_id"] for row in paper.orders_with_status(tx, account, OrderStatus.ACCEPTED.value)}
    paper.update_orders(tx, account, {name: change for name in client_order_ids if name in waiting})


def _cash_change(side: str, row: Mapping[str, Any]) -> Decimal:
    notional: Decimal = row["fill_units"] * row["fill_price"]
    fee: Decimal = row["fill_fee"]
    return -notional - fee if side == Side.BUY.value else notional - fee


def _broker_order(row: Mapping[str, Any]) -> BrokerOrder:
    return BrokerOrder(
        client_order_id=row["client_order_id"],
        broker_order_id=row["broker_order_id"],
        status=OrderStatus(row["status"]),
        filled_units=row.get("fill_units") or ZERO,
        reason=row["reason"],
    )

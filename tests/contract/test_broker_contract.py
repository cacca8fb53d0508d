"""What every broker must do, shown on the paper broker."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tradewright.brokers.paper import PaperAccount, PaperBroker, PaperCosts
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.orders import ExactAction, Order, OrderStatus, Side
from tradewright.market.panel import Panel
from tradewright.storage.database import Database

A = Instrument("equity:A")


def bar(time: int, price: float | None) -> Panel:
    value = np.array([[np.nan if price is None else price]])
    return Panel.of(np.array([time]), (A,), Interval.DAY, value, open=value, high=value, low=value, volume=value)


class PaperCase:
    """The paper broker, and the market it needs to fill something."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.broker = self.reopened()

    def reopened(self) -> PaperBroker:
        """The same account after the process ended and began again."""
        costs = {A.id: PaperCosts(Decimal("0.001"))}
        return PaperBroker(self._database, PaperAccount("acc", "org", "paper", Decimal(1000), costs))

    def trade(self, time: int, price: float | None, *due: ExactAction) -> None:
        self.broker.observe(bar(time, price), due)


@pytest.fixture(params=["paper"])
def case(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Any:
    return PaperCase(database)


def order(name: str, side: Side, units: str, time: int = 1) -> Order:
    return Order(name, A.id, side, Decimal(units), time)


def test_submitting_twice_is_one_order(case: Any) -> None:
    first = case.broker.submit(order("a", Side.BUY, "2"))
    again = case.broker.submit(order("a", Side.BUY, "2"))
    assert first == again
    assert first.status is OrderStatus.ACCEPTED
    assert len(case.broker.open_orders()) == 1


def test_an_order_is_found_by_its_client_id_also_after_a_restart(case: Any) -> None:
    assert case.broker.find("a") is None
    case.broker.submit(order("a", Side.BUY, "2"))
    assert case.reopened().find("a") == case.broker.find("a")


def test_nothing_is_filled_in_the_row_it_was_decided_on(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "2", time=5))
    case.trade(5, 10.0)
    assert case.broker.fills_since(0) == []
    case.trade(6, 11.0)
    fill = case.broker.fills_since(0)[0]
    assert (fill.price, fill.units, fill.fee, fill.time) == (11, 2, Decimal("0.022"), 6)
    assert case.broker.positions() == {A.id: 2}


def test_seeing_a_row_again_fills_nothing_again(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "2"))
    case.trade(2, 10.0)
    case.trade(2, 10.0)
    case.reopened().observe(bar(2, 10.0))
    assert len(case.broker.fills_since(0)) == 1


def test_an_order_waits_for_the_next_bar_of_its_instrument(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "2"))
    case.trade(2, None)
    assert case.broker.fills_since(0) == []
    case.trade(3, 12.0)
    assert case.broker.fills_since(0)[0].time == 3


def test_fills_are_numbered_and_told_from_where_one_was(case: Any) -> None:
    for number in range(4):
        case.broker.submit(order(f"o{number}", Side.BUY, "1", time=number))
        case.trade(number + 1, 10.0)
    numbers = [fill.sequence for fill in case.broker.fills_since(0)]
    assert numbers == sorted(set(numbers))
    assert [fill.sequence for fill in case.broker.fills_since(numbers[1])] == numbers[2:]
    assert len({fill.broker_fill_id for fill in case.broker.fills_since(0)}) == 4


def test_a_buy_beyond_cash_is_cut_to_what_cash_pays_with_the_fee(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "200"))
    case.trade(2, 10.0)
    fill = case.broker.fills_since(0)[0]
    assert fill.units * fill.price + fill.fee <= 1000
    assert fill.units * fill.price + fill.fee > Decimal("999.9999")
    found = case.broker.find("a")
    assert (found.status, found.filled_units, found.reason) == (OrderStatus.CANCELLED, fill.units, found.reason)
    assert found.reason


def test_sells_pay_for_buys_of_the_same_row(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "99"))
    case.trade(2, 10.0)
    case.broker.submit(order("b", Side.BUY, "50", time=2))
    case.broker.submit(order("c", Side.SELL, "60", time=2))
    case.trade(3, 10.0)
    assert [(f.client_order_id, f.units) for f in case.broker.fills_since(1)] == [("c", 60), ("b", 50)]


def test_a_cancelled_order_is_not_filled_and_a_filled_one_not_cancelled(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "1"))
    assert case.broker.cancel("a").status is OrderStatus.CANCELLED
    case.trade(2, 10.0)
    assert case.broker.fills_since(0) == []
    case.broker.submit(order("b", Side.BUY, "1", time=2))
    case.trade(3, 10.0)
    assert case.broker.cancel("b").status is OrderStatus.FILLED
    assert case.broker.cancel("nothing") is None


def action(time: int, split: str = "1", dividend: str = "0") -> ExactAction:
    return ExactAction(A.id, time, Decimal(split), Decimal(dividend))


def test_a_split_multiplies_what_is_held_and_what_waits_once(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "10"))
    case.trade(2, 70.0)
    case.broker.submit(order("b", Side.SELL, "4", time=2))
    for _ in range(2):
        case.trade(3, 10.0, action(3, split="7.0"))
    case.reopened().observe(bar(3, 10.0), [action(3, split="7.0")])
    assert [(fill.units, fill.price) for fill in case.broker.fills_since(1)] == [(28, 10)]
    assert case.broker.positions() == {A.id: 42}
    assert case.reopened().positions() == {A.id: 42}


def test_a_dividend_is_paid_on_what_is_held_and_pays_for_orders(case: Any) -> None:
    case.broker.submit(order("a", Side.BUY, "99"))
    case.trade(2, 10.0)  # 990 and a fee of 0.99 leave 9.01
    case.broker.submit(order("b", Side.BUY, "9", time=2))
    case.trade(3, None)
    case.trade(4, 10.0, action(4, dividend="1"))
    assert [fill.units for fill in case.broker.fills_since(1)] == [9]
    case.reopened().submit(order("c", Side.BUY, "50", time=4))
    case.reopened().observe(bar(5, 10.0))
    (last,) = case.broker.fills_since(2)
    left = Decimal("9.01") + 99 - Decimal("90.09")
    assert left - Decimal("0.001") < last.units * last.price + last.fee <= left

"""From floats to exact decimals, and from targets to orders."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tradewright.errors import InvalidInput
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.orders import Side, to_price, to_units
from tradewright.market.panel import Panel
from tradewright.strategies.contract import TargetKind
from tradewright.trading.sizing import orders_for


def _row(*instruments: Instrument, close: float = 10.0) -> Panel:
    return Panel.of(np.array([5]), instruments, Interval.DAY, np.full((1, len(instruments)), close))


A, B, C = Instrument("equity:A"), Instrument("equity:B"), Instrument("equity:C")


def test_floats_become_the_decimal_that_they_print_as() -> None:
    assert to_price(0.1) == Decimal("0.1")
    assert to_units(1.23456789012) == Decimal("1.23456789")
    for value in (float("nan"), float("inf")):
        with pytest.raises(InvalidInput):
            to_price(value)


def test_sells_come_before_buys() -> None:
    held = {"equity:A": Decimal(5), "equity:B": Decimal(5)}
    targets, closes = np.array([8.0, 0.0, 3.0]), np.full(3, 10.0)
    orders = orders_for(targets, TargetKind.UNITS, _row(A, B, C), closes, held, 1000.0, "run")
    assert [(o.side, o.instrument, o.units) for o in orders] == [
        (Side.SELL, "equity:B", 5),
        (Side.BUY, "equity:A", 3),
        (Side.BUY, "equity:C", 3),
    ]


def test_nan_leaves_a_position_and_an_equal_target_makes_no_order() -> None:
    held = {"equity:A": Decimal(5)}
    targets, closes = np.array([np.nan, 0.0, np.nan]), np.full(3, 10.0)
    assert orders_for(targets, TargetKind.UNITS, _row(A, B, C), closes, held, 1000.0, "run") == []


def test_weights_become_units_with_equity_and_close() -> None:
    orders = orders_for(np.array([0.5]), TargetKind.WEIGHTS, _row(A), np.array([10.0]), {}, 1000.0, "run")
    assert orders[0].units == 50


def test_lots_and_smallest_notional_are_kept() -> None:
    lots = Instrument("equity:A", lot=Decimal(10), minimum_notional=Decimal(200))
    row, closes = _row(lots), np.array([10.0])
    assert orders_for(np.array([37.0]), TargetKind.UNITS, row, closes, {}, 1.0, "r")[0].units == 30
    assert orders_for(np.array([17.0]), TargetKind.UNITS, row, closes, {}, 1.0, "r") == []


def test_the_same_decision_has_the_same_client_order_id() -> None:
    made = [
        orders_for(np.array([2.0]), TargetKind.UNITS, _row(A), np.array([10.0]), {}, 1.0, run)[0].client_order_id
        for run in ("one", "one", "two")
    ]
    assert made[0] == made[1] != made[2]

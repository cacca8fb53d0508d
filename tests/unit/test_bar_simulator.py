"""The rules of the bar simulator, one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tradewright.errors import InvalidInput
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Panel
from tradewright.simulation.bars import Simulation, simulate
from tradewright.simulation.costs import Costs, default_costs
from tradewright.strategies import FixedTargets

NAN = float("nan")
DAY = 86_400_000_000


def bars(close: list[Any], opened: list[Any] | None = None, **rest: Any) -> Panel:
    values = np.array(close, np.float64).reshape(len(close), -1)
    starts = values if opened is None else np.array(opened, np.float64).reshape(len(close), -1)
    n = values.shape[1]
    instruments = rest.pop("instruments", tuple(Instrument(f"equity:S{i}") for i in range(n)))
    times = DAY * np.arange(1, len(values) + 1)
    high, low = np.fmax(values, starts) + 1, np.fmin(values, starts) - 1
    return Panel.of(times, instruments, Interval.DAY, values, starts, high, low, values * 0 + 1, **rest)


def trade(panel: Panel, targets: list[Any], kind: str = "units", cash: float = 1_000.0, **rest: Any) -> Simulation:
    wanted = FixedTargets(np.array(targets, np.float64).reshape(panel.shape), kind)
    return simulate(panel, wanted.targets(panel), cash=cash, costs=rest.pop("costs", Costs()), **rest)


def test_a_target_is_filled_at_the_next_open() -> None:
    run = trade(bars([10, 11, 12], [10, 20, 30]), [5, NAN, NAN])
    assert [(f["row_decided"], f["row_filled"], f["price"]) for f in run.fills] == [(0, 1, 20.0)]


def test_a_target_of_the_last_row_is_never_filled() -> None:
    assert len(trade(bars([10, 11]), [NAN, 5]).fills) == 0


def test_a_close_only_panel_fills_at_the_next_close() -> None:
    panel = Panel.of(DAY * np.arange(1, 4), (Instrument("equity:A"),), Interval.DAY, np.array([[10.0], [11.0], [12.0]]))
    run = simulate(panel, FixedTargets([5, NAN, NAN]).targets(panel), cash=1_000, costs=Costs())
    assert run.fills["price"].tolist() == [11.0]


def test_an_order_waits_for_the_next_present_and_tradable_bar() -> None:
    panel = bars([10, NAN, 12, 13, 14], tradable=np.array([[True], [False], [False], [True], [True]]))
    run = trade(panel, [5, NAN, NAN, NAN, NAN])
    assert [(f["row_decided"], f["row_filled"]) for f in run.fills] == [(0, 3)]


def test_a_newer_target_replaces_a_waiting_one() -> None:
    panel = bars([10, NAN, NAN, 13], tradable=np.array([[True], [False], [False], [True]]))
    run = trade(panel, [5, 7, NAN, NAN])
    assert [(f["row_decided"], f["units"]) for f in run.fills] == [(1, 7.0)]


def test_weights_use_equity_and_close_of_the_decision_row() -> None:
    run = trade(bars([10, 12, 12], [10, 15, 12]), [0.5, NAN, NAN], "weights")
    assert run.fills["units"].tolist() == [50.0]  # 0.5 * 1000 / 10, whatever the open is


def test_sales_are_filled_before_purchases_of_the_same_row() -> None:
    run = trade(bars([[10, 10]] * 4), [[NAN, 100], [NAN, NAN], [100, 0], [NAN, NAN]])
    assert [(f["column"], f["units"]) for f in run.fills] == [(1, 100.0), (1, -100.0), (0, 100.0)]
    assert run.findings == ()


def test_a_buy_beyond_cash_is_cut_to_what_cash_pays_with_the_fee() -> None:
    run = trade(bars([10, 10, 10]), [1_000, NAN, NAN], costs=Costs(fee_rate=0.25))
    assert run.fills["units"].tolist() == [80.0]
    assert run.cash.tolist() == [1_000.0, 0.0, 0.0]
    assert [f.code for f in run.findings] == ["simulation.buy_cut"]


def test_leverage_raises_the_bound() -> None:
    run = trade(bars([10, 10, 10]), [1_000, NAN, NAN], leverage=2.0)
    assert run.fills["units"].tolist() == [200.0]
    assert run.cash[-1] == -1_000.0


def test_a_target_below_zero_is_flat_without_leverage_and_short_with_it() -> None:
    flat = trade(bars([10, 10, 8]), [-50, NAN, NAN])
    assert len(flat.fills) == 0
    assert [f.code for f in flat.findings] == ["simulation.short_cut"]
    short = trade(bars([10, 10, 8]), [-50, NAN, NAN], leverage=1.5)
    assert short.fills["units"].tolist() == [-50.0]
    assert short.equity[-1] == 1_100.0


def test_a_short_is_bounded_by_gross_exposure() -> None:
    run = trade(bars([10, 10, 10]), [-1_000, NAN, NAN], leverage=1.5)
    assert run.fills["units"].tolist() == pytest.approx([-150.0])


def test_turning_from_long_to_short_is_one_fill_within_the_bound() -> None:
    run = trade(bars([10] * 5), [100, NAN, -1_000, NAN, NAN], leverage=1.5)
    assert run.fills["units"].tolist() == pytest.approx([100.0, -250.0])
    assert run.units_final.tolist() == pytest.approx([-150.0])


def test_the_smallest_fee_and_the_fee_per_unit_are_charged() -> None:
    run = trade(bars([10, 10, 10, 10]), [1, 50, NAN, NAN], costs=Costs(fee_per_unit=0.1, minimum_fee=2.0))
    assert run.fills["fee"].tolist() == pytest.approx([2.0, 4.9])


def test_spread_and_slippage_move_the_price_against_the_trader() -> None:
    run = trade(bars([10, 10, 10, 10]), [10, 0, NAN, NAN], costs=Costs(half_spread=0.01, slippage=0.02))
    assert run.fills["price"].tolist() == pytest.approx([10.3, 9.7])


def test_lots_round_orders_down_and_drop_those_below_the_smallest_notional() -> None:
    instrument = Instrument("equity:A", lot=Decimal(10), minimum_notional=Decimal(300))
    panel = bars([10] * 4, instruments=(instrument,))
    assert trade(panel, [57, NAN, NAN, NAN], lots="instrument").fills["units"].tolist() == [50.0]
    small = trade(panel, [27, NAN, NAN, NAN], lots="instrument")
    assert len(small.fills) == 0
    assert [f.code for f in small.findings] == ["simulation.order_dropped"]
    assert trade(panel, [27, NAN, NAN, NAN]).fills["units"].tolist() == [27.0]


def test_a_delisted_position_closes_at_the_last_price_with_a_finding() -> None:
    instrument = Instrument("equity:A", delisted_us=3 * DAY)
    run = trade(bars([10, 10, 12, NAN, NAN], instruments=(instrument,)), [10, NAN, NAN, NAN, NAN])
    assert [(f["row_filled"], f["units"], f["price"]) for f in run.fills] == [(1, 10.0, 10.0), (3, -10.0, 12.0)]
    assert run.equity.tolist() == [1000, 1000, 1020, 1020, 1020]
    assert [f.code for f in run.findings] == ["simulation.delisted"]


def test_a_position_without_a_bar_keeps_its_last_price() -> None:
    run = trade(bars([10, 10, 12, NAN, 13]), [10, NAN, NAN, NAN, NAN])
    assert run.equity.tolist() == [1000, 1000, 1020, 1020, 1030]


def test_foreign_prices_are_taken_at_the_rate_of_the_row() -> None:
    rates = np.array([[2.0], [2.0], [3.0]])
    run = trade(bars([10, 10, 10], fx=rates), [0.5, NAN, NAN], "weights")
    assert run.fills["units"].tolist() == [25.0]
    assert run.equity.tolist() == [1000, 1000, 1250]


def test_a_weight_without_a_price_is_dropped_with_a_finding() -> None:
    run = trade(bars([NAN, NAN, 10]), [0.5, NAN, NAN], "weights")
    assert len(run.fills) == 0
    assert [f.code for f in run.findings] == ["simulation.no_price"]


def test_rows_before_the_start_row_are_flat() -> None:
    run = trade(bars([10] * 5), [5, 5, 5, NAN, NAN], start_row=2)
    assert run.fills["row_decided"].tolist() == [2]


def test_an_index_is_never_traded() -> None:
    panel = bars([10, 11], instruments=(Instrument("index:SPX"),))
    with pytest.raises(InvalidInput, match=r"index:SPX is never traded"):
        trade(panel, [1, NAN])
    assert len(trade(panel, [0, NAN]).fills) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cash": 0.0}, "cash must be"),
        ({"cash": NAN}, "cash must be"),
        ({"leverage": 0.5}, "leverage must be 1"),
        ({"lots": "round"}, "lots must be"),
        ({"start_row": 9}, "start_row must lie"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        trade(bars([10, 11]), [1, NAN], **given)


def test_targets_of_another_shape_are_refused() -> None:
    panel = bars([10, 11, 12])
    with pytest.raises(InvalidInput, match="targets have shape"):
        simulate(panel, FixedTargets([1.0, 2.0]).targets(bars([10, 11])), cash=1.0, costs=Costs())


def test_a_fee_per_unit_is_refused_on_adjusted_prices() -> None:
    with pytest.raises(InvalidInput, match="needs raw prices"):
        trade(bars([10, 11], pre_adjusted=True), [1, NAN], costs=Costs(fee_per_unit=0.01))


@pytest.mark.parametrize("value", [-0.1, NAN, float("inf")])
def test_impossible_costs_are_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="fee_rate"):
        Costs(fee_rate=value)
    with pytest.raises(InvalidInput, match="stay below 1"):
        Costs(half_spread=0.6, slippage=0.5)
    with pytest.raises(InvalidInput, match="2 values and the panel 3"):
        Costs(fee_rate=(0.1, 0.2)).columns(3)


def test_default_costs_follow_the_class_and_are_never_zero() -> None:
    chosen = default_costs([Instrument("equity:A"), Instrument("crypto:BTC-USD"), Instrument("fx:EUR-USD")])
    a_side = chosen.columns(3)[0] + chosen.columns(3)[3]
    assert a_side.tolist() == pytest.approx([0.0005, 0.0013, 0.00012])
    assert chosen.scaled(0.0).free
    assert not chosen.free

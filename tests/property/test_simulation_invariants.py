"""What must hold for any prices and any targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewright.evaluation.audit import audit_fills
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Panel
from tradewright.simulation.bars import Simulation, simulate
from tradewright.simulation.costs import Costs
from tradewright.strategies.contract import TargetKind, Targets

COSTS = Costs(fee_rate=0.002, minimum_fee=0.5, half_spread=0.001, slippage=0.0005)
ROWS = 40


def world(seed: int, columns: int) -> tuple[Panel, np.ndarray]:  # type: ignore[type-arg]
    draw = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(draw.normal(0, 0.03, (ROWS, columns)), axis=0))
    opened = close * np.exp(draw.normal(0, 0.01, close.shape))
    high = np.maximum(opened, close) * (1 + draw.uniform(0, 0.01, close.shape))
    low = np.minimum(opened, close) * (1 - draw.uniform(0, 0.01, close.shape))
    gone = draw.random(close.shape) < 0.1
    for array in (close, opened, high, low):
        array[gone] = np.nan
    tradable = ~gone & (draw.random(close.shape) < 0.95)
    times = 86_400_000_000 * np.arange(1, ROWS + 1)
    instruments = tuple(Instrument(f"equity:S{i}") for i in range(columns))
    panel = Panel.of(times, instruments, Interval.DAY, close, opened, high, low, close, tradable=tradable)
    wanted = np.where(draw.random(close.shape) < 0.3, draw.uniform(-0.2, 1.2, close.shape) / columns, np.nan)
    return panel, wanted


def run(panel: Panel, wanted: np.ndarray, costs: Costs = COSTS, leverage: float = 1.0) -> Simulation:  # type: ignore[type-arg]
    return simulate(panel, Targets(wanted, TargetKind.WEIGHTS), cash=10_000.0, costs=costs, leverage=leverage)


worlds = given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([1.0, 1.7]))
quick = settings(max_examples=40, deadline=None)


@quick
@worlds
def test_cash_is_what_the_fills_say(seed: int, columns: int, leverage: float) -> None:
    result = run(*world(seed, columns), leverage=leverage)
    fills = result.fills
    spent = float(np.sum(fills["units"] * fills["price"] + fills["fee"]))
    assert result.cash[-1] == pytest.approx(10_000.0 - spent, abs=1e-6)
    held = np.zeros(columns)
    np.add.at(held, fills["column"], fills["units"])
    assert result.units_final == pytest.approx(held, abs=1e-9)


@quick
@worlds
def test_a_cash_account_never_owes_and_never_is_short(seed: int, columns: int, leverage: float) -> None:
    panel, wanted = world(seed, columns)
    result = simulate(
        panel, Targets(wanted, TargetKind.WEIGHTS), cash=10_000.0, costs=COSTS, leverage=1.0, record_units=True
    )
    assert float(result.cash.min()) >= -1e-7
    assert result.units is not None
    assert float(result.units.min()) >= 0.0


@quick
@worlds
def test_every_fill_follows_its_decision_inside_the_bar(seed: int, columns: int, leverage: float) -> None:
    panel, wanted = world(seed, columns)
    result = run(panel, wanted, leverage=leverage)
    assert audit_fills(panel, result, COSTS) == ()
    assert bool(np.all(result.fills["row_filled"] > result.fills["row_decided"]))


@quick
@worlds
def test_scaling_all_prices_changes_only_units(seed: int, columns: int, leverage: float) -> None:
    panel, wanted = world(seed, columns)
    scaled = Panel.of(
        panel.times,
        panel.instruments,
        panel.interval,
        panel.close * 8,
        panel.open * 8,
        panel.high * 8,
        panel.low * 8,
        panel.volume,
        tradable=panel.tradable,
    )
    assert run(scaled, wanted, leverage=leverage).equity == pytest.approx(run(panel, wanted, leverage=leverage).equity)


@quick
@worlds
def test_an_idle_instrument_changes_nothing(seed: int, columns: int, leverage: float) -> None:
    panel, wanted = world(seed, columns + 1)
    wanted[:, -1] = np.nan
    alone = run(panel.columns(list(range(columns))), wanted[:, :-1].copy(), leverage=leverage)
    assert np.array_equal(run(panel, wanted, leverage=leverage).equity, alone.equity)


@quick
@worlds
def test_the_order_of_columns_matters_only_for_scarce_cash(seed: int, columns: int, leverage: float) -> None:
    panel, wanted = world(seed, columns)
    wanted = np.abs(wanted) * 0.4  # always affordable
    order = list(reversed(range(columns)))
    turned = run(panel.columns(order), np.ascontiguousarray(wanted[:, order]), leverage=leverage)
    assert turned.equity == pytest.approx(run(panel, wanted, leverage=leverage).equity, rel=1e-12)


@quick
@worlds
def test_later_bars_change_no_earlier_equity(seed: int, columns: int, leverage: float) -> None:
    panel, wanted = world(seed, columns)
    whole = run(panel, wanted, leverage=leverage)
    part = run(panel.rows(0, 25), wanted[:25], leverage=leverage)
    assert np.array_equal(part.equity, whole.equity[:25])


@quick
@worlds
def test_higher_costs_never_leave_more_money(seed: int, columns: int, leverage: float) -> None:
    panel, wanted = world(seed, columns)
    once = np.full_like(wanted, np.nan)
    once[0] = 0.1  # one small purchase, so that costs cannot change what is bought later
    first, second = (run(panel, once, COSTS.scaled(k), leverage).equity[-1] for k in (1.0, 3.0))
    assert second <= first


@quick
@given(st.integers(0, 10**6), st.booleans(), st.integers(0, 20))
def test_the_fast_path_of_one_instrument_equals_the_general_one(seed: int, weights: bool, start: int) -> None:
    panel, wanted = world(seed, 1)
    kind = TargetKind.WEIGHTS if weights else TargetKind.UNITS
    targets = Targets(np.where(np.isnan(wanted), np.nan, np.round(wanted * 2, 1) * (1.0 if weights else 150.0)), kind)
    fast = simulate(panel, targets, cash=10_000.0, costs=COSTS, start_row=start)
    general = simulate(panel, targets, cash=10_000.0, costs=COSTS, start_row=start, record_units=True)
    assert np.array_equal(fast.equity, general.equity)
    assert np.array_equal(fast.cash, general.cash)
    assert np.array_equal(fast.fills, general.fills)
    assert fast.findings == general.findings
    assert fast.mean_weight == pytest.approx(general.mean_weight, abs=1e-12)

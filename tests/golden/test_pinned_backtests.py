"""Whole runs whose equity and fills are known from other engines."""

import numpy as np
import pytest

from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Action, Panel
from tradewright.simulation.bars import simulate
from tradewright.simulation.costs import Costs
from tradewright.strategies import FixedTargets, MovingAverageCross


def random_walk(rows: int) -> Panel:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(7).standard_normal(rows) * 2e-4))
    opened = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    columns = [a.reshape(-1, 1) for a in (close, opened, high, low, np.ones(rows))]
    times = 60_000_000 * np.arange(1, rows + 1)
    return Panel.of(times, (Instrument("crypto:BTC-USD"),), Interval.MINUTE, *columns)


def test_the_moving_average_cross_on_a_random_walk_gives_what_three_other_engines_give() -> None:
    panel = random_walk(100_000)
    strategy = MovingAverageCross(fast=20, slow=50, units=1)
    run = simulate(panel, strategy.targets(panel), cash=1_000_000.0, costs=Costs(fee_rate=0.001))
    # vectorbt, backtesting.py and backtrader agree on both numbers
    assert run.equity[-1] == pytest.approx(999789.0217932, abs=1e-7)
    assert len(run.fills) == 2194
    assert run.findings == ()


@pytest.fixture(scope="module")
def twenty_shares() -> Panel:
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset()
    close = np.ascontiguousarray(prices.to_numpy(np.float64))
    instruments = tuple(Instrument(f"equity:{name}") for name in prices.columns)
    return Panel.of(86_400_000_000 * np.arange(1, len(close) + 1), instruments, Interval.DAY, close)


def test_monthly_rebalancing_of_twenty_shares_gives_what_another_engine_gives(twenty_shares: Panel) -> None:
    weights = np.full(twenty_shares.shape, np.nan)
    weights[::21] = 0.95 / 20
    strategy = FixedTargets(weights, kind="weights")
    run = simulate(twenty_shares, strategy.targets(twenty_shares), cash=1_000_000.0, costs=Costs(fee_rate=0.001))
    assert run.equity[-1] == pytest.approx(158202425.951881, abs=1e-5)
    assert len(run.fills) == 7920


def test_a_split_and_a_dividend_are_booked_by_hand() -> None:
    # Buy 10 at the open 100 (fee 1.0); a 2:1 split before row 3, with a dividend of 0.5 per old unit; sell at 52.
    opened = np.array([[100.0], [100.0], [102.0], [50.0], [52.0], [52.0]])
    close = np.array([[100.0], [101.0], [103.0], [51.0], [52.0], [53.0]])
    times = 86_400_000_000 * np.arange(1, 7)
    actions = (Action(0, int(times[3]), int(times[0]), split=2.0, dividend=0.5),)
    panel = Panel.of(
        times, (Instrument("equity:A"),), Interval.DAY, close, opened, close + 3, opened - 3, close, actions=actions
    )
    targets = FixedTargets([10, np.nan, np.nan, 0, np.nan, np.nan])
    run = simulate(panel, targets.targets(panel), cash=2_000.0, costs=Costs(fee_rate=0.001))
    assert run.fills["units"].tolist() == [10.0, -20.0]
    assert run.fills["fee"].tolist() == [pytest.approx(1.0), pytest.approx(1.04)]
    # cash: 2000 - 1000 - 1 = 999; + 5 dividend = 1004; + 20 * 52 - 1.04 = 2042.96
    assert run.equity.tolist() == pytest.approx([2000, 999 + 1010, 999 + 1030, 1004 + 1020, 2042.96, 2042.96])


def test_slippage_and_orders_beyond_cash_give_what_vectorbt_gives() -> None:
    rows = 20_000
    close = 100 * np.exp(np.cumsum(np.random.default_rng(11).standard_normal(rows) * 1e-3))
    opened = np.concatenate([[100.0], close[:-1]])
    draw, wanted = np.random.default_rng(12), np.full(rows, np.nan)
    at = draw.choice(rows, 900, replace=False)
    wanted[at] = draw.choice([0, 500.0, 5000.0, 9000.0, 12000.0], 900)
    columns = [a.reshape(-1, 1) for a in (close, opened, np.maximum(opened, close), np.minimum(opened, close), close)]
    times = 60_000_000 * np.arange(1, rows + 1)
    panel = Panel.of(times, (Instrument("crypto:BTC-USD"),), Interval.MINUTE, *columns)
    costs = Costs(fee_rate=0.0005, slippage=0.0003)
    run = simulate(panel, FixedTargets(wanted).targets(panel), cash=1_000_000.0, costs=costs)
    # vectorbt 1.2.0: Portfolio.from_orders, size_type="targetamount", price = open, size of the row before
    assert run.equity[-1] == pytest.approx(736047.4879800555, rel=1e-12)
    assert len(run.fills) == 667
    assert {f.code for f in run.findings} == {"simulation.buy_cut", "simulation.order_dropped"}


def test_shared_cash_spread_and_smallest_fee_give_what_a_plain_loop_gives() -> None:
    rows = 4_000
    close = 100 * np.exp(np.cumsum(np.random.default_rng(13).standard_normal((rows, 3)) * 0.01, axis=0))
    weights, at = np.full((rows, 3), np.nan), np.arange(0, rows, 7)
    weights[at] = np.random.default_rng(14).dirichlet([1, 1, 1], len(at)) * 0.9
    times = 86_400_000_000 * np.arange(1, rows + 1)
    panel = Panel.of(times, tuple(Instrument(f"equity:{x}") for x in "ABC"), Interval.DAY, close)
    costs = Costs(fee_rate=0.001, minimum_fee=2.0, half_spread=0.0002)
    run = simulate(panel, FixedTargets(weights, kind="weights").targets(panel), cash=1e6, costs=costs)
    equity, fills = plain_loop(close, weights)
    assert run.equity == pytest.approx(equity, rel=1e-12)
    assert len(run.fills) == fills == 1716
    assert run.equity[-1] == pytest.approx(846863.288403155, rel=1e-12)


def plain_loop(close: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, int]:  # type: ignore[type-arg]
    cash, units, wanted, fills = 1e6, np.zeros(3), None, 0
    equity = np.empty(len(close))
    for t in range(len(close)):
        if wanted is not None:
            change = wanted - units
            for side in (-1, 1):
                for j in np.flatnonzero(change * side > 0):
                    price = close[t, j] * (1 + side * 0.0002)
                    cash -= change[j] * price + max(2.0, abs(change[j]) * price * 0.001)
                    units[j] += change[j]
                    fills += 1
            wanted = None
        equity[t] = cash + units @ close[t]
        if np.isfinite(weights[t, 0]):
            wanted = weights[t] * equity[t] / close[t]
    return equity, fills

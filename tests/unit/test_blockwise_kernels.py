"""What is computed block by block equals the plain way of saying it, wherever blocks begin and end."""

from __future__ import annotations

import numpy as np
import pytest

from tradewright.evaluation.evidence import span_moments, twin_excess
from tradewright.evaluation.figures import Trading, daily_returns, describe, simple_returns
from tradewright.evaluation.moments import moments
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Panel
from tradewright.simulation.bars import simulate
from tradewright.simulation.costs import Costs
from tradewright.strategies import MovingAverageCross
from tradewright.strategies.contract import Targets

DAY_US = 86_400_000_000
SIZES = (1, 2, 3, 7, 255, 256, 257, 511, 1_000)


def walk(rows: int, columns: int, seed: int, gaps: float) -> Panel:
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(draw.normal(0, 0.01, (rows, columns)), axis=0))
    close[draw.random(close.shape) < gaps] = np.nan
    names = tuple(Instrument(f"equity:S{k}") for k in range(columns))
    return Panel.of(DAY_US * np.arange(1, rows + 1), names, Interval.DAY, close, close, close, close)


@pytest.mark.parametrize(("columns", "gaps"), [(1, 0.0), (1, 0.1), (3, 0.05)])
@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (3, 10), (7, 300)])
def test_averages_are_equal_bit_for_bit_however_the_rows_arrive(
    columns: int, gaps: float, fast: int, slow: int
) -> None:
    panel, strategy = walk(1_500, columns, 5, gaps), MovingAverageCross(fast, slow, 2.0)
    whole = strategy.targets(panel).values
    for size in SIZES:
        state = strategy.start(panel)
        parts = [strategy.advance(state, panel.rows(t, t + size)) for t in range(0, len(panel), size)]
        assert np.array_equal(np.vstack(parts), whole, equal_nan=True), size
    close = panel.close[np.isfinite(panel.close[:, 0]), 0]
    means = [np.convolve(close, np.ones(k) / k)[slow - 1 : len(close)] for k in (fast, slow)]
    decided = whole[np.isfinite(panel.close[:, 0]), 0][slow - 1 :]
    assert np.array_equal(decided, np.where(means[0] > means[1], 2.0, 0.0))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("centre", [0.0, 0.1])
def test_moments_are_those_of_two_passes(n: int, centre: float) -> None:
    returns = centre + np.random.default_rng(n).standard_t(4, n) * 0.01
    found, apart = moments(returns), returns - returns.mean()
    assert found.mean == pytest.approx(returns.mean(), rel=1e-12, abs=1e-15)
    if n < 3:
        return
    m2 = np.mean(apart**2)
    assert found.std == pytest.approx(returns.std(ddof=1), rel=1e-10)
    assert found.skew == pytest.approx(np.mean(apart**3) / m2**1.5, rel=1e-8, abs=1e-8)
    assert found.kurtosis == pytest.approx(np.mean(apart**4) / m2**2, rel=1e-8)
    assert found.autocorrelation == pytest.approx(np.sum(apart[1:] * apart[:-1]) / n / m2, rel=1e-8, abs=1e-8)


def test_moments_of_returns_that_do_not_vary_have_no_deviation() -> None:
    for n in (77, 256, 1_000):
        assert moments(np.full(n, 0.1)).std == 0.0
        assert moments(np.full(n, 0.1)).sharpe is None


@pytest.mark.parametrize(("columns", "gaps"), [(1, 0.0), (1, 0.1), (3, 0.05)])
@pytest.mark.parametrize("start", [0, 1, 300])
def test_moments_of_a_span_are_those_of_its_arrays(columns: int, gaps: float, start: int) -> None:
    panel, weight = walk(900, columns, 6, gaps), np.full(columns, 0.3)
    equity = 1e6 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 900)))
    returns = simple_returns(equity, start)
    none = np.empty((0, columns))
    excess = twin_excess(returns, panel.close, panel.present, none, weight, start)
    for found, array in zip(
        span_moments(equity, panel.close, panel.present, none, weight, start), (returns, excess), strict=True
    ):
        plain = moments(array)
        assert (found.n, found.mean, found.std) == (plain.n, pytest.approx(plain.mean), pytest.approx(plain.std))
        assert (found.skew, found.kurtosis) == (pytest.approx(plain.skew), pytest.approx(plain.kurtosis))


@pytest.mark.parametrize("drift", [-0.002, 0.0, 0.002])
@pytest.mark.parametrize("rows", [2, 3, 256, 257, 258, 2_000])
def test_drawdowns_and_hits_are_those_of_a_plain_loop(drift: float, rows: int) -> None:
    equity = 1e6 * np.exp(np.cumsum(np.random.default_rng(rows).normal(drift, 0.01, rows)))
    returns = simple_returns(equity, 0)
    figures = describe(equity, moments(returns), Trading(1e6, 0.0, 0.5, 1), 252.0)
    peaks = np.maximum.accumulate(equity)
    under = 1 - equity / peaks
    assert figures["maximum_drawdown"].value == pytest.approx(under.max(), abs=1e-14)
    since = np.arange(rows) - np.maximum.accumulate(np.where(equity == peaks, np.arange(rows), 0))
    assert figures["longest_drawdown_rows"].value == since.max()
    same = peaks == peaks[int(np.argmax(under))]
    assert figures["maximum_drawdown_rows"].value == (since[same].max() if under.max() > 0 else 0)
    assert figures["hit_rate"].value == np.mean(returns > 0)
    assert figures["annual_turnover"].value == pytest.approx(1e6 / equity.mean() / ((rows - 1) / 252))


@pytest.mark.parametrize("step_us", [60_000_000, 25_000_000_000, DAY_US, 4 * DAY_US])
@pytest.mark.parametrize("start", [0, 500, 998, 999])
def test_daily_returns_join_the_last_rows_of_days(step_us: int, start: int) -> None:
    draw = np.random.default_rng(2)
    times = np.cumsum(draw.integers(1, 2 * step_us, 1_000)) - 200 * DAY_US  # days before 1970 too
    equity = np.exp(np.cumsum(draw.normal(0, 0.01, 1_000)))
    last = {int(t // DAY_US): k for k, t in enumerate(times) if k > start}
    worth = [equity[start], *(equity[k] for k in last.values())]
    assert np.array_equal(daily_returns(times, equity, start), np.array(worth[1:]) / np.array(worth[:-1]) - 1)


@pytest.mark.parametrize("gaps", [0.0, 0.02])
@pytest.mark.parametrize("start", [0, 100])
def test_long_stretches_of_one_instrument_equal_the_general_simulator(gaps: float, start: int) -> None:
    panel = walk(3_000, 1, 8, gaps)
    draw = np.random.default_rng(4)
    wanted = np.repeat(draw.integers(0, 3, 60).astype(float), 50)
    wanted[draw.random(3_000) < 0.3] = np.nan
    targets = Targets(wanted.reshape(-1, 1) * 40)
    fast = simulate(panel, targets, cash=10_000.0, costs=Costs(0.001, half_spread=0.001), start_row=start)
    general = simulate(
        panel, targets, cash=10_000.0, costs=Costs(0.001, half_spread=0.001), start_row=start, record_units=True
    )
    assert np.array_equal(fast.equity, general.equity)
    assert np.array_equal(fast.fills, general.fills)
    assert fast.findings == general.findings
    assert fast.mean_weight == pytest.approx(general.mean_weight, abs=1e-12)

"""Intervals by resampling, with the bootstrap of `arch`."""

from __future__ import annotations

import math

import numpy as np

from tradewright.evaluation.figures import Figure
from tradewright.evaluation.moments import moments
from tradewright.market.panel import Floats

MINIMUM = 30


def sharpe_interval(returns: Floats, per_year: float, *, repetitions: int = 1_000, seed: int = 7) -> Figure:
    """Return the annual Sharpe ratio with its 95 % interval by stationary bootstrap, percentiles.

    returns: (T,) per period. per_year: periods in a year. The mean block length is the optimal one of Politis and White
    (2004, corrected 2009). None below 30 returns or without variance; the reason is set, too, when blocks are longer
    than a tenth of the span, where the interval is rough.
    """
    own = moments(returns)
    if own.n < MINIMUM or own.sharpe is None:
        short = f"there are only {own.n} returns, {MINIMUM} are needed"
        return Figure(None, own.n, reason=short if own.n < MINIMUM else "the returns have no variance")
    from arch.bootstrap import StationaryBootstrap, optimal_block_length  # heavy: only where it is asked for

    block = float(optimal_block_length(returns)["stationary"].iloc[0])
    block = min(max(block, 1.0), own.n / 2) if math.isfinite(block) else math.sqrt(own.n)
    bootstrap = StationaryBootstrap(block, returns, seed=np.random.default_rng(seed))
    drawn = np.array([_sharpe(data[0][0]) for data in bootstrap.bootstrap(repetitions)])
    low, high = np.quantile(drawn, [0.025, 0.975]) * math.sqrt(per_year)
    note = f"blocks of {block:.0f} rows are long for {own.n}: a rough interval" if block > own.n / 10 else ""
    return Figure(own.sharpe * math.sqrt(per_year), own.n, float(low), float(high), note)


def _sharpe(values: Floats) -> float:
    deviation = float(np.std(values, ddof=1))
    return float(np.mean(values)) / deviation if deviation > 0 else 0.0

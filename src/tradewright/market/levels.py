"""The level of a source: the usual ratio of its prices to those of the others around a bar.

1 where both are raw, 7 before a split that only one of them adjusts for. It is the nearer one of the medians before and
after the bar, without the bar itself: it changes where a ratio changes for good, and a wrong row does not move it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tradewright.market.arrays import Floats

LEVEL_ROWS = 7  # bars on one side whose ratio is the level there: up to three wrong ones in a row do not move it
LEVEL_LEAST = 3  # fewer bars have no level of their own
TIE = 1e-9  # of a vote
_ROUNDS = 3  # of estimating prices from levels and levels from prices


def levels_of(logs: Floats, weights: Floats) -> Floats:
    """Return the log level of each source at each row, both (T, sources). weights: the votes."""
    levels = np.zeros_like(logs)
    for _ in range(_ROUNDS):
        ratios = logs - median_of(logs - levels, weights)[:, None]
        levels = np.column_stack([level_of(ratios[:, column]) for column in range(logs.shape[1])])
    return np.where(np.isfinite(logs), levels, np.nan)


def level_of(ratios: Floats) -> Floats:
    """Return the level at each of (T,) log ratios, 0 where a ratio is NaN."""
    known = np.isfinite(ratios)
    if known.sum() < LEVEL_LEAST:
        return np.zeros_like(ratios)
    mine = pl.Series(ratios[known])
    before = _trailing(mine)
    after = _trailing(mine.reverse())[::-1]
    values = ratios[known]
    nearer = np.where(np.abs(values - before) <= np.abs(values - after), before, after)
    nearer = np.where(np.isnan(before), after, np.where(np.isnan(after), before, nearer))
    levels = np.zeros_like(ratios)
    levels[known] = np.where(np.isnan(nearer), np.median(values), nearer)
    return levels


def _trailing(values: pl.Series) -> Floats:
    medians = values.rolling_median(LEVEL_ROWS, min_samples=LEVEL_LEAST).shift(1)
    return np.asarray(medians.fill_null(np.nan).to_numpy(), dtype=np.float64)


def median_of(logs: Floats, weights: Floats) -> Floats:
    """Return the median of each row by the votes of its values, NaN for one without a value."""
    order = np.argsort(logs, axis=1, kind="stable")  # NaN last
    ordered = np.take_along_axis(logs, order, axis=1)
    votes = np.take_along_axis(np.where(np.isfinite(logs), weights, 0.0), order, axis=1).cumsum(axis=1)
    half = votes[:, -1:] / 2.0
    row = np.arange(len(logs))
    lower, upper = np.argmax(votes >= half - TIE, axis=1), np.argmax(votes > half + TIE, axis=1)
    return np.asarray((ordered[row, lower] + ordered[row, upper]) / 2)

"""How likely it is that the best of many trials is the best only in the past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tradewright.errors import InvalidInput, TooFewRows
from tradewright.evaluation.values import Value, statistic
from tradewright.market.panel import Floats


class OverfittingProbability(float):
    """A probability of backtest overfitting, a float, with what it was made from.

    logits: one per combination. slope: of the chosen trial's Sharpe ratio out of sample on the one in sample.
    probability_of_loss: share of combinations in which the chosen trial's ratio out of sample is below 0.
    """

    logits: Floats
    slope: float
    probability_of_loss: float

    def __new__(cls, logits: Floats, slope: float, probability_of_loss: float) -> OverfittingProbability:
        made = super().__new__(cls, float(np.mean(logits <= 0)))
        made.logits, made.slope, made.probability_of_loss = logits, slope, probability_of_loss
        return made


def probability_of_backtest_overfitting(returns: ArrayLike, *, blocks: int = 16) -> OverfittingProbability:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    returns: (T, N) of N trials over the same T rows. blocks: even number of contiguous parts (12,870 combinations at
    16); rows that do not divide go to the first ones. In each choice of half the blocks the trial with the best Sharpe
    ratio is ranked among all on the other half; rank / (N + 1), ties averaged; overfitted when its logit is <= 0. A
    trial without variance has the ratio 0. On pure noise the mean is 0.5 with a standard deviation of 0.15 to 0.24: see
    `overfitting_of_noise` before saying anything. Source: Bailey, Borwein, Lopez de Prado, Zhu (2017). Golden cases
    G13, G14. Raises InvalidInput for another shape or odd blocks, TooFewRows for fewer than two rows a block.
    """
    matrix = np.asarray(returns, np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2 or not bool(np.all(np.isfinite(matrix))):
        raise InvalidInput(f"returns must be a finite (T, N) matrix of at least 2 trials, got shape {matrix.shape}")
    if blocks < 2 or blocks % 2:
        raise InvalidInput(f"blocks must be an even number of at least 2, got {blocks!r}")
    if len(matrix) < 2 * blocks:
        raise TooFewRows(f"{blocks} blocks need at least {2 * blocks} rows, there are {len(matrix)}")
    parts = np.array_split(matrix, blocks)
    sums = np.array([np.concatenate([[len(p)], p.sum(0), (p * p).sum(0)]) for p in parts])
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = np.zeros((len(chosen), blocks))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    n = matrix.shape[1]
    within, beyond = _ratios(inside @ sums, n), _ratios((1.0 - inside) @ sums, n)
    rows = np.arange(len(chosen))
    best = np.argmax(within, axis=1)
    mine = beyond[rows, best]
    ranks = (beyond < mine[:, None]).sum(1) + ((beyond == mine[:, None]).sum(1) + 1) / 2
    omega = ranks / (n + 1)
    logits = np.log(omega / (1 - omega))
    ahead = within[rows, best]
    spread = ahead - ahead.mean()
    slope = float(spread @ mine / (spread @ spread)) if float(spread @ spread) > 0 else math.nan
    return OverfittingProbability(logits, slope, float(np.mean(mine < 0)))


def _ratios(totals: Floats, n: int) -> Floats:
    count, first, second = totals[:, :1], totals[:, 1 : n + 1], totals[:, n + 1 :]
    mean = first / count
    variance = np.maximum(second / count - mean * mean, 0.0)
    still = variance <= 1e-24 * np.maximum(second / count, 1e-300)
    ratio: Floats = np.where(still, 0.0, mean / np.sqrt(np.where(still, 1.0, variance)))
    return ratio


def overfitting_of_noise(
    *, rows: int, trials: int, blocks: int = 16, worlds: int = 50, seed: int = 7
) -> tuple[float, float]:
    """Return the 5 % and 95 % quantiles that pure noise of this shape gives: between them a result says nothing."""
    draw = np.random.default_rng(seed)
    seen = [
        probability_of_backtest_overfitting(draw.standard_normal((rows, trials)), blocks=blocks) for _ in range(worlds)
    ]
    low, high = np.quantile(np.array(seen, np.float64), [0.05, 0.95])
    return float(low), float(high)


Method = Literal["bonferroni", "independent", "holm", "bhy"]


def adjusted_p_values(p_values: ArrayLike, *, method: Method = "holm") -> Floats:
    """Return p-values adjusted for their number, in the order given.

    bonferroni: M p. independent: 1 - (1 - p)^M. holm: step-down. bhy: Benjamini, Hochberg, Yekutieli as in Harvey and
    Liu, where the largest p stays as it is (statsmodels' fdr_by multiplies it, too). Golden case G11.
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not len(p) or not bool(np.all((p >= 0) & (p <= 1))):
        raise InvalidInput("p-values must be a series of numbers between 0 and 1")
    m = len(p)
    if method == "bonferroni":
        return np.minimum(m * p, 1.0)
    if method == "independent":
        return np.asarray(-np.expm1(m * np.log1p(-np.minimum(p, 1.0 - 1e-16))), np.float64)
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    if method == "holm":
        stepped = np.minimum(np.maximum.accumulate((m - np.arange(m)) * ranked), 1.0)
    elif method == "bhy":
        penalty = float(np.sum(1.0 / np.arange(1, m + 1)))
        raised = ranked * m * penalty / np.arange(1, m + 1)
        raised[-1] = ranked[-1]
        stepped = np.minimum.accumulate(raised[::-1])[::-1]
    else:
        raise InvalidInput(f"method must be bonferroni, independent, holm or bhy, got {method!r}")
    adjusted = np.empty(m)
    adjusted[order] = stepped
    return adjusted


@dataclass(frozen=True, slots=True)
class Haircut:
    """A Sharpe ratio after the search it came from. sharpe: per period, corrected for autocorrelation and then cut.

    before: the same without the cut. haircut: the share lost. p_value, adjusted_p_value: two-sided.
    """

    sharpe: float
    before: float
    haircut: float | None
    p_value: float
    adjusted_p_value: float


def haircut(
    *,
    sharpe: float,
    n: int,
    trials: int,
    autocorrelation: float = 0.0,
    periods: int = 12,
    method: Method = "bonferroni",
    other_p_values: Sequence[float] = (),
) -> Haircut:
    """Return the Sharpe ratio that a single test would need for the p-value this one has after `trials` tests.

    sharpe: per period. periods: in a year, over which the autocorrelation correction of Lo is taken. method: bonferroni
    or independent from the number of trials; holm or bhy from the actual p-values of the other trials, which a ledger
    has. Source: Harvey, Liu, Backtesting (2015). Golden case G12. Raises InvalidInput for impossible values.
    """
    if n < 2 or trials < 1 or not -1 < autocorrelation < 1:
        raise InvalidInput(f"a haircut needs n >= 2, trials >= 1 and |autocorrelation| < 1, got {n}, {trials}")
    if method in ("holm", "bhy") and len(other_p_values) != trials - 1:
        raise InvalidInput(f"{method} needs the p-values of the other {trials - 1} trials, got {len(other_p_values)}")
    from scipy.stats import t as student  # heavy: only where it is asked for

    r, q = autocorrelation, periods
    inflation = 1.0 + 2.0 * r / (1.0 - r) * (1.0 - (1.0 - r**q) / (q * (1.0 - r)))
    before = sharpe / math.sqrt(inflation)
    p = 2.0 * float(student.sf(abs(before) * math.sqrt(n), n - 1))
    if method == "bonferroni":
        adjusted = min(trials * p, 1.0)
    elif method == "independent":
        adjusted = -math.expm1(trials * math.log1p(-min(p, 1.0 - 1e-16)))
    else:
        adjusted = float(adjusted_p_values([p, *other_p_values], method=method)[0])
    after = math.copysign(float(student.isf(adjusted / 2.0, n - 1)) / math.sqrt(n), before)
    return Haircut(after, before, 1.0 - after / before if before else None, p, adjusted)


@statistic
def haircut_sharpe_ratio(
    *,
    sharpe: float,
    n: int,
    trials: int,
    autocorrelation: float = 0.0,
    periods: int = 12,
    method: Method = "bonferroni",
    other_p_values: Sequence[float] = (),
) -> Value:
    """Return `haircut(...).sharpe`, per period."""
    cut = haircut(
        sharpe=sharpe,
        n=n,
        trials=trials,
        autocorrelation=autocorrelation,
        periods=periods,
        method=method,
        other_p_values=other_p_values,
    )
    return Value.of(cut.sharpe)

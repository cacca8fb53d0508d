"""Moments of a return series, compiled: one meaning of mean, deviation, skew and kurtosis everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Moments:
    """Of n returns: mean, std (ddof=1), skew and kurtosis (population; Pearson, normal = 3), first autocorrelation.

    Moments that do not exist (fewer than 2 returns, or no variance) are NaN.
    """

    n: int
    mean: float
    std: float
    skew: float
    kurtosis: float
    autocorrelation: float

    @property
    def sharpe(self) -> float | None:
        """Mean over std, per period; None without variance."""
        return self.mean / self.std if self.std > 0 else None


def moments(returns: ArrayLike) -> Moments:
    """Return the moments of a (T,) array of returns. Raises InvalidInput when one of them is not finite."""
    values = np.ascontiguousarray(returns, np.float64)
    if values.ndim != 1:
        raise InvalidInput(f"returns must be one series of shape (T,), got {values.shape}")
    n, mean, m2, m3, m4, cross = _moments(values)
    if not math.isfinite(mean) and n:
        raise InvalidInput("returns must be finite; drop or fill the missing ones first")
    if n < 2 or m2 <= 1e-30 * mean * mean:
        return Moments(n, mean, 0.0 if n >= 2 else math.nan, math.nan, math.nan, math.nan)
    std = math.sqrt(m2 * n / (n - 1))
    return Moments(n, mean, std, m3 / m2**1.5, m4 / (m2 * m2), cross / m2)


@kernel
def _moments(values: Floats) -> tuple[int, float, float, float, float, float]:
    n = len(values)
    total = 0.0
    for x in values:
        total += x
    mean = total / n if n else np.nan
    m2 = m3 = m4 = cross = 0.0
    before = 0.0
    for t in range(n):
        d = values[t] - mean
        square = d * d
        m2 += square
        m3 += square * d
        m4 += square * square
        cross += d * before
        before = d
    if n:
        m2, m3, m4, cross = m2 / n, m3 / n, m4 / n, cross / n
    return n, mean, m2, m3, m4, cross


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function at x, accurate in both tails."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Return z with normal_cdf(z) = p, for 0 < p < 1."""
    return _NORMAL.inv_cdf(p)
